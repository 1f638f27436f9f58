"""What newer clicks are worth, and the cheapest way to learn them; which of the trainer's defaults follow from that.

    python -m bench.learning.freshness [--data-dir DIR] [--shops yoochoose serenade nowplaying tmall] [--sessions N]
        [--preset NAME] [--seed N] [--work DIR] [--out FILE] [--json]

Each shop is cut by time (bench/retrained/slices.py): `base` was learned by the version that is live, `new` came since,
`next` is judged. All see whole sessions, are judged on the same predictions, and what a model does not know is a miss.

    nothing        the live version, from scratch on base: what `--no-refit` publishes, where new was held out
    scratch        the full training on base and new: `--scratch`, and a refit from scratch
    warm           the same recipe, begun with the live version's weights
    continue S     a refit that goes on with S of the recipe's passes
    fresh ...      `--fresh-every`: new, and older sessions beside it; FreshConfig, one setting changed in each
    fresh x4       the same in four cycles, a quarter of new in each, on top of each other

Forgetting is `old`: sessions of base's time that nobody learned. At last one fresh cycle as the trainer runs it, on the
first quarter of new: seconds until lists have its new items (train, export, parity, gate, refit, publish, load). A
click waits for it at most --flush-s and --fresh-every, both apart. Without data, a simulated shop is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.learning.quality import USUAL_DATA, WIDTH, commit
from bench.retrained.learned import Exam, Learned, learn, teach
from bench.retrained.slices import Slices, cut, first_clicked, thinned
from demo.simulated.simulator import simulate_log
from demo.simulated.stock import ShopConfig
from export.bundle.bundle import load_bundle
from export.errors import NextclickError
from export.ranking.ranker import Ranker, RankerConfig
from export.registry.registry import Registry
from model.config import Preset
from model.cycle.config import FreshConfig, GateConfig
from model.cycle.cycle import run_cycle
from model.cycle.fresh import fresh_log, fresh_preset
from model.cycle.request import CycleRequest
from model.data.log import SessionLog
from model.data.readers import read_log
from model.data.readers.build import build_log
from model.data.readers.raw import RawLog
from model.evaluate.judge import judge, of_ranker
from model.machine.threads import use_threads
from model.presets import PRESETS, preset

SHOPS = {
    "yoochoose": "yoochoose.parquet",
    "serenade": "serenade_bolcom.parquet",
    "nowplaying": "nowplaying.parquet",
    "tmall": "tmall.parquet",
}
SIMULATED = "simulated"
JUDGED, OLD_JUDGED = 4_000, 1_500  # sessions
SHARES = (0.35, 0.2)  # of the recipe's passes, for a refit that continues
BASIS = FreshConfig()  # what the settings below differ from
FRESH = {
    "fresh": BASIS,
    "fresh epochs 4": replace(BASIS, epochs=4.0),
    "fresh rate 1": replace(BASIS, rate=1.0),
    "fresh replay 0": replace(BASIS, replay=0.0, least=0),
}
LENIENT = GateConfig(tolerance=1.0, slack=1.0, min_coverage=0.0, max_fallback=1.0)  # the time of all steps is wanted

Row = dict[str, Any]
say = Console(stderr=True).print


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA, help="folder of the data sets")
    parser.add_argument("--shops", nargs="+", choices=[*SHOPS, SIMULATED], metavar="NAME", help="[all there are]")
    parser.add_argument("--sessions", type=int, default=40_000, help="of each shop, evenly over its time")
    parser.add_argument("--preset", choices=PRESETS, default="tron-fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="where trainings are kept: a run that was stopped goes on")
    parser.add_argument("--out", type=Path, help="JSON lines: one a shop, added as it comes")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    use_threads(1)
    chosen = preset(args.preset).override(threads=1, seed=args.seed)
    found: list[Row] = []
    for name in args.shops or shops_in(args.data_dir):
        with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
            try:
                raw = read_shop(name, args.data_dir, Path(folder), args.sessions)
                work = args.work / name if args.work else Path(folder)
                found.append({"shop": name, **measure(raw, chosen, work)})
            except NextclickError as error:
                sys.exit(f"error: {name}: {error}")
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps(found[-1]) + "\n")
    Console(file=sys.stderr if args.json else sys.stdout, width=WIDTH).print(*map(table, found))
    about = {"preset": args.preset, "seed": args.seed, "sessions": args.sessions, "threads": 1}
    machine = {"cpus": os.cpu_count(), "machine": platform.processor() or platform.machine(), "commit": commit()}
    if args.json:
        print(json.dumps({**about, **machine, "shops": found}))


def shops_in(folder: Path) -> list[str]:
    """The shops whose log is there; the simulated one where there is none."""
    return [name for name, file in SHOPS.items() if (folder / file).is_file()] or [SIMULATED]


def read_shop(name: str, data_dir: Path, folder: Path, sessions: int) -> RawLog:
    """The clicks of a shop, so many sessions of them. DataError where there is no such log."""
    path = folder / "simulated.parquet" if name == SIMULATED else data_dir / SHOPS[name]
    if name == SIMULATED:
        simulate_log(path, ShopConfig(), sessions)
    return thinned(read_log(path), sessions)


def measure(raw: RawLog, chosen: Preset, folder: Path) -> Row:
    """All trainings of one shop."""
    slices = cut(raw)
    exam = Exam(
        next=build_log(slices.next).thinned(JUDGED),
        old=build_log(slices.old).thinned(OLD_JUDGED),
        new_items=frozenset(first_clicked(slices.new, slices.base, slices.old)),
    )
    learned = trainings(slices, chosen, exam, folder)
    rows = [
        {
            "how": name,
            **one.figures,
            "above_nothing": one.above(learned["nothing"], exam),
            "above_scratch": one.above(learned["scratch"], exam),
        }
        for name, one in learned.items()
    ]
    whole = build_log(slices.whole)
    about = {"sessions": whole.sessions, "clicks": whole.clicks, "items": len(whole.vocabulary)}
    since = {"new_sessions": build_log(slices.new).sessions, "new_items": len(exam.new_items)}
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as place:
        cycle = fresh_cycle(slices, chosen, learned["nothing"].directory, exam, Path(place))
    return {**about, **since, "rows": rows, "fresh_cycle": cycle}


def trainings(slices: Slices, chosen: Preset, exam: Exam, folder: Path) -> dict[str, Learned]:
    """Every training of the table, by its name."""
    base, whole = build_log(slices.base), build_log(slices.whole)
    found: dict[str, Learned] = {}

    def add(name: str, log: SessionLog, recipe: Preset, parent: Path | None = None) -> Path:
        found[name] = learn(log, recipe, exam, folder / name.replace(" ", "-"), parent)
        say(f"{name}: {found[name].figures}", highlight=False)
        return found[name].directory

    live = add("nothing", base, chosen)
    add("scratch", whole, chosen)
    for name, config in FRESH.items():
        add(name, fresh_log(whole, slices.starts[0], config), fresh_preset(chosen, config), live)
    parent, config = live, FRESH["fresh"]
    for quarter, until in enumerate(slices.starts[1:], start=1):
        log = fresh_log(build_log(so_far(slices.whole, until)), slices.starts[quarter - 1], config)
        step = folder / f"fresh-quarter-{quarter}"
        teach(log, fresh_preset(chosen, config), step, parent)
        parent = step
    add("fresh x4", fresh_log(whole, slices.starts[-1], config), fresh_preset(chosen, config), parent)
    for share in SHARES:
        add(f"continue {share:g}", whole, shortened(chosen, base.sessions, share), live)
    add("warm", whole, chosen, live)
    return found


def shortened(chosen: Preset, judged: int, share: float) -> Preset:
    """The recipe with a share of the passes that a training on `judged` sessions has, as a refit that continues."""
    per_epoch, steps = chosen.train.steps(judged)
    return chosen.override(
        epochs=steps / per_epoch * share, reference=0, min_epochs=0.0, min_steps=0, validate_epochs=False
    )


def so_far(raw: RawLog, until_ts: int | None) -> RawLog:
    """The clicks before a time; all where it is None."""
    return raw if until_ts is None else raw.select(raw.ts < until_ts)


def fresh_cycle(slices: Slices, chosen: Preset, parent: Path, exam: Exam, folder: Path) -> Row:
    """The trainer's fresh cycle on the first quarter of new, and whether its new items are in lists then."""
    raw = so_far(slices.whole, slices.starts[1])
    since = raw.select(raw.ts >= slices.starts[0])
    new_items = first_clicked(since, raw.select(raw.ts < slices.starts[0]))
    registry = Registry(folder / "registry")
    registry.create()
    began, processor = time.perf_counter(), time.process_time()
    result = run_cycle(
        CycleRequest(
            cycle="fresh",
            raw=raw,
            mode="fresh",
            preset=chosen,
            registry=registry,
            folder=folder / "cycle",
            parent=parent,
            parent_version="1",
            since_ts=slices.starts[0],
            gate=LENIENT,
        )
    )
    assert result.version is not None, "the gate lets everything pass"
    ranker = Ranker(load_bundle(registry.fetch(result.version)), RankerConfig(threads=1))
    ranker.rank_items([[ranker.bundle.vocabulary.items[0]]], 20)
    took = time.perf_counter() - began, time.process_time() - processor
    shown = new_in_lists(ranker, since, new_items)
    return {
        "new_sessions": len(set(since.sessions.tolist())),
        "new_items": len(new_items),
        "new_items_in_lists": shown,
        "recall": round(judge(of_ranker(ranker), exam.next).metrics["recall@20"], 4),
        "refitted": result.refitted,
        "seconds": round(took[0], 1),
        "cpu_s": round(took[1], 1),
    }


