"""`models`: which versions the registry holds, and which of them is live."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.options.common import Json, RegistryUrl, Variant
from cli.options.group import command
from cli.options.kafka import Announcing
from cli.output import print_table, report

if TYPE_CHECKING:
    from export.bundle.manifest import Manifest
    from export.registry.registry import Registry

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="The registry: which versions there are, and which one is live.")


@command(app, "list")
def list_versions(registry: RegistryUrl, variant: Variant = "default", json: Json = False) -> None:
    """The versions of the registry, and which one is live; with --json all that is known of each."""
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
    return print_table(["version", "live", "created (UTC)", "preset", "trained on", "validation"], rows)


@command(app, "promote")
def promote(
    version: Annotated[str, typer.Argument(help="Version to serve.")],
    registry: RegistryUrl,
    kafka: Announcing,
    variant: Variant = "default",
    json: Json = False,
) -> None:
    """Make a version live and tell the workers."""
    _make_live(lambda store: store.promote(version, variant), registry, variant, kafka, json)


@command(app, "rollback")
def rollback(registry: RegistryUrl, kafka: Announcing, variant: Variant = "default", json: Json = False) -> None:
    """Go back to the version that was live before, and tell the workers."""
    _make_live(lambda store: store.rollback(variant), registry, variant, kafka, json)


def _make_live(
    change: "Callable[[Registry], object]", registry: str, variant: str, kafka: Announcing, json: bool
) -> None:
    from export.registry.registry import Registry
    from stream.models.promotion import make_live

    servers = kafka.bootstrap_servers
    version = make_live(
        Registry(registry),
        change,
        variant=variant,
        bootstrap_servers=servers,
        topics=kafka.topic_names(),
        extra=kafka.client(),
    )
    report({"version": version, "variant": variant, "announced": servers is not None}, json)


def _manifest_or_reason(store: "Registry", version: str) -> "Manifest | str":
    """One version that can't be read, of a later release perhaps, must not hide the others."""
    from export.errors import BundleError

    try:
        return store.manifest(version)
    except BundleError as error:
        return str(error)


def _described(what: "Manifest | str") -> list[str]:
    if isinstance(what, str):
        return ["", "unreadable", "", what]
    figures = [f"{name} {value:.4f}" for name, value in what.valid.items() if name.startswith("recall@")][:1]
    if "predictions" in what.valid:  # figures of different clicks are not to be compared
        figures.append(f"of {what.valid['predictions']:,.0f} predictions")
    return [
        _moment(what.created_ts),
        what.preset,
        f"{what.training.clicks:,} clicks",
        " ".join(figures),
    ]


def _moment(ts: int) -> str:
    """A time in ms as people write it; empty for one that no calendar has."""
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return ""
