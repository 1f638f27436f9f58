"""`recommend`: one list by hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import BundleAddress, Json, ListLength
from cli.options.group import command, option
from cli.output import print_table, report, say
from export.errors import ConfigError
from export.id_lists import given_id, read_id_list

if TYPE_CHECKING:
    from export.policy.config import ListsConfig
    from export.policy.maker import ListMaker
    from export.ranking.popularity import RankedList
    from export.ranking.ranker import Ranker

__all__ = ["app"]

app = typer.Typer()
_NAMED = 3  # unknown items that are named


@command(app, rich_help_panel="Train and measure")
def recommend(
    bundle: BundleAddress,
    items: Annotated[
        str | None, option(metavar="A,B,C", help="The session's items, oldest first, separated by commas.")
    ] = None,
    item: Annotated[
        list[str] | None,
        option(metavar="ID", help="One item, as it is: for ids with commas. Repeatable, oldest first."),
    ] = None,
    items_file: Annotated[
        Path | None, option(metavar="FILE", help="The items from a file, one id a line, oldest first.")
    ] = None,
    dislike: Annotated[
        list[str] | None, option(metavar="ID", help="An item that the session dislikes. Repeatable.")
    ] = None,
    policy: Annotated[
        Path | None, option(metavar="FILE", help="Lists by this TOML file, as the worker's --policy.")
    ] = None,
    placement: Annotated[
        str | None, option(metavar="NAME", help="One list of the policy [all]; its k, or else --k, says how long.")
    ] = None,
    catalogue: Annotated[
        Path | None, option(metavar="PATH", help="Files of what is known of the items, as the topic items has it.")
    ] = None,
    k: ListLength = 20,
    json: Json = False,
) -> None:
    """One list by hand from a bundle; with a policy, one for each placement."""
    from export.bundle.bundle import load_bundle
    from export.policy.config import ListsConfig, read_lists
    from export.policy.maker import ListMaker
    from export.policy.one_list import OneList
    from export.policy.shopper import Shopper
    from export.ranking.ranker import Ranker, RankerConfig
    from export.registry.addresses import local_bundle

    session, disliked = _session(items, item, items_file), [given_id(one, "--dislike") for one in dislike or []]
    config = ListsConfig.single(k) if policy is None else read_lists(policy, k)
    if placement is not None:
        config = OneList(file=policy, placement=placement, k=k).read()
    ranker = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(warm_up=False))
    if policy is None or "k" not in ranker.takes:  # what a policy asks for is ranked as deep as needed, as in a worker
        ranker.check_k(config.k_max)
    shopper = Shopper([*session, *disliked], "c" * len(session) + "d" * len(disliked))
    maker = ListMaker(ranker, config) if catalogue is None else _informed(ranker, config, catalogue)
    lists = list(zip(config.placements, maker.make([shopper])[0], strict=True))  # with which newer items are known
    _say_unknown(config, maker, [*session, *disliked])
    if catalogue is None and config.reads_items:
        say("nothing is known of the items, so filters, caps and boosts do nothing: name their files by --catalogue")
    if json:
        shown = [{"placement": place.name, **_shown(made)} for place, made in lists]
        return report({"lists": shown} if lists[0][0].name else _shown(lists[0][1]), json)
    for place, made in lists:
        if place.name:
            say(f"{place.name}:")
        rows = [[n, item, f"{score:.4f}"] for n, (item, score) in enumerate(made.items, 1)]
        print_table(["rank", "item", "score"], rows)
        if len(rows) < place.k:
            say(f"{len(rows)} of {place.k} items: nothing else may be shown")
    if lists[0][1].fallback:
        say("the bundle knows none of these items: this is the popularity list")
    return None


def _say_unknown(config: "ListsConfig", maker: "ListMaker", items: list[str]) -> None:
    from export.policy.unknown import say_attributes, say_unknown

    unknown = [one for one in dict.fromkeys(items) if one not in maker.vocabulary]
    if unknown:
        named = ", ".join(map(repr, unknown[:_NAMED]))
        say(f"model {maker.version} does not know {len(unknown)} of the session's items, such as {named}")
    for line in (
        *say_unknown(config, maker.vocabulary, maker.version, maker.table),
        say_attributes(config, maker.table),
    ):
        if line:
            say(line)


def _informed(ranker: "Ranker", config: "ListsConfig", path: Path) -> "ListMaker":
    """Who makes lists of items about which files say something, newer ones among them where the model has a tower."""
    from export.policy.catalogue import Newcomers
    from export.policy.maker import ListMaker
    from model.evaluate.report import read_items_aloud

    table = read_items_aloud(path, say)
    maker = ListMaker(ranker, config, table)
    if "rows" in ranker.takes:
        newer = Newcomers(ranker.bundle, table, maker.catalogue, vectors_of=ranker.vectors_of).look()
        if newer is not None:
            maker.take(newer)
    return maker


def _shown(made: "RankedList") -> dict[str, Any]:
    items = [{"item_id": item, "score": score} for item, score in made.items]
    shown = {"items": items, "fallback": made.fallback}
    return shown | ({"interests": list(made.interests)} if made.interests else {})


def _session(items: str | None, item: list[str] | None, items_file: Path | None) -> list[str]:
    """The items, however they were given."""
    if sum(given is not None and given != [] for given in (items, item, items_file)) != 1:
        raise ConfigError("name the session's items by one of --items A,B,C, --item ID (repeatable), --items-file FILE")
    if items_file is not None:
        found = read_id_list(items_file, "the items")
    elif items is not None:
        found = [given_id(part, "--items") for part in items.split(",") if part.strip(" ")]
    else:
        found = [given_id(one, "--item") for one in item or [] if one]
    if not found:
        raise ConfigError("a session has at least one item")
    return found
