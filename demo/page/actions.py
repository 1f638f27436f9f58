"""What the buttons do: commands of nextclick as anybody would call them, and two signals.

Each answers with the command line that was run, so that a reader can run it elsewhere, and with what came of it.
"""

import re
import shlex
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from demo.children import Child
from demo.errors import DemoError
from demo.page.figures import versions_of
from demo.system import System

__all__ = ["Actions", "Refused", "Run", "run_command"]

_VERSION = re.compile(r"[1-9][0-9]{0,17}")
CONTROL, CHALLENGER = "control", "challenger"

Run = Callable[[str, list[str], Path], str]  # name, arguments and folder of a command; its last line


class Refused(Exception):
    """What was asked for is not possible now; the message says why."""


@dataclass(frozen=True, slots=True)
class _Done:
    command: str
    text: str


def run_command(name: str, args: list[str], folder: Path) -> str:
    """`nextclick ARGS` as a process; the last line it printed. DemoError."""
    with Child(name, args, scratch=folder) as child:
        return child.result()


class Actions:
    """One at a time, in the thread of whoever asks. `run` takes the place of the process in tests."""

    def __init__(self, system: Callable[[], System], run: Run = run_command) -> None:
        self._system, self._run = system, run
        self._lock = threading.Lock()
        self._experiments = 0
        self.off: set[str] = set()  # items that were switched off here
        self._all: dict[str, Callable[[Mapping[str, Any]], _Done]] = {
            "train": self._train,
            "promote": self._promote,
            "rollback": self._rollback,
            "experiment-start": self._start,
            "experiment-stop": self._stop,
            "item": self._item,
            "kill": self._kill,
        }

    def do(self, name: str, given: Mapping[str, Any]) -> dict[str, str]:
        """Do it; what was run, and what came of it. Refused, and DemoError where the command failed."""
        action = self._all.get(name)
        if action is None:
            raise Refused(f"there is no button {name}")
        with self._lock:
            done = action(given)
        return {"command": done.command, "text": done.text}

    def _train(self, _given: Mapping[str, Any]) -> _Done:
        trainer = self._system().trainer
        if trainer is None or not trainer.child.running:
            raise Refused("the trainer does not run yet")
        trainer.child.signal(signal.SIGUSR1)
        text = "the trainer begins with what is new; the version comes by itself if it passes the gate"
        return _Done(f"kill -USR1 {trainer.child.pid}", text)

    def _promote(self, given: Mapping[str, Any]) -> _Done:
        version = self._version(given.get("version"))
        return self._command(["models", "promote", version], f"version {version} is live", registry=True)

    def _rollback(self, _given: Mapping[str, Any]) -> _Done:
        done = self._command(["models", "rollback"], "", registry=True)
        return _Done(done.command, f"version {_json(done.text).get('version', '?')} is live again")

    def _start(self, given: Mapping[str, Any]) -> _Done:
        one, other = self._version(given.get(CONTROL)), self._version(given.get(CHALLENGER))
        if one == other:
            raise Refused("two different versions can be compared: train now makes another")
        self._experiments += 1
        name = f"from-the-page-{self._experiments}"
        variants = ["--variant", f"{CONTROL}={one}:50", "--variant", f"{CHALLENGER}={other}:50"]
        done = self._command(["experiment", "start", name, *variants], "", registry=True)
        hits = self._system().hits
        if hits is not None:
            hits.experiment = name
        return _Done(done.command, f"half of the sessions get version {one}, half {other}: {name}")

    def _stop(self, given: Mapping[str, Any]) -> _Done:
        name = str(given.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
            raise Refused("no experiment runs")
        winner = given.get("promote")
        if winner is None:
            return self._command(["experiment", "stop", name], f"{name} is over: all get the live model")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", str(winner)):
            raise Refused("there is no such variant")
        text = f"{name} is over: {winner} is live for everybody"
        return self._command(["experiment", "stop", name, "--promote", str(winner)], text, registry=True)

    def _item(self, given: Mapping[str, Any]) -> _Done:
        item, available = given.get("item"), given.get("available") is True
        if item not in self._system().item_ids:
            raise Refused("the shop has no such item")
        text = f"{item} {'may be in lists again' if available else 'is in no list any more'}, within two seconds"
        done = self._command(["items", "set", str(item), "--available" if available else "--unavailable"], text)
        (self.off.discard if available else self.off.add)(str(item))
        return done

    def _kill(self, given: Mapping[str, Any]) -> _Done:
        workers, number = self._system().workers, given.get("worker")
        places = [] if workers is None else workers.places()
        if workers is None or not isinstance(number, int) or not 0 <= number < len(places):
            raise Refused("there is no such worker")
        old, new = workers.kill(number)
        text = f"process {old} is dead; process {new} starts in its place, from the state in the topics"
        return _Done(f"kill -KILL {old}", text)

    def _version(self, given: Any) -> str:
        if not isinstance(given, str) or not _VERSION.fullmatch(given):
            raise Refused("that is no version")
        if given not in {one["version"] for one in versions_of(self._system().registry)["versions"]}:
            raise Refused(f"there is no version {given}")
        return given

    def _command(self, words: list[str], text: str, *, registry: bool = False) -> _Done:
        system = self._system()
        where = ["--bootstrap-servers", system.bootstrap]
        where += ["--registry", str(system.registry)] if registry else []
        said = self._run(words[0], [*words, *where, "--json"], system.folder)
        return _Done(shlex.join(["nextclick", *words, *where]), text or said)


def _json(line: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        raise DemoError(f"the command printed no JSON: {line[:200]}") from error
    return found if isinstance(found, dict) else {}
