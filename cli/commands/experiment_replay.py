"""`experiment replay`: an experiment on history."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import Json, ListLength, Threads
from cli.options.group import command, option
from cli.options.reading import Data, Reading
from cli.output import print_line, print_table, report, say, tell_read
from export.errors import ConfigError

__all__ = ["app"]

app = typer.Typer()


@command(app, "replay")
def replay(
    data: Data,
    read: Reading,
    variant: Annotated[
        list[str],
        option("--variant", metavar="NAME=BUNDLE", help="A model, its folder or URL; the control first, two or more."),
    ],
    interleave: Annotated[bool, option("--interleave", help="One list of both, by team draft.")] = False,
    name: Annotated[str, option(help="Of the experiment: another one assigns sessions otherwise.")] = "replay",
    k: ListLength = 20,
    exclude_seen: Annotated[bool, option("--exclude-seen", help="Keep items of the session out of its list.")] = False,
    policy: Annotated[
        Path | None, option(metavar="FILE", help="Lists by this TOML file, as the worker's --policy.")
    ] = None,
    placement: Annotated[str | None, option(metavar="NAME", help="Which list of that file.")] = None,
    items: Annotated[
        Path | None, option(metavar="PATH", help="What is known of the items, for that file: as the topic has it.")
    ] = None,
    alpha: Annotated[float, option(help="False alarms over all looks together.")] = 0.05,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Compare models on a log: sessions are assigned, ranked and judged as live."""
    from export.bundle.bundle import load_bundle
    from export.experiments.sequence import SequenceConfig
    from export.policy.unknown import say_unknown
    from export.ranking.ranker import Ranker, RankerConfig
    from export.registry.addresses import local_bundle
    from model.data.readers import read_log
    from model.evaluate.by_policy import one_list
    from model.evaluate.replay import ReplayConfig, replay_experiment
    from model.evaluate.report import read_items_aloud

    named = dict(_pair(text) for text in variant)
    if len(named) < len(variant):
        raise ConfigError("two variants have the same name")
    if policy is None and (placement is not None or items is not None):
        raise ConfigError("--placement and --items are for lists by a policy: name its file by --policy FILE")
    config = ReplayConfig(
        name=name,
        k=k,
        exclude_seen=exclude_seen,
        lists=None if policy is None else one_list(policy, placement, k),
        table=None if items is None else read_items_aloud(items, say),
        interleave=interleave,
        sequence=SequenceConfig(alpha=alpha),
    )
    rankers = {
        label: Ranker(load_bundle(local_bundle(address)), RankerConfig(threads=threads))
        for label, address in named.items()
    }
    if config.lists is not None:
        for ranker in rankers.values():
            for line in say_unknown(config.lists, ranker.vocabulary, ranker.version, config.table):
                say(line)
    raw = read_log(data, read.options())
    tell_read(str(data), raw.report)
    found = replay_experiment(raw, rankers, config)
    if json:
        return report(found.to_json(), json)
    columns = list(dict.fromkeys(key for figures in found.variants.values() for key in figures))
    rows = [[label, *(_word(figures.get(column)) for column in columns)] for label, figures in found.variants.items()]
    print_table(["variant", *columns], rows)
    for label, one in found.uplift.items():
        low, high = one.interval or (None, None)
        sure = "too few sessions for an interval" if low is None or high is None else f"{low:+.1%} to {high:+.1%}"
        print_line(f"{label}: hit rate {one.relative or 0.0:+.1%} of the control's ({sure})")
    if found.preferred is not None:
        print_line(", ".join(f"{label} {_word(value)}" for label, value in found.preferred.items()))
    if not found.sample_ratio_ok:
        print_line("the sessions are not in the promised shares: something is wrong with the ids of the log")
    return None


def _pair(text: str) -> tuple[str, str]:
    label, equals, address = text.partition("=")
    if not equals or not label or not address:
        raise ConfigError(f"--variant takes NAME=BUNDLE, such as control=./registry/1, not {text!r}")
    return label, address


def _word(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
