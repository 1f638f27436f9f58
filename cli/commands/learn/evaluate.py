"""`evaluate`: the measures of a bundle, of a baseline, or of several of them side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import Json, Threads
from cli.options.group import command, option
from cli.options.reading import Data, Reading
from cli.output import output_kept, print_json, print_line, print_table, report, say, stdout
from export.errors import ConfigError

if TYPE_CHECKING:
    from model.data.readers import ReadOptions

__all__ = ["app"]

app = typer.Typer()
BASELINES = "popularity, next-item, items-after, co-occurrence, vmis-knn"


@command(app, rich_help_panel="Train and measure")
def evaluate(
    data: Data,
    read: Reading,
    systems: Annotated[
        list[str] | None, typer.Argument(help="With --compare: folders or URLs of bundles, and names of baselines.")
    ] = None,
    compare: Annotated[bool, option("--compare", help="Several systems on the same predictions.")] = False,
    bundle: Annotated[
        str | None, option(metavar="URL", help="Bundle (folder or URL), through the ranker that serves it.")
    ] = None,
    baseline: Annotated[str | None, option(metavar="NAME", help=f"{BASELINES}.")] = None,
    train: Annotated[
        Path | None,
        option(metavar="PATH", help="Log a baseline counts; with --bundle: to report what is in both logs."),
    ] = None,
    policy: Annotated[
        Path | None, option(metavar="FILE", help="With --bundle: lists by this TOML file, as the worker's --policy.")
    ] = None,
    placement: Annotated[str | None, option(metavar="NAME", help="Which list of that file.")] = None,
    items: Annotated[
        Path | None, option(metavar="PATH", help="What is known of the items, for that file: as the topic has it.")
    ] = None,
    cutoffs: Annotated[
        str, option("--cutoffs", metavar="N,N", help="Cut-offs of the measures, separated by commas.")
    ] = "20",
    by: Annotated[
        str | None, option(metavar="COLUMN", help="A further column of --data: figures by its values, too.")
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Recall, MRR, NDCG and coverage: full ranking, every position after the first.

    Also what lists are like (novelty, share of the popular, diversity), and figures with and without consecutive
    repeats, by clicks given, by how often an item is clicked, by --by. --compare gives intervals too, by bootstrap over
    sessions, and differences to the system named first.
    """
    from model.evaluate.report import evaluate_baseline, evaluate_bundle

    if policy is None and (placement is not None or items is not None):
        raise ConfigError("--placement and --items are for lists by a policy: name its file by --policy FILE")
    if compare and policy is not None:
        raise ConfigError("--policy needs a bundle: baselines and comparisons exclude nothing")
    if compare and (bundle is not None or baseline is not None):
        raise ConfigError("--compare takes its systems as arguments: leave out --bundle and --baseline")
    if compare:
        return _compare(systems or [], data, read.options(), train, _cutoffs(cutoffs), threads, by, json)
    if systems:
        raise ConfigError(f"{' '.join(systems)}: several systems are compared with --compare")
    if policy is not None and bundle is None:
        raise ConfigError("--policy needs a bundle: baselines and comparisons exclude nothing")
    if (bundle is None) == (baseline is None):
        raise ConfigError("name either --bundle DIR, or --baseline NAME with --train PATH")
    cuts = _cutoffs(cutoffs)
    if bundle is not None:
        metrics = evaluate_bundle(
            bundle,
            data,
            read.options(),
            cuts,
            threads,
            train=train,
            policy=policy,
            placement=placement,
            items=items,
            by=by,
            say=say,
        )
    elif train is None:
        raise ConfigError("a baseline counts a log: name it with --train PATH")
    else:
        metrics = evaluate_baseline(str(baseline), train, data, read.options(), cuts, by=by, say=say)
    if metrics["left_out"]:
        say(
            f"left out {metrics['left_out']:,.0f} of {metrics['clicks']:,.0f} clicks: on items that are not known, or "
            "in sessions of fewer than two known ones"
        )
    return _report(metrics, cuts, json)


def _compare(
    systems: list[str],
    data: Path,
    read: "ReadOptions",
    train: Path | None,
    cutoffs: tuple[int, ...],
    threads: int,
    by: str | None,
    json: bool,
) -> None:
    from model.evaluate.compare import compare_systems
    from model.evaluate.compare_table import print_comparison

    found = compare_systems(systems, data, read, train=train, cutoffs=cutoffs, threads=threads, by=by, say=say)
    if json:
        return print_json(found.to_json())
    with output_kept():
        print_comparison(found, stdout())
    for system in found.systems:
        print_line("")
        _print_groups(system.name, system.groups, cutoffs)
    return None


def _report(metrics: dict[str, Any], cutoffs: tuple[int, ...], json: bool) -> None:
    if json:
        return print_json(metrics)
    report({name: value for name, value in metrics.items() if name != "groups"}, json)
    print_line("")
    return _print_groups("by", metrics["groups"], cutoffs)


def _print_groups(title: str, groups: dict[str, Any], cutoffs: tuple[int, ...]) -> None:
    from model.evaluate.groups import rows

    measures = [f"{name}@{max(cutoffs)}" for name in ("recall", "mrr", "ndcg")]
    print_table([title, "", "predictions", "share", *measures], rows(groups, measures))


def _cutoffs(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"cut-offs are whole numbers separated by commas, not {text!r}") from error
