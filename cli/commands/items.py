"""`items`: what the shop says about its items, on the topic `items`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.output import print_table, report, say
from export.errors import ConfigError

if TYPE_CHECKING:
    from export.items.item import Item
    from export.items.table import ItemTable

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What the shop says about its items: the topic items.")

ItemIds = Annotated[list[str], typer.Argument(help="Item ids.", metavar="ID...")]


@command(app, "load")
def load(
    path: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines: a file, or a folder of files.")],
    kafka: Kafka,
    replace: Annotated[
        bool, option("--replace", help="Items that the topic has and PATH lacks are gone; send only what changed.")
    ] = False,
    max_gone_share: Annotated[
        float, option(metavar="SHARE", help="With --replace: refuse where more of the items would go.")
    ] = 0.5,
    item_column: Annotated[str | None, option(metavar="NAME", help="Name of the item column [item_id].")] = None,
    max_bad_share: Annotated[
        float, option(metavar="SHARE", help="Refuse files with a larger share of bad lines.")
    ] = 0.01,
    json: Json = False,
) -> None:
    """Send items from files to the topic; workers know them within two seconds."""
    from model.data.items.read import read_items
    from stream.items.load import load_items

    read = read_items(path, item_column=item_column, max_bad_share=max_bad_share)
    for line in read.report.told(str(path)):
        say(line)
    done = load_items(
        read.table,
        kafka.bootstrap_servers,
        kafka.topic_names(),
        kafka.client(),
        replace=replace,
        max_gone_share=max_gone_share,
    )
    found = msgspec.to_builtins(done) | {
        "refused": dict(read.report.bad),
        "duplicates": read.report.duplicates,
        "topic": kafka.topic_names().items,
    }
    report(found, json)


@command(app, "show")
def show(items: ItemIds, kafka: Kafka, json: Json = False) -> None:
    """What is in force of some items, and what workers do with them."""
    from export.id_lists import given_id
    from stream.items.snapshot import read_items_topic

    ids = [given_id(written, "ID") for written in items]
    table = read_items_topic(kafka.bootstrap_servers, kafka.topic_names(), kafka.client()).table
    rows = [_shown(table, item_id) for item_id in ids]
    if json:
        return report({"items": rows}, json)
    for row in rows:
        flat = {**row, "attributes": "; ".join(f"{n}: {', '.join(v)}" for n, v in row.get("attributes", {}).items())}
        print_table(["", ""], [[name, value] for name, value in flat.items() if value not in (None, "")])
    return None


@command(app, "set")
def change(
    items: ItemIds,
    kafka: Kafka,
    available: Annotated[
        bool | None, option("--available/--unavailable", help="Whether they may be in lists.", show_default=False)
    ] = None,
    boost: Annotated[float | None, option(help="Multiplies the odds: 2 doubles them, 1 is none.")] = None,
    price: Annotated[float | None, option(help="The price.")] = None,
    gone: Annotated[bool, option("--gone", help="They are gone: their records are removed.")] = False,
    json: Json = False,
) -> None:
    """Change some items: their records are read, changed and sent."""
    from export.id_lists import given_id
    from stream.items.load import send_items
    from stream.items.snapshot import read_items_topic

    values = {"available": available, "boost": boost, "price": price}
    given = {name: value for name, value in values.items() if value is not None}
    if bool(given) == gone:
        raise ConfigError("say what is to change: --available or --unavailable, --boost, --price; or --gone alone")
    ids = list(dict.fromkeys(given_id(written, "ID") for written in items))
    topics, client = kafka.topic_names(), kafka.client()
    table = read_items_topic(kafka.bootstrap_servers, topics, client).table
    changed = [] if gone else [_changed(table, item_id, given) for item_id in ids]
    send_items(changed, ids if gone else [], kafka.bootstrap_servers, topics, client)
    unknown = [item_id for item_id in ids if table.get(item_id) is None]
    if unknown:
        say(f"nothing was known before of {', '.join(unknown)}")
    for item in changed:
        table.put(item)
    for item_id in ids if gone else ():
        table.remove(item_id)
    report({"items": [_shown(table, item_id) for item_id in ids]}, True) if json else say(f"changed {', '.join(ids)}")


@command(app, "stats")
def stats(kafka: Kafka, json: Json = False) -> None:
    """What the topic holds: counts, attributes, and what of it no worker can use."""
    from export.items.figures import table_figures
    from stream.items.snapshot import read_items_topic

    found = read_items_topic(kafka.bootstrap_servers, kafka.topic_names(), kafka.client())
    figures = table_figures(found.table) | {
        "messages": found.messages,
        "refused": dict(found.refused),
        "seconds": found.seconds,
    }
    report(figures, json)


def _changed(table: "ItemTable", item_id: str, given: dict[str, Any]) -> "Item":
    """The item as it is to be; ConfigError for a value that breaks a rule."""
    from export.errors import BadItem
    from export.items.rules import judge_item

    before = table.get(item_id)
    known = {} if before is None else msgspec.to_builtins(before)
    try:
        return judge_item({"item_id": item_id, **known, **given})
    except BadItem as error:
        raise ConfigError(f"{item_id or 'an empty id'}: {error.detail}") from error


def _shown(table: "ItemTable", item_id: str) -> dict[str, Any]:
    item = table.get(item_id)
    if item is None:
        gone = table.is_gone(item_id)
        lists = "in no list: it is gone" if gone else "as if available, unless a policy requires items to be listed"
        return {"item_id": item_id, "state": "gone" if gone else "unknown", "lists": lists}
    fields: dict[str, Any] = {name: getattr(item, name) for name in item.__struct_fields__}
    lists = f"may be in lists, odds times {item.boost:g}" if item.available else "in no list: it is not available"
    return fields | {"state": "known", "lists": lists}
