"""`models`: which versions the registry holds, and which of them is live."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.options.common import Json, RegistryUrl, Variant
from cli.options.group import command, option
from cli.options.kafka import Announcing
from cli.output import print_json, print_line, print_table, report, tell_read
from export.errors import ConfigError

if TYPE_CHECKING:
    from export.bundle.bundle import Bundle
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


@command(app, "show")
def show(
    version: Annotated[str, typer.Argument(help="Version to look at.")], registry: RegistryUrl, json: Json = False
) -> None:
    """What one version is: what it learned, where it comes from, what was measured."""
    from export.bundle.difference import flat
    from export.registry.registry import Registry

    manifest = msgspec.to_builtins(Registry(registry).manifest(version))
    if json:
        return report(manifest, json)
    return print_table(["field", "value"], [[name, _word(value)] for name, value in flat(manifest).items()])


@command(app, "card")
def card(
    version: Annotated[str, typer.Argument(help="Version to look at.")], registry: RegistryUrl, json: Json = False
) -> None:
    """Its card: what it learned, how good it is beside baselines, curves, and what its figures do not say."""
    from export.bundle.bundle import CARD, CARD_VALUES
    from export.registry.registry import Registry

    content = Registry(registry).card(version, CARD_VALUES if json else CARD)
    if content is None:
        raise ConfigError(
            f"version {version} has no card: it was made by an earlier release; `nextclick models show {version}` has "
            "what its manifest says"
        )
    return print_json(msgspec.json.decode(content)) if json else print_line(content.decode().rstrip())


@command(app, "diff")
def diff(
    one: Annotated[str, typer.Argument(help="Version.")],
    other: Annotated[str, typer.Argument(help="Version to compare it with.")],
    registry: RegistryUrl,
    data: Annotated[Path | None, option(metavar="PATH", help="Log whose sessions both are asked about.")] = None,
    json: Json = False,
) -> None:
    """What differs between two versions; with --data, how much of their lists they have in common."""
    from export.bundle.bundle import load_bundle
    from export.bundle.difference import difference
    from export.registry.registry import Registry

    store = Registry(registry)
    bundles = [load_bundle(store.fetch(version)) for version in (one, other)]
    found = difference(*bundles)
    if data is not None:
        found["overlap@20"] = _overlap(bundles, data)
    if json:
        return report(found, json)
    rows = [[f"items {name}", "", str(count)] for name, count in found["items"].items()]
    for part in ("training", "valid", "lineage", "config", "libraries"):
        rows += [[f"{part}.{name}", *map(_word, values)] for name, values in found[part].items()]
    if data is not None:
        rows.append(["lists: items in common", "", f"{found['overlap@20']:.1%}"])
    return print_table(["what", f"version {one}", f"version {other}"], rows)


@command(app, "prune")
def prune(
    registry: RegistryUrl,
    kafka: Announcing,
    keep: Annotated[int, option(help="Newest versions that stay.", min=1)] = 10,
    json: Json = False,
) -> None:
    """Remove old versions. Those that are live, that a rollback would take, or that a running experiment shows (give
    --bootstrap-servers) stay as well."""
    from export.registry.registry import Registry
    from export.registry.retention import prune as remove_old

    shown: set[str] = set()
    if kafka.bootstrap_servers is not None:
        from stream.experiments.lifecycle import Announced

        running = Announced(kafka.bootstrap_servers, kafka.topic_names(), kafka.client()).read().values()
        shown = {variant.version for one in running if one.state == "running" for variant in one.variants}
    store = Registry(registry)
    removed = remove_old(store, keep=keep, also=shown)
    report({"removed": removed, "kept": store.versions()}, json)


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


def _overlap(bundles: "Sequence[Bundle]", data: Path) -> float:
    """Mean share of items in common of both lists of 20, over the sessions of a log that both know."""
    from export.ranking.ranker import Ranker
    from model.data.readers import ReadOptions, build_log, read_log
    from model.evaluate.judge import overlap_of_lists

    raw = read_log(data, ReadOptions())
    tell_read(str(data), raw.report)
    one, other = map(Ranker, bundles)
    return overlap_of_lists(one, other, build_log(raw))


def _word(value: object) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else "-" if value is None else str(value)


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
