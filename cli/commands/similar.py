"""`similar`: the items that are like one, by hand and published."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from cli.options.common import BundleAddress, Json, RegistryUrl, Variant
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.service import Similar as Service
from cli.output import print_table, report, say
from export.errors import ConfigError

if TYPE_CHECKING:
    from export.bundle.vocabulary import Vocabulary
    from export.items.table import ItemTable
    from export.policy.config import ListsConfig
    from stream.items.follower import ItemsFollower
    from stream.similar.service import SimilarService

__all__ = ["ItemFirst", "app"]

_RESTORE_S = 60.0  # for the items to be read


class ItemFirst(TyperGroup):
    """`similar sku-7` is `similar show sku-7`; an item that is called like a command needs the longer form."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `show` before what is no command."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ItemFirst,
    no_args_is_help=True,
    help="The items that are like one: nextclick similar ITEM --bundle URL.",
)

Length = Annotated[int, option("--k", help="Items in a list, where the policy does not say.", min=1, max=1000)]
PolicyFile = Annotated[
    Path | None, option("--policy", metavar="FILE", help="Lists by this TOML file, as the worker's --policy.")
]
Placement = Annotated[
    str | None, option("--placement", metavar="NAME", help="Which list of the policy, where it has several.")
]


@command(app, "show")
def show(
    item: Annotated[str, typer.Argument(help="An item id.", metavar="ITEM")],
    bundle: BundleAddress,
    k: Length = 20,
    policy: PolicyFile = None,
    placement: Placement = None,
    catalogue: Annotated[
        Path | None, option(metavar="PATH", help="Files of what is known of the items, as the topic items has it.")
    ] = None,
    json: Json = False,
) -> None:
    """The items most similar to one, by a bundle; SHOW may be left out."""
    from export.bundle.bundle import load_bundle
    from export.id_lists import given_id
    from export.items.view import CatalogueView
    from export.policy.one_list import OneList
    from export.policy.similar import SimilarLists
    from export.ranking.similar import Similar
    from export.registry.addresses import local_bundle

    asked, config = given_id(item, "ITEM"), OneList(file=policy, placement=placement, k=k).read()
    similar = Similar(load_bundle(local_bundle(bundle)))
    if asked not in similar.vocabulary:
        raise ConfigError(f"the model of {bundle} does not know the item {asked}")
    table = None if catalogue is None else _read_items(catalogue)
    if policy is not None:
        _say_policy(config, similar.vocabulary, similar.version, table)
    if table is None and config.reads_items:
        say("nothing is known of the items, so filters, caps and boosts do nothing: name their files by --catalogue")
    view = None if table is None else CatalogueView(table, similar.vocabulary)
    [place] = config.placements
    [found] = SimilarLists(similar, place, view, time.time_ns() // 1_000_000).of([asked])
    rows = [{"item_id": other, "score": score} for other, score in found or ()]
    if json:
        return report({"items": rows}, json)
    ranked = [[n, row["item_id"], f"{row['score']:.4f}"] for n, row in enumerate(rows, 1)]
    print_table(["rank", "item", "cosine"], ranked)
    if len(rows) < place.k:
        say(f"{len(rows)} of {place.k} items: nothing else may be shown")
    return None


def _read_items(path: Path) -> "ItemTable":
    from model.evaluate.report import read_items_aloud

    return read_items_aloud(path, say)


def _say_policy(config: "ListsConfig", vocabulary: "Vocabulary", version: str, table: "ItemTable | None") -> None:
    """What of a policy is nothing here, and what it names that nobody knows."""
    from export.policy.similar import of_sessions
    from export.policy.unknown import say_attributes, say_unknown

    if left_out := of_sessions(config.placements[0].policy):
        say(f"what the policy says of sessions is nothing for similar items: {', '.join(left_out)}")
    for line in say_unknown(config, vocabulary, version, table):
        say(line)
    if line := say_attributes(config, table):
        say(line)


@command(app, "publish")
def publish(
    kafka: Kafka,
    registry: RegistryUrl,
    variant: Variant = "default",
    k: Length = 20,
    policy: PolicyFile = None,
    placement: Placement = None,
    follow: Annotated[
        bool, option("--follow", help="Go on with each model that goes live, the policy's file, and the items.")
    ] = False,
    refresh_s: Annotated[
        float, option(metavar="N", help="With --follow: seconds between two turns for what changed of items.")
    ] = 10.0,
    redis: Annotated[
        str | None, option(envvar="NEXTCLICK_REDIS", metavar="URL", help="Also write them to redis://HOST:PORT/DB.")
    ] = None,
    max_items: Annotated[int, option(metavar="N", help="Items of the topic items that are kept.", min=1)] = 2_000_000,
    process: Service = Service(),
    json: Json = False,
) -> None:
    """Put the similar items of the live model on the topic similar."""
    from export.bundle.bundle import load_bundle
    from export.items.view import CatalogueView
    from export.policy.one_list import OneList
    from export.policy.similar import SimilarLists
    from export.ranking.similar import Similar
    from export.registry.registry import Registry
    from stream.items.follower import ItemsFollower
    from stream.ops.problems import Problems
    from stream.similar.figures import SimilarMetrics
    from stream.similar.publisher import SimilarPublisher
    from stream.similar.service import SimilarService

    by = OneList(file=policy, placement=placement, k=k)
    config, topics, client, store = by.read(), kafka.topic_names(), kafka.client(), Registry(registry)
    store.versions()
    publisher = SimilarPublisher(kafka.bootstrap_servers, topics, client, redis_url=redis)
    metrics = SimilarMetrics()
    problems = Problems(metrics.problem)
    items = ItemsFollower(
        kafka.bootstrap_servers,
        topics.items,
        client,
        max_items=max_items,
        options=topics.as_options(),
        problems=problems,
        metrics=metrics.items_topic,
    )
    service = SimilarService(
        publisher,
        store,
        variant,
        items.table,
        by,
        refresh_s=refresh_s,
        metrics=metrics,
        problems=problems,
        items=items.health,
    )
    items.start()
    try:
        if follow:
            return _follow(service, items, process)
        items.wait(_RESTORE_S)
        live = store.live(variant)
        if live is None:
            raise ConfigError(f"no model is live for the variant {variant}: promote one by nextclick models promote")
        similar = Similar(load_bundle(store.fetch(live)))
        if policy is not None:
            _say_policy(config, similar.vocabulary, live, items.table)
        view, now_ms = CatalogueView(items.table, similar.vocabulary), time.time_ns() // 1_000_000
        done = publisher.publish(SimilarLists(similar, config.placements[0], view, now_ms))
    finally:
        items.stop()
        publisher.close()
    return report(msgspec.to_builtins(done), json)


def _follow(service: "SimilarService", items: "ItemsFollower", process: Service) -> None:
    from stream.ops.signals import StopSignal

    process.log_as_told()
    stop = StopSignal()
    with process.answering(service.web(process.web_host, process.web_port)):
        items.wait(_RESTORE_S)
        service.run(stop.event)
