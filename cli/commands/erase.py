"""`erase`: a shopper's right to be forgotten."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.options.kafka import Group, Kafka
from cli.output import print_json, print_line, print_table, say

if TYPE_CHECKING:
    from stream.erasure.asking import Asked
    from stream.erasure.kept import Kept

__all__ = ["app"]

app = typer.Typer()


@command(app, rich_help_panel="Serve")
def erase(
    kafka: Kafka,
    session: Annotated[
        list[str] | None, option("--session", metavar="ID", help="What this session did is erased; repeatable.")
    ] = None,
    user: Annotated[
        str | None,
        option("--user", metavar="ID", help="All sessions whose clicks have this user_id, and the one of that name."),
    ] = None,
    all_partitions: Annotated[
        bool,
        option("--all-partitions", help="Ask in every partition: producers disagree on the partitioner (check)."),
    ] = False,
    expect: Annotated[
        list[str] | None,
        option(
            metavar="PART",
            help="Who has to confirm beside the worker and who did before: redis, serve, trainer, scoreboard, "
            "feedback; repeatable.",
        ),
    ] = None,
    without: Annotated[
        list[str] | None, option(metavar="PART", help="Who is not waited for: it runs no more; repeatable.")
    ] = None,
    timeout: Annotated[float, option(metavar="S", help="How long to wait for that.")] = 60.0,
    group: Group = "nextclick",
    json: Json = False,
) -> None:
    """Erase what sessions did: state, lists, Redis, and what trainer and services keep. Ends with 1 where a part does
    not confirm it in time."""
    from export.errors import ConfigError
    from stream.erasure.asking import WORKER, Asking
    from stream.erasure.kept import kept
    from stream.erasure.teller import PARTS
    from stream.kafka.clients import wait_for_broker

    if timeout < 0:
        raise ConfigError(f"--timeout is 0 s or more, not {timeout:g}")
    if not session and user is None:
        raise ConfigError("say whom to erase: --session ID, or --user ID")
    if wrong := {*(expect or []), *(without or [])} - {WORKER, *PARTS}:
        raise ConfigError(f"there is no part {min(wrong)!r}; they are {', '.join((WORKER, *PARTS))}")
    names = [_checked(one, "--session") for one in session or []]
    named = None if user is None else _checked(user, "--user")
    topics, client = kafka.topic_names(), kafka.client()
    servers = kafka.bootstrap_servers
    wait_for_broker(servers, client, timeout_s=30.0)
    wishes: dict[str, set[int]] = {name: set() for name in names}
    if named is not None:
        wishes |= _of_user(named, servers, topics.clicks, client)
    asking = Asking(servers, topics, client)
    try:
        asking.begin()
        everywhere = set(range(asking.partitions)) if all_partitions else set[int]()
        asking.ask([(one, number) for one, found in wishes.items() for number in sorted(everywhere or found) or [-1]])
        expected = ({WORKER} | asking.known | set(expect or [])) - set(without or [])
        done = asking.wait(expected, timeout)
        asked = asking.asked
    finally:
        asking.close()
    left = kept(servers, topics, group, client)
    if json:
        print_json({"confirmed": done, "asked": msgspec.to_builtins(asked), "kept": msgspec.to_builtins(left)})
    else:
        _show(asked, left, timeout)
    if not asking.has_erasures:
        say(
            f"there is no topic {topics.erasures}, so that only workers can confirm: `nextclick topics create` makes it"
        )
    if not done:
        missing = sorted({part for one in asked for part in one.missing})
        say(
            f"not confirmed within {timeout:g} s: {', '.join(missing)}. It is done as soon as they read it, and their "
            "logs and /metrics say so; it may be asked again. Of a part that runs no more: --without NAME",
            "ERROR",
        )
        raise typer.Exit(1)


def _checked(text: str, label: str) -> str:
    from export.errors import ConfigError
    from export.ids import id_fault, normal_id

    if fault := id_fault(text):
        raise ConfigError(f"{label} is no id that a click may have ({fault.replace('_', ' ')})")
    return normal_id(text)


def _of_user(user: str, servers: str, topic: str, client: dict[str, str]) -> dict[str, set[int]]:
    from stream.erasure.users import sessions_of

    found = sessions_of(user, servers, topic, client)
    since = "" if found.since_ms is None else f", since {datetime.fromtimestamp(found.since_ms / 1000, UTC):%F %R} UTC"
    say(
        f"{len(found.sessions):,} sessions have clicks of the user among the {found.read:,} that {topic} still has"
        f"{since}. Older ones can't be found, as nothing that is stored has user ids; the session of that name is "
        "erased as well"
    )
    return {user: set(), **found.sessions}


def _show(asked: "list[Asked]", left: "list[Kept]", timeout: float) -> None:
    rows = []
    for one in asked:
        place = f"partition {one.partition}, offset {one.offset}"
        for said in sorted(one.confirmed, key=lambda said: (said.part != "worker", said.part)):
            what = ", ".join(f"{number:,} {name}" for name, number in said.erased.items())
            rows.append([one.session_id, said.part, said.host or place, what or "nothing of it was there"])
        rows += [[one.session_id, part, "-", f"not confirmed within {timeout:g} s"] for part in one.missing]
    print_table(["session", "part", "where", "erased"], rows)
    if left:
        print_line("\nKafka itself keeps, whoever reads it:")
        print_table(["topic", "", "until"], [[topic.topic, topic.what, topic.until] for topic in left])
        for topic in left:
            if topic.remedy:
                print_line(f"! {topic.topic}: {topic.remedy}")
