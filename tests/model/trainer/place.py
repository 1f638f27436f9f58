"""A feed, a lead and a training that do what they are told, and a trainer among them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from export.errors import NextclickError
from model.trainer.child import Ended, Task
from model.trainer.config import TrainerConfig
from model.trainer.health import TrainingProgress
from model.trainer.service import Trainer

BEGIN = 1_700_000_000_000


class FakeFeed:
    """A topic of one partition."""

    topic = "clicks"

    def __init__(self, clicks: int = 0) -> None:
        self.lost, self.at, self.end = 0, 0, clicks
        self.identities: list[str | None] = ["one"]
        self.started: list[Mapping[int, int]] = []
        self.error: NextclickError | None = None
        self.erases: list[Any] = []

    def identity(self) -> str | None:
        return self.identities[-1]

    def start(self, next_offsets: Mapping[int, int]) -> None:
        self.started.append(dict(next_offsets))
        self.at = next_offsets.get(0, 0)

    def read(self, timeout_s: float) -> Any:
        if self.error is not None:
            raise self.error
        begin, self.at = self.at, min(self.at + 100, self.end)
        offsets = range(begin, self.at)
        return SimpleNamespace(
            session_id=[f"s{offset // 2}" for offset in offsets],
            item_id=[f"i{offset % 9}" for offset in offsets],
            timestamp=[BEGIN + offset for offset in offsets],
            type=["click" for _ in offsets],
            next_offsets={0: self.at},
            rejected=Counter({"bad_json": 1} if begin == 0 and self.end else {}),
            erased=[one for one in self.erases if begin <= one.offset < self.at],
            left_out=0,
        )

    def ends(self) -> Mapping[int, int]:
        return {0: self.end}

    def lag(self) -> int:
        return self.end - self.at


class FakeLead:
    def __init__(self) -> None:
        self.leads = self.sure = True

    def await_lead(self, timeout_s: float) -> bool:
        return self.leads

    def is_sure(self) -> bool:
        return self.leads and self.sure


class FakeChild:
    """A cycle that ends at once, as `outcomes` say."""

    outcomes: ClassVar[list[Ended]] = []
    tasks: ClassVar[list[Task]] = []

    def __init__(
        self,
        task: Task,
        *,
        say: Callable[[str, str], None],
        may_publish: Callable[[], bool],
        nice: int,
        progress: Callable[[TrainingProgress], None],
    ) -> None:
        self.tasks.append(task)
        say("train", "100 sessions")
        self.say, self.progress = say, progress

    def poll(self, timeout_s: float = 0.0) -> Ended | None:
        return self.outcomes.pop(0) if self.outcomes else Ended(gate={"passed": False, "reasons": ["poorer"]})

    def stop(self) -> None: ...


class Place:
    """A trainer and what it talks to."""

    def __init__(self, folder: Path, *, clicks: int = 250, **options: Any) -> None:
        FakeChild.outcomes, FakeChild.tasks = [], []
        self.folder = folder
        self.feed, self.lead = FakeFeed(clicks), FakeLead()
        self.live: list[str] = []
        self.pruned: list[int] = []
        self.problems: dict[str, str] = {}
        self.refuse: NextclickError | None = None
        self.trainer = self.new(**options)

    def new(self, *, reset_offsets: bool = False, on_erased: Any = lambda *_: None, **options: Any) -> Trainer:
        options = {"min_sessions": 10, "flush_clicks": 120, **options}
        where: dict[str, Any] = {name: str(self.folder / name) for name in ("registry", "store", "work")}
        return Trainer(
            TrainerConfig(**where, **options),
            feed=self.feed,
            leading=self.lead,
            announcing=SimpleNamespace(make_live=self._make_live, prune=self._prune),
            problem=lambda key, what, remedy: self.problems.update({key: f"{what}: {remedy}"}),
            solved=lambda key: self.problems.pop(key, None),  # type: ignore[arg-type]
            new_child=FakeChild,
            reset_offsets=reset_offsets,
            on_erased=on_erased,
        )

    def _make_live(self, version: str, variant: str) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.live.append(version)
        published = self.folder / "registry" / version
        published.mkdir(exist_ok=True)
        (published / "manifest.json").touch()

    def _prune(self, keep: int) -> list[str]:
        self.pruned.append(keep)
        return []

    def once(self) -> Ended:
        return self.trainer.once(threading.Event())

    def run_until(self, done: Callable[[], bool]) -> None:
        stop = threading.Event()
        thread = threading.Thread(target=self.trainer.run, args=(stop,))
        thread.start()
        try:
            for _ in range(2_000):
                if done():
                    return
                threading.Event().wait(0.01)
            raise AssertionError(f"not reached: {self.problems}, {self.trainer.health([])}")
        finally:
            stop.set()
            thread.join(20)

    def journal(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "store" / "journal.json").read_text()))

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "work" / "decisions.jsonl").read_text().splitlines()]


PUBLISHED = Ended(version="1", gate={"passed": True, "reasons": ["better"]}, checkpoints="default-000001/refit")
