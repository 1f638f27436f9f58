"""A session without a list gets popular items, marked and counted, by the policy and by what the items say."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.rig.object_store import ObjectStore
from bench.rig.toy import toy_bundle
from export.errors import ConfigError, RegistryMissing
from export.registry.registry import Registry
from stream.messages.contract import decode_recommendation
from stream.ops.problems import Problems
from stream.serve.config import ServeConfig
from stream.serve.sources.popular import NO_CLICK, PopularLists
from stream.topic_names import Topics
from tests.stream.serve.server import list_of, serving, until

Send = Callable[[str, list[tuple[bytes, bytes | None]]], None]
BEST = [f"item-{number}" for number in range(100, 0, -1)]  # item i was clicked i times


@pytest.fixture
def names(topic: str) -> Topics:
    return Topics(clicks=f"{topic}-c", recommendations=f"{topic}-r", similar=f"{topic}-s", items=f"{topic}-i")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1 and 2, of 100 and 60 items; 1 is live."""
    registry = Registry(tmp_path / "registry")
    registry.create()
    for number, items in enumerate((100, 60)):
        registry.publish(toy_bundle(tmp_path / f"bundle-{number}", items=items).path)
    registry.promote("1")
    return registry


@pytest.fixture(autouse=True)
def items_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.items.follower._AWAIT_S", 0.0)


def settings(registry: Registry, **given: Any) -> ServeConfig:
    return ServeConfig(port=0, grace_s=1.0, fallback=registry.url, **given)


def said(problems: Problems) -> dict[str, str]:
    return {one.key: str(one) for one in problems.lasting()}


def test_session_without_a_list_gets_popular_items_until_it_has_one(
    cluster: str, names: Topics, send: Send, registry: Registry, tmp_path: Path
) -> None:
    policy = tmp_path / "lists.toml"
    policy.write_text('blocked = ["item-99"]\n[placements.home]\nk = 3\n[placements.cart]\nk = 2\n')
    send(names.clicks, [])
    send(names.items, [(b"item-100", b'{"item_id":"item-100","available":false}')])
    known = list_of("anna", 4, "home")
    send(names.recommendations, [known])

    async def run() -> None:
        async with serving(cluster, names, settings(registry, policy=policy)) as (client, service):

            async def listed(session: str, placement: str) -> list[str]:
                async with client.get(f"/recommendations/{session}?placement={placement}") as answer:
                    if answer.status != 200:
                        return []
                    found = decode_recommendation(await answer.read())
                    assert found.session_id == session
                    assert found.placement == placement
                    if found.fallback:
                        assert (found.model in registry.versions(), found.source.offset) == (True, NO_CLICK)
                    return [item.item_id for item in found.items]

            async def answers(session: str, placement: str, *items: str) -> bool:
                return await listed(session, placement) == list(items)

            await until(lambda: answers("ben", "home", *BEST[2:5]), "popular items that may be shown")
            await until(lambda: answers("anna", "home", "a"), "the list that Anna has")
            assert await answers("anna", "cart", *BEST[2:4])
            async with client.get("/recommendations/ben") as answer:
                assert answer.status == 404
                assert (await answer.json(content_type=None))["placements"] == ["cart", "home"]
            path = "/recommendations/ben/updates?placement=home&wait=0.01"
            async with client.get(f"{path}&after={NO_CLICK}") as answer:
                assert answer.status == 204, "popular items are no update"
            send(names.items, [(b"item-98", b'{"item_id":"item-98","available":false}')])
            await until(lambda: answers("ben", "home", *BEST[3:6]), "lists without what was switched off")
            registry.promote("2")
            await until(lambda: answers("ben", "home", *BEST[40:43]), "popular items of the next model")
            send(names.recommendations, [list_of("ben", 5, "home")])
            await until(lambda: answers("ben", "home", "a"), "a list of his own")
            assert service.health().fallback == "2"
            async with client.get("/metrics") as answer:
                text = await answer.text()
            counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("nextclick_serve"))
            assert float(counted['nextclick_serve_fallbacks_total{why="no_list"}']) >= 4

    asyncio.run(run())


def test_model_that_cannot_be_read_leaves_the_one_before_and_says_so(
    cluster: str, names: Topics, registry: Registry
) -> None:
    problems = Problems()
    popular = PopularLists(settings(registry, k=2), cluster, names, None, problems)
    popular.look()
    first = popular.answer("s", "")
    manifest = Path(registry.url) / "2" / "manifest.json"
    registry.promote("2")
    whole = manifest.read_text()
    manifest.write_text(whole[:40])
    popular.look()
    assert popular.answer("s", "") == first
    assert "popular items stay those of model 1" in said(problems)["fallback_old"]
    registry.promote("1")
    popular.look()
    assert said(problems) == {}


def test_registry_without_a_live_model_is_said_and_mended_by_a_promotion(
    cluster: str, names: Topics, registry: Registry, tmp_path: Path
) -> None:
    empty = Registry(tmp_path / "empty")
    empty.create()
    problems = Problems()
    popular = PopularLists(settings(empty, k=2), cluster, names, None, problems)
    popular.check()
    popular.look()
    assert popular.answer("s", "") is None
    assert "no model is live" in said(problems)["fallback_missing"]
    empty.publish(toy_bundle(tmp_path / "late", items=10).path)
    empty.promote("1")
    popular.look()
    assert json.loads(popular.answer("s", "") or b"{}")["items"][0]["item_id"] == "item-10"
    assert said(problems) == {}


def test_policy_that_leaves_too_few_items_is_said(
    cluster: str, names: Topics, registry: Registry, tmp_path: Path
) -> None:
    policy = tmp_path / "lists.toml"
    policy.write_text('filter = {where = {brand = ["none such"]}, fill = false}\n')
    problems = Problems()
    popular = PopularLists(settings(registry, policy=policy, k=7), cluster, names, None, problems)
    popular.look()
    assert "too few popular ones (lists: 0 of 7)" in said(problems)["lists_short"]


def test_what_cannot_be_meant_is_refused_at_start(cluster: str, names: Topics, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--fallback REGISTRY"):
        ServeConfig(policy=tmp_path / "lists.toml")
    with pytest.raises(RegistryMissing):
        PopularLists(settings(Registry(tmp_path / "nowhere")), cluster, names, None, Problems()).check()


def test_registry_that_is_away_leaves_popular_items_and_says_what_helps(
    cluster: str, names: Topics, registry: Registry, tmp_path: Path
) -> None:
    problems = Problems()
    (tmp_path / "registry" / ".nextclick-registry").touch()
    store = ObjectStore(tmp_path)
    popular = PopularLists(ServeConfig(fallback=f"{store.url}/registry", k=2), cluster, names, None, problems)
    popular.look()
    first = popular.answer("s", "")
    for status, helps in ((403, "credentials"), (503, "endpoint")):
        store.status = status
        popular.look()
        assert "popular items stay those of model 1" in said(problems)["fallback_old"]
        assert helps in said(problems)["fallback_old"]
    store.status = 0
    (tmp_path / "registry").rename(tmp_path / "elsewhere")
    popular.look()
    assert "mounted" in said(problems)["fallback_old"]
    (tmp_path / "elsewhere").rename(tmp_path / "registry")
    popular.look()
    assert "fallback_old" not in said(problems)
    store.stop()
    popular.look()
    assert "endpoint" in said(problems)["fallback_old"]
    assert popular.answer("s", "") == first
