"""The quality table: every preset trained on every data set and judged on its test part, beside the baselines.

    python -m bench.learning.quality [--data-dir DIR] [--datasets recent full yoochoose_100k serenade tmall ...]
        [--presets tron ...] [--baselines popularity ...] [--seeds 0 1 2] [--epochs N] [--max-seconds S]
        [--budget 60s] [--out FILE] [--json]

A training is `nextclick train` in a process of its own, so its time and peak memory are its own; its bundle is judged
as `nextclick evaluate` does. `auto` is given the train part alone: it holds out a tenth of that by itself, and learns
it too in the end; the baselines count the same part. With --out each result is kept as it comes, and what FILE has is
not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from bench.data.datasets import DATASETS, Parts, make_parts, require
from export.errors import ConfigError, NextclickError
from model.auto.settle import AUTO
from model.data.readers import ReadOptions
from model.evaluate.baselines.baselines import BASELINES
from model.evaluate.metrics import MAIN, SECOND, label
from model.evaluate.report import evaluate_baseline, evaluate_bundle
from model.presets import PRESETS

ROOT = Path(__file__).parents[2]
USUAL_DATA = ROOT.parent / "shared" / "data"
METRICS = (MAIN, SECOND, f"valid_{MAIN}", f"valid_{SECOND}")
WIDTH = 150  # characters of the table where there is no terminal
COSTS = ("seconds", "sessions_per_s", "epochs")  # of a training; averaged over the seeds

Result = dict[str, Any]  # of one job: its fields, METRICS, COSTS, peak_memory_mb; a line of --out


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to measure; what is in --out under the same values is not measured again."""

    dataset: str
    system: str  # name of a preset or of a baseline
    kind: Literal["preset", "baseline", "authors"]  # the last: of bench.learning.authors
    seed: int | None = None  # None: baselines have none
    epochs_asked: float | None = None  # None: the preset's
    max_seconds: float | None = None  # None: no limit
    budget: str | None = None  # of the whole command; None: as long as it takes

    @property
    def name(self) -> str:
        """Return the system as the table calls it."""
        return self.system if self.budget is None else f"{self.system} {self.budget}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA, help="folder of the data sets")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS), metavar="NAME")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, metavar="NAME", help="[all, if no baselines either]")
    parser.add_argument("--baselines", nargs="+", choices=BASELINES, metavar="NAME", help="[all, if no presets either]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=float, help="[the preset's]")
    parser.add_argument("--max-seconds", type=float, help="of each training")
    parser.add_argument("--budget", metavar="TIME", help="of each training, all of it: 60s, 10m")
    parser.add_argument("--out", type=Path, help="JSON lines: one a result, kept as it comes")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    args = parser.parse_args()
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)  # now, not after the first training
        args.out.touch()
    try:
        results, failed = measure_all(jobs_of(args), args.data_dir, args.out)
    except NextclickError as error:
        sys.exit(f"error: {error}")
    rows = aggregate(results)
    shown_on = sys.stderr if args.json else sys.stdout
    Console(file=shown_on, width=None if shown_on.isatty() else WIDTH).print(table(rows))
    if args.json:
        print(json.dumps({"rows": rows}))
    sys.exit(1 if failed else 0)


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """Return what the options ask for, data set by data set; all systems where none is named."""
    every = not args.presets and not args.baselines
    presets, baselines = args.presets or (PRESETS if every else ()), args.baselines or (BASELINES if every else ())
    limits = {"epochs_asked": args.epochs, "max_seconds": args.max_seconds, "budget": args.budget}
    jobs = []
    for dataset in args.datasets:
        jobs += [Job(dataset=dataset, system=name, kind="baseline") for name in baselines]
        for name in presets:
            jobs += [Job(dataset=dataset, system=name, kind="preset", seed=seed, **limits) for seed in args.seeds]
    return jobs


def measure_all(jobs: Sequence[Job], data_dir: Path, out: Path | None) -> tuple[list[Result], int]:
    """Return the results of all jobs in their order, and how many failed; a failure is said and passed over.

    ConfigError where a data set is not in `data_dir`, before anything is measured.
    """
    known = {job_of(result): result for result in read_results(out)} if out else {}
    missing = [job for job in jobs if job not in known]
    for dataset in dict.fromkeys(job.dataset for job in missing):
        require(dataset, data_dir)
    for dataset in dict.fromkeys(job.dataset for job in missing):
        with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as folder:
            parts = make_parts(dataset, data_dir, Path(folder))
            for job in missing:
                if job.dataset == dataset and (result := try_measure(job, parts)):
                    known[job] = result
                    append_result(out, result)
    return [known[job] for job in jobs if job in known], sum(job not in known for job in jobs)


def try_measure(job: Job, parts: Parts) -> Result | None:
    """Return the result of a job, None where it failed; either is said on stderr."""
    name = f"{job.dataset} {job.name}" + ("" if job.seed is None else f" seed {job.seed}")
    try:
        figures = measure_preset(job, parts) if job.kind == "preset" else measure_baseline(job.system, parts)
    except (NextclickError, subprocess.CalledProcessError) as error:
        print(f"{name}: failed: {error}", file=sys.stderr, flush=True)
        return None
    test = ", ".join(f"{label(name)} {figures[name]:.4f}" for name in (MAIN, SECOND))
    print(f"{name}: {test}, {figures['seconds']:.1f} s", file=sys.stderr, flush=True)
    return {**asdict(job), **figures, "cpus": os.cpu_count(), "commit": commit()}


def measure_preset(job: Job, parts: Parts) -> Result:
    """Train a preset and judge its bundle. CalledProcessError where the training fails."""
    with tempfile.TemporaryDirectory(prefix="nextclick-bench-") as registry:
        began = time.perf_counter()
        done = subprocess.run(
            train_command(job, parts, Path(registry)), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        seconds = time.perf_counter() - began  # of the whole command: reading, training, export, evaluation
        summary = json.loads(done.stdout.splitlines()[-1])
        test = evaluate_bundle(Path(summary["bundle"]), parts.test, ReadOptions())
    costs = {"seconds": round(seconds, 1), **{name: summary[name] for name in (*COSTS[1:], "peak_memory_mb")}}
    return {**metrics_of(test, summary["valid"]), **costs}


def train_command(job: Job, parts: Parts, registry: Path) -> list[str]:
    """Return the command line that trains a job's preset."""
    valid = None if job.system == AUTO else parts.valid
    options: dict[str, object] = {"data": parts.train, "valid": valid, "registry": registry, "preset": job.system}
    options |= {"seed": job.seed, "budget": job.budget}
    options |= {"epochs": job.epochs_asked, "max-seconds": job.max_seconds}
    given = [word for name, value in options.items() if value is not None for word in (f"--{name}", text_of(value))]
    return [sys.executable, "-m", "nextclick", "train", *given, "--json"]


def text_of(value: object) -> str:
    """Return an option's value as text; whole numbers without a point, which integer options refuse."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def measure_baseline(name: str, parts: Parts) -> Result:
    """Count a baseline on train and judge it; `seconds` are those of both evaluations, counting included."""
    began = time.perf_counter()
    valid, test = (evaluate_baseline(name, parts.train, part, ReadOptions()) for part in (parts.valid, parts.test))
    seconds = round(time.perf_counter() - began, 1)
    return {**metrics_of(test, valid), **dict.fromkeys((*COSTS, "peak_memory_mb")), "seconds": seconds}


def metrics_of(test: dict[str, float], valid: dict[str, float]) -> Result:
    """Return METRICS from the figures of both parts."""
    return {name: (valid if "valid_" in name else test)[name.removeprefix("valid_")] for name in METRICS}


def job_of(result: Result) -> Job:
    """Return the job that gave a result."""
    known: Result = {name: result.get(name) for name in Job.__slots__}
    return Job(**known)


def read_results(out: Path) -> list[Result]:
    """Return the results that --out holds, without lines that a kill has torn; ConfigError for another kind of file."""
    found = []
    for line in out.read_bytes().splitlines() if out.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    if any(not isinstance(result, dict) or not {"dataset", "system", *METRICS} <= result.keys() for result in found):
        raise ConfigError(f"{out} holds something else than results of this benchmark: name another file with --out")
    return found


def append_result(out: Path | None, result: Result) -> None:
    """Add a line to --out, below a torn one if need be."""
    if out is None:
        return
    torn = out.is_file() and out.read_bytes()[-1:] not in (b"", b"\n")
    with out.open("a") as file:
        file.write("\n" * torn + json.dumps(result) + "\n")


def commit() -> str:
    """Return the commit that was measured, with `-dirty` where files differ from it; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def aggregate(results: Iterable[Result]) -> list[Result]:
    """Return one row a data set and system: means over the seeds, standard deviations, and the largest memory."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result["dataset"], job_of(result).name), []).append(result)
    return [row_of(group) for group in groups.values()]


def row_of(group: Sequence[Result]) -> Result:
    """Return the row of one system on one data set; `NAME_std` is null for a single seed."""
    row: Result = {name: group[0][name] for name in ("dataset", "kind")}
    row["system"] = job_of(group[0]).name
    row["seeds"] = [result["seed"] for result in group if result["seed"] is not None]
    for name in METRICS:
        values = [result[name] for result in group]
        if values[0] is None:  # was not judged on that part
            row[name] = row[f"{name}_std"] = None
            continue
        row[name] = statistics.fmean(values)
        row[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else None
    for name in COSTS:
        row[name] = None if group[0][name] is None else statistics.fmean(result[name] for result in group)
    row["peak_memory_mb"] = max((result["peak_memory_mb"] for result in group), key=lambda peak: peak or 0.0)
    return row


def table(rows: Sequence[Result]) -> Table:
    """Return the rows for people."""
    shown = Table("data set", "system", "seeds", box=None)
    titles = ("Recall@20", "MRR@20", "valid Recall", "valid MRR", "s", "sessions/s", "peak MiB", "epochs")
    for title in titles:
        shown.add_column(title, justify="right")
    for row in rows:
        costs = (row["seconds"], row["sessions_per_s"], row["peak_memory_mb"])
        shown.add_row(
            row["dataset"],
            row["system"],
            " ".join(map(str, row["seeds"])),
            *("" if row[name] is None else with_spread(row[name], row[f"{name}_std"]) for name in METRICS),
            *("" if cost is None else f"{cost:,.0f}" for cost in costs),
            "" if row["epochs"] is None else f"{row['epochs']:.3g}",
        )
    return shown


def with_spread(mean: float, std: float | None) -> str:
    """Return `0.7266`, or `0.7266 ± 0.0012` where there is a spread."""
    return f"{mean:.4f}" if std is None else f"{mean:.4f} ± {std:.4f}"


if __name__ == "__main__":
    main()
