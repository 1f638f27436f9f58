"""Items as codes beside a row an item: what it costs the lists, what it saves.

    python -m bench.learning.codes [--data-dir DIR] [--datasets recent tmall nowplaying large_ciao beauty]
        [--presets tron-fast ...] [--items dense svd svd-plain bpr random] [--forms 8x8 16x4 ...] [--sessions 20000]
        [--hidden N] [--seeds 0] [--epochs N] [--max-seconds S] [--out FILE] [--json]

Each preset learns the newest sessions of a data set with a dense item table, then with codes of each kind and form
(8x8: 8 codes of 8 bits an item; 16x4 has as many bytes), and ranks the test sessions over the whole catalogue, every
position, nothing excluded. `bytes` is what the model holds: of codes and books as a bundle stores them, four a weight
else; `bytes an item` is the item table's share. Memory: bench.learning.codes_memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from rich.console import Console
from rich.table import Table

from bench.learning.quality import USUAL_DATA
from bench.learning.shops import SHOPS, SPARSE, Shop, shop_of
from export.errors import ConfigError, NextclickError
from model.codes.config import CodesConfig, MadeBy
from model.config import Preset
from model.errors import Interrupted
from model.learn.committee import train_preset
from model.learn.trained import Trained
from model.learn.validation import validate
from model.machine.threads import use_threads
from model.nets.coded import CodedItems
from model.nets.vectors import stored
from model.presets import PRESETS, preset

Row = dict[str, Any]
DENSE = "dense"
FIGURES = ("recall@20", "mrr@20", "bytes", "bytes an item", "seconds", "epochs")


class Job(NamedTuple):
    """One training."""

    dataset: str
    preset: str
    items: str
    form: str  # of codes; "" of a dense table
    seed: int
    hidden: int | None = None  # None: the preset's


def main() -> None:
    args = _parsed()
    use_threads(1)
    rows = [json.loads(line) for line in args.out.read_text().splitlines()] if args.out and args.out.exists() else []
    done, failed = {tuple(row.get(name) for name in Job._fields) for row in rows}, 0
    for dataset in args.datasets:
        missing = [job for job in jobs_of(args, dataset) if job not in done]
        if not missing:
            continue
        shop = shop_of(dataset, args.data_dir, sessions=args.sessions)
        for job in missing:
            try:
                row = {**job._asdict(), **measured(job, shop, args)}
            except Interrupted:
                raise
            except NextclickError as error:
                print(f"{job}: failed: {error}", file=sys.stderr, flush=True)
                failed += 1
                continue
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console(width=150).print(table(rows))
    sys.exit(1 if failed else 0)


def jobs_of(args: argparse.Namespace, dataset: str) -> Iterator[Job]:
    """Yield what is asked for of a data set, each preset's dense table first."""
    for name in args.presets:
        for items in args.items:
            for form in args.forms if items != DENSE else [""]:
                yield from (Job(dataset, name, items, form, seed, args.hidden) for seed in args.seeds)


def preset_of(job: Job, args: argparse.Namespace) -> Preset:
    """Return the preset of a job, nothing of it but the item table another. ConfigError for codes that can't be."""
    chosen = preset(job.preset).override(seed=job.seed, threads=1, max_seconds=args.max_seconds)
    if args.epochs is not None:
        chosen = chosen.override(epochs=args.epochs, reference=0, min_epochs=0.0, min_steps=0)
    if args.hidden is not None:
        chosen = chosen.override(hidden=args.hidden)
    if job.items == DENSE:
        return replace(chosen, tower=None)
    splits, bits = numbers_of(job.form)
    return replace(chosen, tower=None, codes=CodesConfig(made_by=job.items, splits=splits, bits=bits))  # type: ignore[arg-type]


def numbers_of(form: str) -> tuple[int, int]:
    """Return splits and bits of a form such as 8x8. ConfigError for another text."""
    splits, _, bits = form.partition("x")
    if not (splits.isdigit() and bits.isdigit()):
        raise ConfigError(f"a form is splits x bits, such as 8x8 or 16x4, not {form!r}")
    return int(splits), int(bits)


def measured(job: Job, shop: Shop, args: argparse.Namespace) -> Row:
    """Train and rank the test sessions."""
    chosen = preset_of(job, args)
    began = time.perf_counter()
    trained = train_preset(shop.train, shop.valid, chosen)
    seconds = time.perf_counter() - began
    figures = validate(trained.encoders, shop.test, row=chosen.train.row)
    of_items, rest = bytes_of(trained)
    catalogue = len(shop.train.vocabulary)
    return {
        "catalogue": catalogue,
        "sessions": shop.train.sessions,
        **{name: figures[name] for name in ("recall@20", "mrr@20", "predictions")},
        "bytes": of_items + rest,
        "bytes an item": of_items / catalogue,
        "seconds": seconds,
        "epochs": trained.epochs,
    }


def bytes_of(trained: Trained) -> tuple[int, int]:
    """Return the bytes of the item table, codes and books or four a weight, and of all other weights."""
    weights = sum(weight.numel() for encoder in trained.encoders for weight in encoder.parameters())
    items = sum(encoder.weight.numel() for encoder in trained.encoders)
    coded = isinstance(trained.encoders[0].items, CodedItems)
    return stored(trained.encoders).file_bytes if coded else 4 * items, 4 * (weights - items)


def table(rows: list[Row]) -> Table:
    """Return the rows for people."""
    shown = Table("dataset", "catalogue", "preset", "items", "form", "hidden", *FIGURES, box=None)
    for row in rows:
        cells = [row[name] for name in FIGURES]
        texts = [f"{cell:,.0f}" if cell >= 1.5 else f"{cell:.4f}" for cell in cells]
        shown.add_row(
            row["dataset"],
            f"{row['catalogue']:,}",
            row["preset"],
            row["items"],
            row["form"],
            str(row.get("hidden") or ""),
            *texts,
        )
    return shown


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    every = [*SHOPS, *SPARSE]
    usual = ["recent", "tmall", "nowplaying"]
    parser.add_argument("--datasets", nargs="+", choices=every, default=usual, metavar="NAME")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["tron-fast"], metavar="NAME")
    parser.add_argument("--items", nargs="+", choices=[DENSE, *get_args(MadeBy)], metavar="FORM")
    parser.add_argument("--forms", nargs="+", default=["8x8"], help="splits x bits of the codes")
    parser.add_argument("--sessions", type=int, default=20_000, help="of training, at most; a tenth as many to test")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--hidden", type=int, help="width of the vectors and layers [the preset's]")
    parser.add_argument("--epochs", type=float, help="of all, whatever their schedule says of small logs")
    parser.add_argument("--max-seconds", type=float, help="of each training")
    parser.add_argument("--out", type=Path, help="JSON lines: one a training, kept as it comes and not measured again")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.items = args.items or [DENSE, "svd", "bpr", "random"]
    return args


if __name__ == "__main__":
    main()
