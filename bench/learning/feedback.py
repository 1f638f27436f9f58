"""What skips and dislikes are worth: nothing, as inputs, as negative targets, or both.

    python -m bench.learning.feedback [--data-dir DIR] [--datasets kuairand trivago] [--presets tron sasrec]
        [--seeds 0 1 2] [--epochs N] [--out FILE] [--json]
    python -m bench.learning.feedback negatives [--counts 16 64 256 1024 4096] [--plot docs/negatives.svg]

Logs are cut by time as `nextclick train` cuts them, once for test and once for validation; the catalogue, the same for
all, has every item with enough events of any kind in training (Kuairand one, Trivago three). Hotels that were shown
with a click-out stand before it in the file of Trivago; here they follow it, since nobody knows what was skipped before
something was clicked.

Reported for the epoch that validates best by Recall@20: Recall@20 and MRR@20 of every wanted event but a session's
first, and pairwise accuracy (model/evaluate/pairwise.py), over all pairs and over those whose unwanted item was
wanted by somebody in training, which popularity alone does not tell apart. `leave out` is a control: the
lists of the model without feedback, with what the session had skipped or disliked left out. `to reach` is the share of
the training time of the model without feedback after which validation's pairwise accuracy is its best.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from export.events import KINDS
from model.config import Preset
from model.data.log import SessionLog
from model.data.readers import RawLog, ReadOptions, build_log, read_log
from model.data.split import hold_out
from model.evaluate.metrics import MAIN, SECOND
from model.evaluate.pairwise import ACCURACY, Pairs, Scores, find_pairs, pairwise_accuracy
from model.learn.train import Trainer
from model.machine.openmp import spin_briefly
from model.nets.encoder import Encoder
from model.presets import preset

ROOT = Path(__file__).parents[2]
USUAL_DATA = ROOT.parent / "shared" / "data"
FILES = {"kuairand": "kuairand_feedback.parquet", "trivago": "large_trivago_impressions.parquet"}
EPOCHS = {("kuairand", "tron"): 40, ("kuairand", "sasrec"): 40, ("trivago", "tron"): 20, ("trivago", "sasrec"): 30}
RATES = {"kuairand": 1e-3, "trivago": 3e-3}  # of learning
VARIANTS = {"nothing": "", "inputs": "-feedback-inputs", "targets": "-feedback-targets", "both": "-feedback"}
HARD = "pairwise_hard"
MIN_SUPPORT = {"kuairand": 1, "trivago": 3}  # events of any kind, in training
COUNTS = (16, 64, 256, 1_024, 4_096)

Row = dict[str, Any]


class Data(NamedTuple):
    """A data set in three by time, over one catalogue."""

    train: SessionLog
    valid: SessionLog
    test: SessionLog


def main() -> None:
    spin_briefly()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["variants", "negatives"], default="variants")
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--datasets", nargs="+", choices=FILES, default=list(FILES), metavar="NAME")
    parser.add_argument("--presets", nargs="+", choices=["tron", "sasrec"], default=["tron", "sasrec"], metavar="NAME")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS), help="random negatives a batch")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--epochs", type=int, help="instead of as many as a data set and preset get")
    parser.add_argument("--hidden", type=int, default=64, help="width of the encoder")
    parser.add_argument("--uniform", type=int, default=2_048, help="tron's random negatives a batch")
    parser.add_argument("--own-of", choices=["session", "before"], help="of which negatives [the preset's]")
    parser.add_argument("--own-weight", type=float, help="what an own negative counts [the preset's]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="svg or png of accuracy over the number of random negatives")
    parser.add_argument("--out", type=Path, help="each result is kept there as it comes, and not measured again")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = [row for name in args.datasets for row in measure(name, args)]
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console(width=140).print(table(rows))
    if args.plot:
        draw(rows, args.plot)


def load(file: Path, min_support: int) -> Data:
    """Return a data set. DataError where its file is missing."""
    raw = in_order(read_log(file, ReadOptions(kinds=frozenset(KINDS))))
    rest, test = hold_out(raw)
    older, valid = hold_out(rest)
    train = build_log(older, min_support=min_support)
    return Data(train, build_log(valid, train.vocabulary), build_log(test, train.vocabulary))


def in_order(raw: RawLog) -> RawLog:
    """Return the log with skips behind what is as old."""
    no = np.isin(raw.kinds, [KINDS.index("skip"), KINDS.index("dislike")])
    return raw.select(np.argsort(no, kind="stable"))


def measure(dataset: str, args: argparse.Namespace) -> list[Row]:
    """Return a row for each preset, variant (or number of negatives) and seed."""
    data: Data | None = None
    rows = []
    for job in jobs(dataset, args):
        if (row := kept(args.out, job)) is None:
            data = data or load(args.data_dir / FILES[dataset], MIN_SUPPORT[dataset])
            row = {**job, **train(data, chosen(job, args))}
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps(row) + "\n")
        print(
            " ".join(f"{name}={value}" for name, value in row.items() if name != "curve"), file=sys.stderr, flush=True
        )
        rows.append(row)
    return rows


def jobs(dataset: str, args: argparse.Namespace) -> list[Row]:
    """Return what is measured, each as the fields of its row that say so."""
    counts = args.counts if args.what == "negatives" else [args.uniform]
    variants = [name for name in args.variants if args.what == "variants" or name in ("nothing", "targets")]
    presets = args.presets if args.what == "variants" else ["tron"]
    return [
        {
            "dataset": dataset,
            "preset": name,
            "variant": variant,
            "seed": seed,
            "epochs": args.epochs or EPOCHS[dataset, name],
            "hidden": args.hidden,
            "uniform": count if name == "tron" else 1,
            "own_of": args.own_of or "",
            "own_weight": args.own_weight or 0.0,
        }
        for name in presets
        for count in counts
        for variant in variants
        for seed in args.seeds
    ]


def kept(file: Path | None, job: Row) -> Row | None:
    """Return the row of a job that was measured before."""
    lines = file.read_text().splitlines() if file is not None and file.exists() else []
    found = (json.loads(line) for line in lines)
    return next((row for row in found if all(row.get(name) == value for name, value in job.items())), None)


def chosen(job: Row, args: argparse.Namespace) -> Preset:
    """Return the preset of a job with the options of this benchmark."""
    one = preset(job["preset"] + VARIANTS[job["variant"]])
    top = min(100, job["uniform"]) if job["preset"] == "tron" else None
    drawn = {"uniform": job["uniform"], "top": top, "in_batch": min(127, job["uniform"])} if top else {}
    return one.override(
        hidden=job["hidden"],
        feed_forward=job["hidden"],
        epochs=job["epochs"],
        batch=32,
        lr=RATES[job["dataset"]],
        dropout=0.2,
        seed=job["seed"],
        threads=args.threads,
        own_of=args.own_of,
        own_weight=args.own_weight,
        **drawn,
    )


def train(data: Data, one: Preset) -> Row:
    """Return the figures of one training: of its best epoch on test, and validation's curve."""
    valid_pairs, curve = find_pairs(data.valid), []
    trainer = Trainer(data.train, data.valid, one, run="")
    measured = trainer.validate

    def validate() -> dict[str, float]:
        figures = measured()
        found = pairwise_accuracy(scores_of(trainer.encoder.eval(), data.valid), data.valid, valid_pairs)
        curve.append((round(trainer.seconds, 1), figures[MAIN], found[ACCURACY]))
        return figures

    trainer.validate = validate  # type: ignore[method-assign]
    trained = trainer.run()
    encoder = trained.encoders[0]
    test = data.test
    pairs = find_pairs(test)
    kept = data.train.popularity()[pairs.unwanted - 1] > 0
    hard = Pairs(pairs.session[kept], pairs.end[kept], pairs.wanted[kept], pairs.unwanted[kept])
    score = scores_of(encoder, test)
    ranks, without = ranks_of(encoder, test)
    row = {
        "items": len(data.train.vocabulary),
        "seconds": round(trained.seconds, 1),
        MAIN: share(ranks),
        SECOND: mean_reciprocal(ranks),
        "leave out": share(without),
        ACCURACY: pairwise_accuracy(score, test, pairs)[ACCURACY],
        HARD: pairwise_accuracy(score, test, hard).get(ACCURACY, float("nan")),
        "pairs": len(pairs.end),
        "pairs_hard": len(hard.end),
        "curve": curve,
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def share(ranks: NDArray[np.int64]) -> float:
    """Return Recall@20."""
    return float((ranks <= 20).mean())


def mean_reciprocal(ranks: NDArray[np.int64]) -> float:
    """Return MRR@20."""
    return float(np.where(ranks <= 20, 1 / ranks, 0).mean())


def vectors(
    encoder: Encoder,
    log: SessionLog,
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    preference: float | None = None,
) -> torch.Tensor:
    """Return the vector of each prefix, (B, H), as the exported graph has it."""
    typed, window = encoder.config.typed, encoder.config.window
    rows = [np.arange(a, b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    if not typed:
        rows = [row[log.is_wanted[row]] for row in rows]
    rows = [row[-window:] for row in rows]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    kinds = torch.zeros_like(ids)
    assert log.kinds is not None
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.from_numpy(log.items[row].astype(np.int64))
        kinds[place, : len(row)] = torch.from_numpy(log.kinds[row].astype(np.int64))
    with torch.inference_mode():
        told = None if preference is None else torch.full((len(rows),), preference)
        return encoder.last(ids, kinds=kinds if typed else None, preference=told)


def scores_of(encoder: Encoder, log: SessionLog) -> Scores:
    """Return what an encoder says of given items after prefixes of a log."""

    def scores(starts: NDArray[np.int64], ends: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = vectors(encoder, log, starts, ends) @ encoder.table[torch.from_numpy(items).long()].T
        return np.asarray(found.numpy(), np.float32)

    return scores


def ranks_of(
    encoder: Encoder, log: SessionLog, preference: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rank of each wanted event but a session's first, and that without what the session said no to."""
    targets = log.predicted
    starts = np.repeat(log.offsets[:-1], log.lengths)[targets]
    ranks, without = np.empty(len(targets), np.int64), np.empty(len(targets), np.int64)
    order = np.argsort(targets - starts, kind="stable")
    table = encoder.table[1:].detach()
    for first in range(0, len(order), 128):
        part = order[first : first + 128]
        scores = vectors(encoder, log, starts[part], targets[part], preference) @ table.T
        own = scores[torch.arange(len(part)), torch.from_numpy(log.items[targets[part]]).long() - 1]
        ranks[part] = (scores >= own[:, None]).sum(dim=1).numpy()
        for place, at in enumerate(part.tolist()):
            row = np.arange(starts[at], targets[at])
            no = row[~log.is_wanted[row]]
            scores[place, torch.from_numpy(log.items[no]).long() - 1] = -torch.inf
        left = scores >= own[:, None]
        gone = scores[torch.arange(len(part)), torch.from_numpy(log.items[targets[part]]).long() - 1] == -torch.inf
        without[part] = torch.where(gone, torch.tensor(1 << 30), left.sum(dim=1)).numpy()
    return ranks, without


def to_reach(rows: Sequence[Row], row: Row) -> float | None:
    """Return after which share of its time a row has the best accuracy of the same training without feedback."""
    same = ("dataset", "preset", "seed", "uniform", "epochs", "hidden")
    plain = next((r for r in rows if r["variant"] == "nothing" and all(r[n] == row[n] for n in same)), None)
    if plain is None:
        return None
    best = max(accuracy for _, _, accuracy in plain["curve"])
    own = next((seconds for seconds, _, accuracy in row["curve"] if accuracy >= best), None)
    took = next(seconds for seconds, _, accuracy in plain["curve"] if accuracy >= best)
    return None if own is None else own / max(took, 0.1)


def table(rows: Sequence[Row]) -> Table:
    """Return the rows, means over seeds."""
    found = Table(*["data", "preset", "negatives", "feedback", "seeds", "Recall@20", "MRR@20", "leave out"])
    for name in ("pairwise", "hard pairs", "to reach", "train s"):
        found.add_column(name)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["preset"], row["uniform"], row["variant"]), []).append(row)
    for (data, name, count, variant), group in groups.items():
        reached = [share for row in group if (share := to_reach(rows, row)) is not None]
        cells = [data, name, str(count), variant, str(len(group))]
        for measure in (MAIN, SECOND, "leave out", ACCURACY, HARD):
            values = [row[measure] for row in group]
            spread = f" ±{statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread}")
        cells.append(f"{statistics.mean(reached):.0%} ({len(reached)} of {len(group)})" if reached else "never")
        cells.append(f"{statistics.mean(row['seconds'] for row in group):.0f}")
        found.add_row(*cells)
    return found


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw accuracy over the number of random negatives, a line for each data set with and without own negatives."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    with mpl.rc_context({"svg.hashsalt": "nextclick"}):  # the same figures give the same file
        figure, axes = pyplot.subplots(1, len(datasets), figsize=(5 * len(datasets), 3.5), squeeze=False)
        for axis, dataset in zip(axes[0], datasets, strict=True):
            for variant in dict.fromkeys(row["variant"] for row in rows):
                own = [row for row in rows if (row["dataset"], row["variant"]) == (dataset, variant)]
                counts = sorted({row["uniform"] for row in own})
                for measure, style in ((ACCURACY, "-"), (MAIN, "--")):
                    means = [statistics.mean(row[measure] for row in own if row["uniform"] == c) for c in counts]
                    label = f"{'own negatives too' if variant == 'targets' else 'random alone'}, "
                    label += "pairwise" if measure == ACCURACY else "Recall@20"
                    axis.plot(counts, means, style, marker="o", label=label)
            axis.set(title=dataset, xscale="log", xlabel="random negatives a batch", ylim=(0, 1))
            axis.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(path, format=path.suffix[1:], metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
