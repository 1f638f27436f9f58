"""What a trainer is worth where a shop changes: hit rate over time with it and without it, and new items' wait.

    python -m bench.shift.drift [--seconds 300] [--rate 400] [--plot docs/drift.svg] [--json]

One broker, one topic of clicks, two workers that begin with the same model, learned from the shop's log. Beside one of
them runs `nextclick trainer`, beside the other nothing. After a third of the run the shop is another one from one click
to the next: other tastes, other companions, and a fifth of the items replaced by new ones (demo/simulated). The time is
compressed: what is hours in a shop is minutes here, for the clicks and for the trainer alike.

A click is a hit if its item was in the newest list of its session (stream/scoreboard/join.py). `new_item_s`
is how long the median new item waited from its first click to its first place in a list of a session of anybody's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.clicks import Click
from bench.measure.cluster import PARTITIONS, broker
from bench.shift.arm import Arm
from bench.shift.figures import Judged, first_waits, hit_rates, median_wait, share_of_hits
from bench.shift.judge import Seen, look_back
from bench.shift.traffic import live_clicks, send_live
from demo.click_log import write_click_log
from demo.simulated.shift import Shift
from demo.simulated.shop import Shop
from demo.simulated.simulator import ShopperConfig, Shoppers, recent_log
from demo.simulated.stock import ShopConfig

_DAYS = 12  # of the log the first model is learned from
# The gate asks for no loss against the live model; vmis-knn takes longer to judge than a fresh version to learn. The
# cores are the trainer's as well as the workers': lists are compared here, and not latencies.
TRAINER = (
    *("--preset", "tron-fast", "--threads", "1", "--nice", "0", "--baselines", "popularity", "--tolerance", "0.02"),
    *("--every", "1h", "--fresh-every", "5s", "--flush-s", "2"),  # what is hours in a shop is seconds here
    "--no-refit",  # a version in half the time, which has learned four fifths of the new sessions
)
FIRST, FRESH = ("--max-seconds", "90"), ("--max-seconds", "25")  # should the machine be slow
_ANSWERED_S = 3.0  # after the last click, for the lists that are on their way


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is simulated, and for how long."""

    seconds: float = 300.0  # of live clicks; the shop shifts after a third of them
    rate: float = 400.0  # clicks a second
    items: int = 2_000
    history_sessions: int = 30_000  # in the log, over 12 days: about 270,000 clicks
    think_s: float = 2.0  # mean seconds between two clicks of a shopper
    window_s: float = 10.0  # of the series
    k: int = 20
    seed: int = 0
    trainer: tuple[str, ...] = TRAINER  # options of `nextclick trainer`

    @property
    def shift_s(self) -> float:
        return self.seconds / 3


def shoppers_of(run: Run, shop: Shop) -> Shoppers:
    """Those that click live, with sessions of their own numbers."""
    habits = ShopperConfig(
        sessions_per_s=run.rate / ShopperConfig().mean_clicks, think_s=run.think_s, seed=run.seed + 2
    )
    shift = Shift(at_ms=round(run.shift_s * 1_000), seed=run.seed)
    return Shoppers(shop, habits, first_session=run.history_sessions, shift=shift)


def measure(run: Run, bootstrap: str, folder: Path) -> dict[str, Any]:
    """Both at once, on the same clicks."""
    shop = Shop(ShopConfig(items=run.items, seed=run.seed))
    shoppers = shoppers_of(run, shop)
    newcomers = frozenset(shoppers.later.item_ids()[run.items :])
    clicks = live_clicks(shoppers, run.seconds)
    history = folder / "history.parquet"
    write_click_log(history, shop.item_ids(), recent_log(shop, run.history_sessions, _DAYS, run.seed + 1))
    with Arm("on", bootstrap, folder, partitions=PARTITIONS) as on:
        on.learn("--data", str(history), *run.trainer, *FIRST)
        with Arm("off", bootstrap, folder, partitions=PARTITIONS, like=on.registry) as off:
            arms = (on, off)
            for arm in arms:
                arm.serve(run.k)
            on.train(*run.trainer, *FRESH)
            start_ms = time.time_ns() // 1_000_000
            late_s = send_live(bootstrap, on.topics.clicks, clicks, start_ms)
            time.sleep(_ANSWERED_S)
            for arm in arms:
                arm.check()
    seen = {arm.name: look_back(bootstrap, arm.topics, start_ms, newcomers) for arm in arms}
    return figures(run, clicks, newcomers, seen) | {"clicks": len(clicks), "latest_click_s": round(late_s, 2)}


def figures(run: Run, clicks: list[Click], newcomers: frozenset[str], seen: dict[str, Seen]) -> dict[str, Any]:
    """What is printed of what was seen."""
    clicked: dict[str, float] = {}
    for _, item, ts in clicks:
        if item in newcomers:
            clicked.setdefault(item, ts / 1_000)
    out: dict[str, Any] = {"shift_s": run.shift_s, "window_s": run.window_s}
    for name, one in seen.items():
        out[f"hit_rate_{name}"] = rounded(share_of_hits(one.judged, run.shift_s))
        out[f"hit_rate_{name}_before"] = rounded(share_of_hits(one.judged, 0.0, run.shift_s))
        out[f"hit_rate_{name}_at_end"] = rounded(share_of_hits(one.judged, run.seconds * 0.8))
        out[f"series_{name}"] = [rounded(rate) for rate in rates(run, one.judged)]
    on = seen["on"]
    waits = first_waits(clicked, on.listed)
    first = min(on.listed.values(), default=None)
    return out | {
        "new_item_s": rounded(median_wait(waits), 1),
        "first_new_item_s": rounded(None if first is None else first - run.shift_s, 1),
        "new_items_clicked": len(clicked),
        "new_items_listed": int(np.isfinite(waits).sum()),
        "versions": {version: round(at, 1) for version, at in on.versions.items()},
    }


def rates(run: Run, judged: list[Judged]) -> list[float | None]:
    return hit_rates(judged, window_s=run.window_s, seconds=run.seconds)


def rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap-servers", help="left out: a broker of the tests' own is started")
    parser.add_argument("--seconds", type=float, default=Run.seconds, help="of live clicks; the shift is after a third")
    parser.add_argument("--rate", type=float, default=Run.rate, help="clicks a second")
    parser.add_argument("--items", type=int, default=Run.items)
    parser.add_argument("--history-sessions", type=int, default=Run.history_sessions)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="file to draw the hit rates into: .svg or .png")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    args = parsed()
    run = Run(
        seconds=args.seconds,
        rate=args.rate,
        items=args.items,
        history_sessions=args.history_sessions,
        seed=args.seed,
    )
    with (
        tempfile.TemporaryDirectory(prefix="nextclick-bench-") as name,
        broker(args.bootstrap_servers) as bootstrap,
    ):
        result = measure(run, bootstrap, Path(name))
    if args.plot is not None:
        from bench.shift.plot import draw

        series = {name: result[f"series_{name}"] for name in ("on", "off")}
        fresh = list(result["versions"].values())[1:]
        draw(args.plot, series, window_s=run.window_s, shift_s=run.shift_s, versions=fresh)
    result |= {"cpus": os.cpu_count(), "machine": platform.machine()}
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