def new_in_lists(ranker: Ranker, since: RawLog, new_items: set[str]) -> int:
    """How many of these items are in a list of 20 for the clicks that came before one of them."""
    log = build_log(since, min_length=1)
    sessions = [[log.vocabulary.items[item - 1] for item in log.session(row).tolist()] for row in range(log.sessions)]
    asked = [items[:at] for items in sessions for at, item in enumerate(items) if at and item in new_items]
    lists = ranker.rank_items(asked, min(20, ranker.k_max)) if asked else []
    return len({item for one in lists for item, _ in one.items} & new_items)


def table(row: Row) -> Table:
    """One shop for people."""
    title = f"{row['shop']}: {row['sessions']:,} sessions, {row['new_sessions']:,} of them new, {row['items']:,} items"
    shown = Table(title=title, box=None)
    for column in ("", "Recall@20 next", "MRR@20 next", "above nothing", "new items", "old", "steps", "CPU s"):
        shown.add_column(column, justify="right" if column else "left")
    for one in row["rows"]:
        difference, low, high = one["above_nothing"]["next"]
        new = "" if one["new_item_recall"] is None else f"{one['new_item_recall']:.4f}"
        shown.add_row(
            one["how"],
            f"{one['recall']:.4f}",
            f"{one['mrr']:.4f}",
            f"{difference:+.4f} ({low:+.4f} to {high:+.4f})",
            new,
            f"{one['old_recall']:.4f}",
            f"{one['steps']:,}",
            f"{one['cpu_s']:.0f}",
        )
    return shown


if __name__ == "__main__":
    main()
