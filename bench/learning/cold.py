"""Items that nobody has clicked: what an item tower makes of their attributes, on Beauty.

    python -m bench.learning.cold [--data-dir DIR] [--preset tron-fast] [--share 0.1] [--seeds 0 1] [--users N] [--json]

A share of the items, drawn by the seed, are kept out of the training and validation clicks; they stand in the file of
items all the same. Every position of the test users is one prediction by full ranking. `cold` are the predictions whose
target is such an item, `warm` all others; `among cold` ranks the cold items alone, so that a list of 20 by chance would
have 20 of so many. The model without a tower and popularity know no cold item: theirs is 0 by construction.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.learning.quality import USUAL_DATA
from bench.learning.shops import beauty_items, beauty_sessions, log_of
from export.bundle.vocabulary import PAD, Vocabulary
from export.errors import NextclickError
from export.ranking.ranker import Ranker, RankerConfig
from model.bundling import export_bundle
from model.config import Preset
from model.data.known_items import KnownItems
from model.data.log import SessionLog
from model.evaluate.judge import Judged, Judgement, judge, of_baseline, of_ranker
from model.evaluate.metrics import CUTOFF
from model.evaluate.protocol import prefixes
from model.learn.committee import train_preset
from model.learn.trained import Trained
from model.machine.threads import use_threads
from model.nets.config import TowerConfig
from model.nets.plain import plain_all
from model.presets import PRESETS, preset

Row = dict[str, Any]
FIGURES = ("recall", "warm", "cold", "among_cold")


@dataclass(frozen=True, kw_only=True, eq=False)
class Shop:
    """Clicks in three parts, and the items."""

    train: SessionLog  # without the cold items
    valid: SessionLog
    test: SessionLog  # with them: its vocabulary is its own
    items: KnownItems
    cold: frozenset[str]


def main() -> None:
    args = _parsed()
    use_threads(args.threads)
    try:
        rows = [row for seed in args.seeds for row in measured(args, seed)]
    except NextclickError as error:
        sys.exit(f"error: {error}")
    table = aggregate(rows)
    if args.json:
        print(json.dumps({"rows": table, "cpus": os.cpu_count()}))
    else:
        Console(width=120).print(shown(table))


def measured(args: argparse.Namespace, seed: int) -> list[Row]:
    """Return the rows of popularity, of the model without a tower, and of the one with it."""
    shop = beauty(args.data_dir, share=args.share, seed=seed, users=args.users)
    chosen = preset(args.preset).override(seed=seed, epochs=args.epochs, threads=args.threads)
    said = f"seed {seed}: {shop.train.sessions:,} users, {len(shop.train.vocabulary):,} items, {len(shop.cold):,} cold"
    print(said, file=sys.stderr, flush=True)
    rows = [{"system": "popularity", "seconds": 0.0, **figures(of_baseline("popularity", shop.train), shop)}]
    if args.id_dropout is not None:
        chosen = replace(chosen, tower=TowerConfig(id_dropout=args.id_dropout))
    for name, one in (("ids", replace(chosen, tower=None)), ("ids and attributes", chosen)):
        began = time.perf_counter()
        rows.append({"system": name, **of_model(one, shop), "seconds": time.perf_counter() - began})
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def of_model(one: Preset, shop: Shop) -> Row:
    """Train, export and judge a preset; its tower decides whether it sees the items."""
    items = shop.items if one.tower is not None else None
    features = None if items is None else items.features(shop.train.vocabulary)
    trained = train_preset(shop.train, shop.valid, one, items=features)
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
        bundle = export_bundle(trained, shop.train, shop.valid, one, {}, Path(folder), scoring="exact", items=items)
        ranker = Ranker(bundle, RankerConfig(threads=one.train.threads))
        found = figures(of_ranker(ranker), shop)
    if items is not None:
        found["among_cold"] = among_cold(trained, shop, one.encoder.window)
    return found


def figures(system: Judged, shop: Shop) -> Row:
    """Return Recall@20 over all predictions, over the warm ones and over the cold ones."""
    found: Judgement = judge(system, shop.test)
    hit, cold = found.ranks > 0, is_cold(shop)
    return {
        "recall": float(hit.mean()),
        "warm": float(hit[~cold].mean()),
        "cold": float(hit[cold].mean()),
        "among_cold": 0.0,
        "cold_predictions": int(cold.sum()),
        "predictions": len(hit),
    }


def is_cold(shop: Shop) -> NDArray[np.bool_]:
    """Return which predictions (P,), in the order of their clicks, have a cold target."""
    names = np.array([False, *(name in shop.cold for name in shop.test.vocabulary.items)])
    _, targets = prefixes(shop.test)
    found: NDArray[np.bool_] = names[shop.test.items[np.sort(targets)]]
    return found


@torch.inference_mode()
def among_cold(trained: Trained, shop: Shop, window: int) -> float:
    """Return Recall@20 of the cold predictions where the cold items alone are ranked."""
    cold = shop.items.newcomers(shop.train.vocabulary)
    encoders = plain_all(trained.encoders, cold.rows)
    vocabulary = Vocabulary((*shop.train.vocabulary.items, *cold.item_ids))
    own = np.array([PAD, *(vocabulary.index(name) for name in shop.test.vocabulary.items)], np.int32)
    table = torch.cat([encoder.table for encoder in encoders], dim=1)[len(shop.train.vocabulary) + 1 :]
    starts, targets = prefixes(shop.test)
    hits, asked = 0, 0
    for start, target in zip(starts.tolist(), targets.tolist(), strict=True):
        wanted = int(own[shop.test.items[target]]) - len(shop.train.vocabulary) - 1
        given = own[shop.test.items[start:target]]
        if wanted < 0 or not (given != PAD).any():
            continue
        ids = torch.from_numpy(given[given != PAD][-window:][None].copy())
        scores = torch.cat([encoder.last(ids) for encoder in encoders], dim=1)[0] @ table.T
        hits, asked = hits + int((scores > scores[wanted]).sum() < CUTOFF), asked + 1
    return hits / max(1, asked)


def beauty(folder: Path, *, share: float, seed: int, users: int | None = None) -> Shop:
    """Read Beauty with a share of its items kept out of training; `users`: of train, the first so many."""
    sessions = beauty_sessions(folder)
    names = sorted({item for histories in sessions.values() for items in histories for item in items})
    random = np.random.default_rng([seed, 77])
    cold = frozenset(random.permutation(names)[: round(share * len(names))].tolist())
    warm_of = {part: [[item for item in items if item not in cold] for items in sessions[part]] for part in sessions}
    clicked = warm_of["train"][:users]
    warm = Vocabulary(sorted({item for items in clicked for item in items}))
    return Shop(
        train=log_of(clicked, warm),
        valid=log_of(warm_of["valid"], warm),
        test=log_of(sessions["test"], Vocabulary(names)),
        items=KnownItems(beauty_items(folder), TowerConfig()),
        cold=cold,
    )


def aggregate(rows: list[Row]) -> list[Row]:
    """Return the mean of each system's figures over the seeds."""
    systems = dict.fromkeys(row["system"] for row in rows)
    groups = {name: [row for row in rows if row["system"] == name] for name in systems}
    kept = (*FIGURES, "seconds", "predictions", "cold_predictions")
    return [
        {"system": name, **{one: statistics.fmean(row[one] for row in group) for one in kept}}
        for name, group in groups.items()
    ]


def shown(rows: list[Row]) -> Table:
    """Return the rows for people."""
    table = Table("system", "Recall@20", "warm", "cold", "among cold", "s", box=None)
    for row in rows:
        table.add_row(row["system"], *(f"{row[name]:.4f}" for name in FIGURES), f"{row['seconds']:.0f}")
    return table


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--preset", choices=PRESETS, default="tron-fast", metavar="NAME")
    parser.add_argument("--share", type=float, default=0.1, help="of the items kept out of training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--users", type=int, help="of train [all]")
    parser.add_argument("--epochs", type=float, help="[the preset's]")
    parser.add_argument("--id-dropout", type=float, help="[the preset's]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
