"""The read API on the in-process cluster: lists, updates, clicks, keys, and what is told."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from confluent_kafka import Consumer, Producer

from stream.kafka.clients import assign_all, build_client, consumer_options
from stream.messages.contract import Source
from stream.messages.erasures import ErasedLists, erased_headers
from stream.serve.config import ServeConfig
from stream.topic_names import Topics
from tests.stream.serve.server import CALM_S, list_of, serving, until

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]
Ask = Callable[..., Any]
READ, WRITE, ERASER = "key-of-who-only-reads", "key-of-who-only-writes", "key-of-who-may-erase"


@pytest.fixture
def names(topic: str, cluster: str) -> Topics:
    return Topics(clicks=f"{topic}-c", recommendations=f"{topic}-r", similar=f"{topic}-s")


def config(**given: Any) -> ServeConfig:
    return ServeConfig(port=0, window_s=given.pop("window_s", None), grace_s=1.0, **given)


async def ready(client: Any) -> None:
    async def is_ready() -> bool:
        async with client.get("/health") as answer:
            return bool(answer.status == 200)

    await until(is_ready, "a server that is ready")


async def status(client: Any, path: str, **given: Any) -> int:
    async with client.get(path, **given) as answer:
        return int(answer.status)


def test_newest_lists_by_placement_and_similar_items_are_served_as_they_came(
    cluster: str, names: Topics, send: Send
) -> None:
    send(names.clicks, [])
    old, new, home = list_of("s", 1), list_of("s", 4), list_of("t", 2, "home")
    send(names.recommendations, [old, new, list_of("s", 3, published_ts=0), home, (b"x", b"no list")])
    send(names.similar, [(b"7", b'{"item_id":"7"}')])

    async def run() -> None:
        async with serving(cluster, names, config()) as (client, service):
            await ready(client)
            async with client.get("/recommendations/s") as answer:
                assert (answer.status, answer.content_type) == (200, "application/json")
                assert answer.headers["Cache-Control"] == "no-store"
                assert await answer.read() == new[1]
            async with client.get("/recommendations/t") as answer:
                assert (answer.status, answer.content_type) == (404, "application/problem+json")
                told = await answer.json(content_type=None)
                assert (told["placements"], "not of ''" in told["detail"]) == (["home"], True)
            async with client.get("/recommendations/t?placement=home") as answer:
                assert await answer.read() == home[1]
            assert await status(client, "/recommendations/nobody") == 404
            assert await status(client, "/recommendations/%20s%20") == 200  # spaces around an id are no part of it
            for no_id in ("x" * 300, "a%00b", "%20"):
                for path in (f"/recommendations/{no_id}", f"/recommendations/{no_id}/updates"):
                    assert (path, await status(client, path)) == (path, 400)

            async def similar() -> bool:
                return await status(client, "/similar/7.0") == 200

            await until(similar, "similar items")
            assert await status(client, "/similar/8") == 404
            send(names.recommendations, [(b"s", None)])

            async def erased() -> bool:
                return await status(client, "/recommendations/s") == 404

            await until(erased, "a session without lists after a record without value")
            mark = erased_headers(ErasedLists(Source("clicks", 0, 2), 1))
            producer = Producer({"bootstrap.servers": cluster})
            producer.produce(names.recommendations, None, b"t", headers=mark)
            assert producer.flush(10) == 0
            send(names.recommendations, [list_of("t", 1, "home"), list_of("t", 3)])

            async def anew() -> bool:
                return await status(client, "/recommendations/t") == 200

            await until(anew, "a list of a click behind the erase")
            assert await status(client, "/recommendations/t?placement=home") == 404
            assert service._teller.told == 1

            async def told() -> bool:
                return any("none of their topic" in reason for reason in service.health().reasons)

            await until(told, "a word about what is no list")
            async with client.get("/metrics") as answer:
                text = await answer.text()
            assert 'nextclick_serve_gone_lists{why="erased"} 2.0' in text
            assert 'nextclick_serve_requests_total{route="recommendations",status="404"}' in text

    asyncio.run(run())


def test_long_poll_and_stream_tell_of_newer_lists_and_end_with_the_server(
    cluster: str, names: Topics, send: Send
) -> None:
    send(names.clicks, [])
    send(names.recommendations, [list_of("s", 4)])

    async def run() -> None:
        async with serving(cluster, names, config(max_waiting=2)) as (client, service):
            await ready(client)
            path = "/recommendations/s/updates"
            assert await status(client, f"{path}?after=3") == 200
            assert await status(client, f"{path}?after=4&wait=0.01") == 204
            assert await status(client, f"{path}?after=x") == 400
            polled = asyncio.create_task(status(client, f"{path}?after=4&wait=30"))
            accept = {"Accept": "text/event-stream", "Last-Event-ID": "3"}
            async with client.get(path, headers=accept) as stream:
                lines = stream.content
                assert await lines.readline() == b": lists follow\n"
                await lines.readline()
                assert await lines.readline() == b"id: 4\n"
                await until(lambda: waits(client, 2), "both to wait")
                assert await status(client, f"{path}?after=4") == 503, "as many wait as may"
                send(names.recommendations, [list_of("s", 9)])
                assert await asyncio.wait_for(polled, CALM_S) == 200
                while (line := await asyncio.wait_for(lines.readline(), CALM_S)) != b"id: 9\n":
                    assert line
                assert await lines.readline() == b"event: recommendation\n"
                assert json.loads((await lines.readline()).removeprefix(b"data: "))["source"]["offset"] == 9
                service._hub.close()  # as the server does when it ends
                await asyncio.wait_for(lines.read(), CALM_S)

    async def waits(client: Any, number: int) -> bool:
        async with client.get("/health") as answer:
            return bool((await answer.json())["waiting"] == number)

    asyncio.run(run())


def clicks_of(cluster: str, topic: str, count: int) -> list[tuple[bytes | None, bytes | None]]:
    consumer: Consumer = build_client(Consumer, consumer_options(cluster))
    assert assign_all(consumer, topic, from_beginning=True)
    found = consumer.consume(count, timeout=CALM_S)
    consumer.close()
    return [(message.key(), message.value()) for message in found]


def test_clicks_are_judged_sent_as_they_came_and_answered_when_confirmed(
    cluster: str, names: Topics, send: Send
) -> None:
    now = time.time_ns() // 1_000_000
    sound = f'{{"session_id": 7, "item_id": "a", "ts": {now}, "page": "home"}}'
    bad = f'{{"session_id": "s", "item_id": "a", "ts": {now}, "type": "wink"}}'

    async def run() -> None:
        async with serving(cluster, names, config(max_body_kb=1, max_clicks=3)) as (client, _):

            async def post(body: str) -> tuple[int, Any]:
                async with client.post("/clicks", data=body) as answer:
                    return answer.status, await answer.json(content_type=None)

            code, said = await post(sound)
            assert (code, said["accepted"], said["errors"]) == (200, 1, [])
            assert {"index", "partition", "offset"} == set(said["clicks"][0])
            code, said = await post(f"[{bad}, {sound}, 5]")
            assert (code, said["accepted"]) == (207, 1)
            assert [(one["index"], one["reason"]) for one in said["errors"]] == [(0, "unknown_type"), (2, "not_object")]
            code, said = await post(bad)
            assert (code, said["errors"][0]["reason"]) == (422, "unknown_type")
            assert (await post("[]"))[0] == 400
            assert (await post("[1,2,3,4]"))[0] == 400
            assert (await post("[1"))[0] == 400
            assert (await post(" " * 2000))[0] == 413

    send(names.recommendations, [])
    asyncio.run(run())
    assert clicks_of(cluster, names.clicks, 2) == [(b"7", sound.encode())] * 2


def test_erase_by_http_wants_a_right_of_its_own(cluster: str, names: Topics, send: Send, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"shop write {WRITE}\nprivacy write,erase {ERASER}\n")
    now = time.time_ns() // 1_000_000
    wish = f'{{"session_id": "s", "type": "erase", "ts": {now}}}'
    click = f'{{"session_id": "s", "item_id": "a", "ts": {now}}}'

    async def run() -> None:
        async with serving(cluster, names, config(keys=file)) as (client, _):

            async def post(key: str) -> tuple[int, list[tuple[int, str]]]:
                async with client.post("/clicks", data=f"[{click}, {wish}]", headers={"X-API-Key": key}) as answer:
                    said = await answer.json(content_type=None)
                return answer.status, [(one["index"], one["reason"]) for one in said["errors"]]

            assert await post(WRITE) == (207, [(1, "no_right")])
            assert await post(ERASER) == (200, [])

    send(names.recommendations, [])
    asyncio.run(run())
    sent = [click.encode(), click.encode(), wish.encode()]
    assert clicks_of(cluster, names.clicks, 3) == [(b"s", value) for value in sent]


def test_keys_rights_and_origins_are_kept_to(cluster: str, names: Topics, send: Send, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"a read {READ}\nb write {WRITE}\n")
    send(names.clicks, [])
    send(names.recommendations, [list_of("s", 4)])

    async def run() -> None:
        settings = config(keys=file, origins=("https://shop.example",))
        async with serving(cluster, names, settings) as (client, _):
            await ready(client)
            reads = {"Authorization": f"Bearer {READ}"}
            assert await status(client, "/recommendations/s") == 401
            assert await status(client, "/metrics") == 401
            assert await status(client, "/recommendations/s", headers={"X-API-Key": WRITE}) == 403
            async with client.post("/clicks", data="{}", headers=reads) as answer:
                assert answer.status == 403
            async with client.get("/health") as answer:
                assert await answer.json() == {"ready": True}, "who has no key learns no more"
            async with client.get("/health", headers=reads) as answer:
                assert (await answer.json())["keys"] == 2
            page = {"Origin": "https://shop.example"}
            async with client.get("/recommendations/s", headers=reads | page) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
            async with client.get("/recommendations/s", headers=reads | {"Origin": "https://evil.example"}) as answer:
                assert "Access-Control-Allow-Origin" not in answer.headers
            preflight = page | {"Access-Control-Request-Method": "POST"}
            async with client.options("/clicks", headers=preflight) as answer:
                assert answer.status == 204, "a browser asks without a key"
                assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
            file.write_text(f"a read,write {READ}\n")

            async def may_write() -> bool:
                async with client.post("/clicks", data="{}", headers=reads) as answer:
                    return bool(answer.status == 422)

            await until(may_write, "the changed file to count")

    asyncio.run(run())


def test_openapi_has_every_route_and_its_schemas_are_those_of_the_messages(
    cluster: str, names: Topics, send: Send
) -> None:
    send(names.clicks, [])
    send(names.recommendations, [list_of("s", 4)])

    async def run() -> None:
        async with serving(cluster, names, config()) as (client, service):
            async with client.get("/openapi.json") as answer:
                document = await answer.json()
            await ready(client)
            async with client.get("/recommendations/s") as answer:
                body = await answer.json()
            shown = {resource.canonical for resource in service._routes.app().router.resources()}
            assert shown == set(document["paths"])
            schemas = document["components"]["schemas"]
            text = json.dumps(document)
            for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
                assert name in schemas
            schema = {"$ref": "#/components/schemas/Recommendation", "components": document["components"]}
            jsonschema.validate(body, schema)
            schema["$ref"] = "#/components/schemas/Erase"
            jsonschema.validate({"session_id": 7, "type": "erase", "ts": 1_700_000_000_000}, schema)
            schema["$ref"] = "#/components/schemas/Click"
            jsonschema.validate({"session_id": 7, "item_id": "a", "ts": 1_700_000_000_000}, schema)
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({"session_id": 7, "item_id": "a", "ts": 1_700_000_000}, schema)

    asyncio.run(run())
