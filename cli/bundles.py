"""Commands on bundles and on the registry. `cli.streaming` adds those that tell running workers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.options import BundleAddress, Json, RegistryUrl, Variant, option, print_table, report, stderr

if TYPE_CHECKING:
    from export.bundle.manifest import Manifest
    from export.registry.registry import Registry

__all__ = ["app", "models"]

app = typer.Typer()
models = typer.Typer(no_args_is_help=True, help="The registry: which versions there are, and which one is live.")


@app.command()
def recommend(
    bundle: BundleAddress,
    items: Annotated[str, option(help="The session's items, oldest first, separated by commas.")],
    k: Annotated[int, option(help="Items in the list.")] = 20,
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


@models.command("list")
def models_list(registry: RegistryUrl, variant: Variant = "default", json: Json = False) -> None:
    """The versions of the registry, and which one is live."""
    from export.registry.registry import Registry

    store = Registry(registry)
    live = store.live(variant)
    found = {version: _manifest_or_reason(store, version) for version in store.versions()}
    if json:
        models = [
            {"version": version, "live": version == live, "error" if isinstance(what, str) else "manifest": what}
            for version, what in found.items()
        ]
        return report({"live": live, "models": msgspec.to_builtins(models)}, json)
    rows = [[version, "yes" if version == live else "", *_described(what)] for version, what in found.items()]
    return print_table(["version", "live", "created (UTC)", "preset", "items", "trained on", "validation"], rows)


def _manifest_or_reason(store: "Registry", version: str) -> "Manifest | str":
    """One version that can't be read, of a later release perhaps, must not hide the others."""
    from export.errors import BundleError

    try:
        return store.manifest(version)
    except BundleError as error:
        return str(error)


def _described(what: "Manifest | str") -> list[str]:
    if isinstance(what, str):
        return ["", "unreadable", "", "", what]
    figures = [f"{name} {value:.4f}" for name, value in what.valid.items() if "@" in name]
    if "predictions" in what.valid:  # figures of different clicks are not to be compared
        figures.append(f"of {what.valid['predictions']:,.0f} predictions")
    return [
        _moment(what.created_ts),
        what.preset,
        f"{what.items:,}",
        f"{what.training.clicks:,} clicks",
        "  ".join(figures),
    ]


def _moment(ts: int) -> str:
    """A time in ms as people write it; empty for one that no calendar has."""
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return ""
