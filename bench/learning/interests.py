"""Where several interests pay, and where they do not: mtmi against one vector, ComiRec-SA and REMI.

    python -m bench.learning.interests [--data-dir DIR] [--shops beauty recent tmall simulated] [--systems NAME ...]
        [--sessions 20000] [--max-seconds S] [--epochs N] [--seed 0] [--out FILE] [--json]

Each system learns the same sessions and is judged by the graph that would serve it, twice: by the next item at every
position (Recall@20), and by everything that is still to come after 80 % of a session (ComiRec's protocol: Recall, NDCG,
HR). `coverage` is the share of the catalogue in the lists of the second, `distance` how unlike the items of a list are
by their attributes, `wanted` (simulated) the share of the categories that the shopper is known to follow with an item
in the list of 20. `one vector` has as many weights as `mtmi`; `one pooled` is `mtmi` with one interest. Published
systems see no attributes, ours do where the shop has them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.learning.quality import USUAL_DATA
from bench.learning.shops import SHOPS, Shop, shop_of
from export.errors import NextclickError
from export.ranking.ranker import Ranker, RankerConfig
from model.bundling import export_bundle
from model.config import Preset
from model.errors import Interrupted
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.later import GIVEN, evaluate_later
from model.evaluate.metrics import CUTOFF
from model.evaluate.protocol import Scorer, evaluate
from model.learn.committee import train_preset
from model.machine.threads import use_threads
from model.presets import comirec_sa, mtmi, mtmi_anchored, remi, tron_fast

Row = dict[str, Any]
POPULARITY = "popularity"
FIGURES = (
    *("next@20", "recall@20", "recall@50", "ndcg@20", "hr@20", "coverage@20", "distance@20", "wanted@20"),
    *("weights", "seconds"),
)


def _one_vector() -> Preset:
    """`tron-fast`, its feed-forward block wider by what the pooling of `mtmi` weighs."""
    wider = mtmi().encoder
    hidden, inner = wider.hidden, wider.interest_inner
    more = round((hidden * inner + inner * wider.interests) / (2 * hidden + 1))
    return tron_fast().override(feed_forward=tron_fast().encoder.feed_forward + more)


SYSTEMS: dict[str, Callable[[], Preset]] = {
    "one vector": _one_vector,
    "one pooled": lambda: mtmi().override(interests=1, repel=0.0),
    "mtmi": mtmi,
    "mtmi-anchored": mtmi_anchored,
    "mtmi, no repel": lambda: mtmi().override(repel=0.0),
    "mtmi, ids alone": lambda: replace(mtmi(), tower=None),
    "mtmi, by target": lambda: mtmi().override(choice="target"),
    "comirec-sa": lambda: replace(comirec_sa(), tower=None),
    "remi": lambda: replace(remi(), tower=None),
}


def main() -> None:
    args = _parsed()
    use_threads(1)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out and args.out.exists() else []
    done = {(row["shop"], row["system"], row["seed"]) for row in rows}
    failed = 0
    for name in args.shops:
        systems = [system for system in (POPULARITY, *args.systems) if (name, system, args.seed) not in done]
        if not systems:
            continue
        try:
            shop = shop_of(name, args.data_dir, sessions=args.sessions, seed=args.seed)
        except NextclickError as error:
            sys.exit(f"error: {error}")
        for system in systems:
            if system == "mtmi, ids alone" and shop.items is None:
                continue
            try:
                row = {"shop": name, "system": system, "seed": args.seed, **measured(system, shop, args)}
            except Interrupted:
                raise
            except NextclickError as error:
                print(f"{name} {system}: failed: {error}", file=sys.stderr, flush=True)
                failed += 1
                continue
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    if args.json:
        print(json.dumps({"rows": rows, "cpus": os.cpu_count()}))
    else:
        Console(width=150).print(table(rows))
    sys.exit(1 if failed else 0)


def measured(system: str, shop: Shop, args: argparse.Namespace) -> Row:
    """Train, export and judge a system."""
    began = time.perf_counter()
    if system == POPULARITY:
        return {**judged(make_baseline(POPULARITY, shop.train), shop, None), "weights": 0, "seconds": 0.0}
    chosen = SYSTEMS[system]().override(seed=args.seed, max_seconds=args.max_seconds, threads=1)
    if args.epochs is not None and system not in ("comirec-sa", "remi"):
        chosen = chosen.override(epochs=args.epochs, reference=0, min_epochs=0.0, min_steps=0)
    items = None if chosen.tower is None else shop.items
    features = None if items is None else items.features(shop.train.vocabulary)
    trained = train_preset(shop.train, shop.valid, chosen, items=features)
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        bundle = export_bundle(trained, shop.train, shop.valid, chosen, {}, Path(folder), scoring="exact", items=items)
        ranker = Ranker(bundle, RankerConfig(threads=1))
        known = replace(
            shop, test=replace(shop.test, vocabulary=bundle.vocabulary)
        )  # newcomers stand behind the others
        found = judged(ranker, known, bundle.manifest.window)
    weights = sum(weight.numel() for weight in trained.encoders[0].parameters())
    return {**found, "weights": weights, "seconds": seconds, "epochs": trained.epochs}


def judged(scorer: Scorer, shop: Shop, window: int | None) -> Row:
    """Return the figures of both protocols."""
    features = None if shop.items is None else shop.items.features(shop.test.vocabulary).rows
    found = evaluate_later(scorer, shop.test, window=window, features=features)
    found["next@20"] = evaluate(scorer, shop.test, window=window).metrics[f"recall@{CUTOFF}"]
    if shop.category is not None:
        found["wanted@20"] = wanted(scorer, shop, window)
    return found


def wanted(scorer: Scorer, shop: Shop, window: int | None) -> float:
    """Return the mean share of the categories that a shopper followed which have an item in the list of 20."""
    assert shop.category is not None, "a simulated shop has them"
    log, shares = shop.test, list[float]()
    for first in range(0, log.sessions, 128):
        chosen = range(first, min(first + 128, log.sessions))
        given = [log.session(one)[: int(log.lengths[one] * GIVEN)] for one in chosen]
        ids, _ = scorer.rank([items[-window:] if window else items for items in given], CUTOFF)
        for one, row in zip(chosen, np.asarray(ids), strict=True):
            listed = set(shop.category[row].tolist())
            shares.append(len(shop.wanted[one] & listed) / len(shop.wanted[one]))
    return float(np.mean(shares))


def table(rows: list[Row]) -> Table:
    """Return the rows for people."""
    shown = Table("shop", "system", *FIGURES, box=None)
    for row in rows:
        cells = [row.get(name) for name in FIGURES]
        shown.add_row(
            row["shop"],
            row["system"],
            *("" if cell is None else f"{cell:,.0f}" if cell >= 1.5 else f"{cell:.4f}" for cell in cells),
        )
    return shown


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--shops", nargs="+", choices=SHOPS, default=list(SHOPS), metavar="NAME")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME")
    parser.add_argument("--sessions", type=int, default=20_000, help="of training, at most")
    parser.add_argument("--max-seconds", type=float, help="of each training")
    parser.add_argument("--epochs", type=float, help="of ours, whatever their schedule says of small logs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON lines: one a system, kept as it comes and not measured again")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
