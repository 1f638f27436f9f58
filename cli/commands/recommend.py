"""`recommend`: one list by hand."""

from typing import Annotated

import typer

from cli.options.common import BundleAddress, Json, ListLength
from cli.options.group import command, option
from cli.output import print_table, report, stderr

__all__ = ["app"]

app = typer.Typer()


@command(app, rich_help_panel="Train and measure")
def recommend(
    bundle: BundleAddress,
    items: Annotated[str, option(metavar="A,B,C", help="The session's items, oldest first, separated by commas.")],
    k: ListLength = 20,
    json: Json = False,
) -> None:
    """One list by hand from a bundle."""
    from export.bundle.bundle import load_bundle
    from export.ranking.ranker import Ranker, RankerConfig
    from export.registry.registry import local_bundle

    session = [item.strip() for item in items.split(",") if item.strip()]
    ranked = Ranker(load_bundle(local_bundle(bundle)), RankerConfig(warm_up=False)).rank_items([session], k)[0]
    rows = [{"item_id": item, "score": score} for item, score in ranked.items]
    if json:
        return report({"items": rows, "fallback": ranked.fallback}, json)
    print_table(
        ["rank", "item", "score"], [[n, row["item_id"], f"{row['score']:.4f}"] for n, row in enumerate(rows, 1)]
    )
    if ranked.fallback:
        stderr.print("the bundle knows none of these items: this is the popularity list")
    return None
