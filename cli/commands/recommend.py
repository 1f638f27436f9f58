"""`recommend`: one list by hand."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options.common import BundleAddress, Json, ListLength
from cli.options.group import command, option
from cli.output import print_table, report, say
from export.errors import ConfigError
from export.id_lists import read_id_list

__all__ = ["app"]

app = typer.Typer()


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
    k: ListLength = 20,
    json: Json = False,
) -> None:
    """One list by hand from a bundle."""
    from export.bundle.bundle import load_bundle
    from export.ranking.ranker import Ranker, RankerConfig
    from export.registry.registry import local_bundle

    session = _session(items, item, items_file)
    ranked = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(warm_up=False)).rank_items([session], k)[0]
    rows = [{"item_id": item, "score": score} for item, score in ranked.items]
    if json:
        return report({"items": rows, "fallback": ranked.fallback}, json)
    print_table(
        ["rank", "item", "score"], [[n, row["item_id"], f"{row['score']:.4f}"] for n, row in enumerate(rows, 1)]
    )
    if ranked.fallback:
        say("the bundle knows none of these items: this is the popularity list")
    return None


def _session(items: str | None, item: list[str] | None, items_file: Path | None) -> list[str]:
    """The items, however they were given."""
    if sum(given is not None and given != [] for given in (items, item, items_file)) != 1:
        raise ConfigError("name the session's items by one of --items A,B,C, --item ID (repeatable), --items-file FILE")
    if items_file is not None:
        found = read_id_list(items_file, "the items")
    elif items is not None:
        found = [part.strip(" ") for part in items.split(",")]
    else:
        found = item or []
    if not any(found):
        raise ConfigError("a session has at least one item")
    return [one for one in found if one]
