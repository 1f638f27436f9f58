"""`similar`: the items that are like one, by hand and published."""

import logging
from typing import Annotated, Any

import msgspec
import typer
from typer.core import TyperGroup

from cli.options.common import BundleAddress, Json, RegistryUrl, Variant
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.output import print_table, report
from export.errors import ConfigError

__all__ = ["ItemFirst", "app"]


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

Length = Annotated[int, option("--k", help="Items in a list.", min=1)]


@command(app, "show")
def show(
    item: Annotated[str, typer.Argument(help="An item id.", metavar="ITEM")],
    bundle: BundleAddress,
    k: Length = 20,
    json: Json = False,
) -> None:
    """The items most similar to one, by a bundle; SHOW may be left out."""
    from export.bundle.bundle import load_bundle
    from export.ids import normal_id
    from export.ranking.similar import Similar
    from export.registry.registry import local_bundle

    [found] = Similar(load_bundle(local_bundle(bundle))).of([normal_id(item)], k)
    if found is None:
        raise ConfigError(f"the model of {bundle} does not know the item {item}")
    rows = [{"item_id": other, "score": score} for other, score in found]
    if json:
        return report({"items": rows}, json)
    ranked = [[n, row["item_id"], f"{row['score']:.4f}"] for n, row in enumerate(rows, 1)]
    return print_table(["rank", "item", "cosine"], ranked)


@command(app, "publish")
def publish(
    kafka: Kafka,
    registry: RegistryUrl,
    variant: Variant = "default",
    k: Length = 20,
    follow: Annotated[
        bool, option("--follow", help="Go on with each model that goes live, and with what the items say.")
    ] = False,
    refresh_s: Annotated[
        float, option(metavar="N", help="With --follow: seconds between two looks at what changed of items.")
    ] = 30.0,
    redis: Annotated[
        str | None, option(envvar="NEXTCLICK_REDIS", metavar="URL", help="Also write them to redis://HOST:PORT/DB.")
    ] = None,
    max_items: Annotated[int, option(metavar="N", help="Items of the topic items that are kept.", min=1)] = 2_000_000,
    json: Json = False,
) -> None:
    """Put the similar items of the live model on the topic similar."""
    from export.bundle.bundle import load_bundle
    from export.ranking.similar import Similar
    from export.registry.registry import Registry
    from stream.items.follower import ItemsFollower
    from stream.ops.signals import StopSignal
    from stream.similar.publisher import SimilarPublisher
    from stream.similar.service import follow as go_on

    topics, client, store = kafka.topic_names(), kafka.client(), Registry(registry)
    store.versions()
    publisher = SimilarPublisher(kafka.bootstrap_servers, topics, client, k=k, redis_url=redis)
    items = ItemsFollower(
        kafka.bootstrap_servers, topics.items, client, max_items=max_items, options=topics.as_options()
    )
    items.start()
    try:
        items.wait(60.0)
        if follow:
            logging.getLogger().setLevel("INFO")
            return go_on(publisher, store, variant, items.table, StopSignal().event, refresh_s=refresh_s)
        live = store.live(variant)
        if live is None:
            raise ConfigError(f"no model is live for the variant {variant}: promote one by nextclick models promote")
        done = publisher.publish(Similar(load_bundle(store.fetch(live))), items.table)
    finally:
        items.stop()
        publisher.close()
    return report(msgspec.to_builtins(done), json)
