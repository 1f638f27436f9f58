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
wanted by somebody in training, which popularity alone does not tell apart. `leave out`: the lists without what the
session had skipped or disliked. The second table moves those lists away from it, as a worker does by a policy's `push`
for dislikes (here for skips as well). `to reach` is the share of the training time of the model without feedback after
which validation's pairwise accuracy is its best.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.learning.prefixes import mean_reciprocal, ranks_of, scores_of, share
from bench.learning.small import FILES, Data, Row, Watched, ended, kept, load, options, rounded, sized
from model.config import Preset
from model.evaluate.metrics import MAIN, SECOND
from model.evaluate.pairwise import ACCURACY, Pairs, find_pairs, pairwise_accuracy
from model.nets.encoder import Encoder

EPOCHS = {("kuairand", "tron"): 40, ("kuairand", "sasrec"): 40, ("trivago", "tron"): 20, ("trivago", "sasrec"): 30}
VARIANTS = {"nothing": "", "inputs": "-feedback-inputs", "targets": "-feedback-targets", "both": "-feedback"}
WITH_TARGETS = ("targets", "both")
HARD = "pairwise_hard"
COUNTS = (16, 64, 256, 1_024, 4_096)
PUSHES = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = options(__doc__, None)
    parser.add_argument("what", nargs="?", choices=["variants", "negatives"], default="variants")
    parser.add_argument("--datasets", nargs="+", choices=FILES, default=list(FILES), metavar="NAME")
    parser.add_argument("--presets", nargs="+", choices=["tron", "sasrec"], default=["tron", "sasrec"], metavar="NAME")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS), help="random negatives a batch")
    parser.add_argument("--uniform", type=int, default=2_048, help="tron's random negatives a batch")
    parser.add_argument("--own-of", nargs="+", choices=["session", "before"], help="of which negatives [the preset's]")
    parser.add_argument("--own-weight", type=float, help="what an own negative counts [the preset's]")
    parser.add_argument("--plot", type=Path, help="svg or png of accuracy over the number of random negatives")
    args = parser.parse_args()

    def measured() -> list[Row]:
        rows = [row for name in args.datasets for row in measure(name, args)]
        if args.plot:
            draw(rows, args.plot)
        return rows

    ended(args, measured, table, table_of_pushes)


def measure(dataset: str, args: argparse.Namespace) -> list[Row]:
    """Return a row for each preset, variant (or number of negatives) and seed."""
    data = cache(partial(load, args.data_dir, dataset))

    def one(job: Row) -> Row:
        return train(data(), chosen(job, args))

    return [kept(args.out, job, partial(one, job)) for job in jobs(dataset, args)]


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
            "own_of": own_of,
            "own_weight": args.own_weight or 0.0,
        }
        for name in presets
        for count in counts
        for variant in variants
        for own_of in (args.own_of or [""] if variant in WITH_TARGETS else [""])
        for seed in args.seeds
    ]


def chosen(job: Row, args: argparse.Namespace) -> Preset:
    """Return the preset of a job with the options of this benchmark."""
    top = min(100, job["uniform"]) if job["preset"] == "tron" else None
    drawn = {"uniform": job["uniform"], "top": top, "in_batch": min(127, job["uniform"])} if top else {}
    own = {"own_of": job["own_of"] or None, "own_weight": args.own_weight}
    name = job["preset"] + VARIANTS[job["variant"]]
    return sized(name, job["dataset"], args, epochs=job["epochs"], seed=job["seed"], **own, **drawn)


def train(data: Data, one: Preset) -> Row:
    """Return the figures of one training: of its best epoch on test, and validation's curve."""
    valid_pairs, curve = find_pairs(data.valid), []

    def watch(trainer: Watched, figures: dict[str, float]) -> dict[str, float]:
        found = pairwise_accuracy(scores_of(trainer.judged, data.valid), data.valid, valid_pairs)
        curve.append((round(trainer.seconds, 1), figures[MAIN], found[ACCURACY]))
        return figures

    trained = Watched(data, one, watch).run()
    encoder = trained.encoders[0]
    test = data.test
    pairs = find_pairs(test)
    liked = data.train.popularity()[pairs.unwanted - 1] > 0
    hard = Pairs(pairs.session[liked], pairs.end[liked], pairs.wanted[liked], pairs.unwanted[liked])
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
    return {**rounded(row), "pushes": pushed(encoder, data, pairs, hard)}


def pushed(encoder: Encoder, data: Data, pairs: Pairs, hard: Pairs) -> list[Row]:
    """Return the figures of lists that are moved away from what the session refused, and hold none of it."""
    found = []
    for push in PUSHES:
        ranks, score = ranks_of(encoder, data.test, push=push)[1], scores_of(encoder, data.test, push)
        row = {
            "push": push,
            MAIN: share(ranks),
            SECOND: mean_reciprocal(ranks),
            ACCURACY: pairwise_accuracy(score, data.test, pairs)[ACCURACY],
            HARD: pairwise_accuracy(score, data.test, hard).get(ACCURACY, float("nan")),
        }
        found.append(rounded(row))
    return found


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
        groups.setdefault((row["dataset"], row["preset"], row["uniform"], label(row)), []).append(row)
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


def label(row: Row) -> str:
    """Return what a model is told, and of which own negatives where the benchmark was asked for that."""
    return f"{row['variant']}, {row['own_of']}" if row["own_of"] else str(row["variant"])


def table_of_pushes(rows: Sequence[Row]) -> Table:
    """Return what moving away from what was refused does to the same models, means over seeds."""
    found = Table("data", "preset", "negatives", "feedback", "push", "Recall@20", "MRR@20", "pairwise", "hard pairs")
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        for one in row.get("pushes", []):
            key = (row["dataset"], row["preset"], row["uniform"], label(row), one["push"])
            groups.setdefault(key, []).append(one)
    for key, group in groups.items():
        means = [statistics.mean(one[measure] for one in group) for measure in (MAIN, SECOND, ACCURACY, HARD)]
        found.add_row(*map(str, key), *(f"{mean:.4f}" for mean in means))
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
