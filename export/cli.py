"""Commands on bundles and on the registry. `stream.cli` adds those that tell running workers."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from export.terminal import Json, RegistryUrl, Variant, option, print_table, report, stderr

__all__ = ["app", "models"]

app = typer.Typer()
models = typer.Typer(no_args_is_help=True, help="The registry: which versions there are, and which one is live.")


@app.command()
def recommend(
    bundle: Annotated[Path, option(help="Folder of the bundle.")],
    items: Annotated[str, option(help="The session's items, oldest first, separated by commas.")],
    k: Annotated[int, option(help="Items in the list.")] = 20,
    json: Json = False,
) -> None:
    """One list by hand from a bundle."""
    from export.bundle import load_bundle
    from export.ranker import Ranker, RankerConfig

    session = [item.strip() for item in items.split(",") if item.strip()]
    ranked = Ranker(load_bundle(bundle), RankerConfig(warm_up=False)).rank_items([session], k)[0]
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
    from export.registry import Registry

    store = Registry(registry)
    live = store.live(variant)
    rows = [{"version": v, "live": v == live, "manifest": store.manifest(v)} for v in store.versions()]
    if json:
        return report({"live": live, "models": msgspec.to_builtins(rows)}, json)
    print_table(
        ["version", "live", "preset", "items", "validation"],
        [
            [
                m.version,
                "yes" if m.version == live else "",
                m.preset,
                m.items,
                "  ".join(f"{name} {value:.4f}" for name, value in m.valid.items() if "@" in name),
            ]
            for m in (store.manifest(v) for v in store.versions())
        ],
    )
    return None
