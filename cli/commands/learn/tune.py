"""`tune`: a search for the settings of a preset, for those who have the time."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options.common import Json, Threads
from cli.options.group import command, option
from cli.options.reading import Data, Reading
from cli.output import print_json, print_line, print_table, say, stderr

__all__ = ["app"]

app = typer.Typer()
SHOWN = 10  # trials of the leaderboard


@command(app, rich_help_panel="Train and measure")
def tune(
    data: Data,
    read: Reading,
    budget: Annotated[str, option(metavar="SPAN", help="How long to search: 30m, 8h.")] = "1h",
    trials: Annotated[int | None, option(metavar="N", help="And at most so many trials.", min=1)] = None,
    preset: Annotated[str, option(metavar="NAME", help="Named model, or file, to begin with.")] = "tron-fast",
    study: Annotated[
        Path, option(metavar="FILE", help="Where trials are kept: the same file goes on from there.")
    ] = Path("tune.journal"),
    out: Annotated[Path, option(metavar="FILE", help="The best, as a preset for train --preset FILE.")] = Path(
        "tuned.toml"
    ),
    min_support: Annotated[int, option(metavar="N", help="Leave out items with fewer clicks.", min=1)] = 1,
    seed: Annotated[int, option(metavar="N", help="Of trainings and of the search.", min=0)] = 0,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Search for the settings of a preset on a log, by its newest sessions held out; ends with a leaderboard."""
    from model.data.readers import read_log
    from model.data.split import split
    from model.machine.openmp import spin_briefly
    from model.machine.threads import use_threads
    from model.preset_files import base_and_settings, preset_toml
    from model.presets import preset as named
    from model.reports.console import show_progress
    from model.settings import read_settings, with_settings
    from model.trainer.config import read_span
    from model.tune.study import TuneConfig
    from model.tune.study import tune as search

    spin_briefly()
    base, given = base_and_settings(preset)
    fixed = read_settings(given)
    chosen = with_settings(named(base), fixed).override(seed=seed, threads=threads)
    config = TuneConfig(study=study, budget_s=read_span(budget), trials=trials, seed=seed)
    use_threads(threads)
    raw = read_log(data, read.options())
    for line in raw.report.told(str(data)):
        say(line)
    log, valid = split(raw, min_support=min_support)
    with show_progress(stderr) as on_progress:
        found = search(log, valid.thinned(chosen.train.valid_sessions), chosen, config, on_progress)
    if found.best:
        best = found.best[0]
        comment = f"Recall@20 {best.recall:.4f}, MRR@20 {best.mrr:.4f}: trial {best.number} of {study}"
        out.write_text(preset_toml(base, {**fixed, **best.settings}, comment), encoding="utf-8")
    if json:
        return print_json({**found.to_json(), "preset_file": str(out) if found.best else None})
    return _show(found, out)


def _show(found: Any, out: Path) -> None:
    names = list(found.best[0].settings) if found.best else []
    rows = [
        [one.number, f"{one.recall:.4f}", f"{one.mrr:.4f}", f"{one.seconds:.0f}", *map(_word, one.settings.values())]
        for one in found.best[:SHOWN]
    ]
    print_table(["trial", "recall@20", "mrr@20", "seconds", *names], rows)
    if found.importance:
        print_line("")
        print_table(["field", "importance"], [[name, f"{share:.0%}"] for name, share in found.importance.items()])
    counts = f"{len(found.best)} trials, {found.pruned} ended early, {found.failed} failed or cut short"
    print_line(f"{counts}; the best: nextclick train --preset {out}" if found.best else f"{counts}: no preset yet")


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
