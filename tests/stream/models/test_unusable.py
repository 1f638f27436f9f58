"""A version that nobody can serve is announced: it is refused at once, and the next announcement is followed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

from export.bundle.bundle import ITEMS, MANIFEST, MODEL, POPULARITY, Bundle
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.announcements import announce, announcement_for
from stream.models.follower import ModelFollower
from stream.ops.metrics import Metrics
from stream.topic_names import Topics
from tests.export.conftest import bundle  # noqa: F401  # the fixture
from tests.export.registry.test_unusable import device, fifo, huge, newer_ir

Eventually = Callable[[Callable[[], bool], str], None]
Follow = Callable[[], list[str]]

pytestmark = pytest.mark.slow


@pytest.fixture
def registry(tmp_path: Path, bundle: Bundle) -> Registry:  # noqa: F811
    """A registry of three versions."""
    made = Registry(tmp_path / "registry")
    made.create()
    for _ in range(3):
        made.publish(bundle.path)
    return made


@pytest.fixture
def follow(registry: Registry, cluster: str, topic: str) -> Iterator[Follow]:
    """A function that starts a follower and returns the versions it puts into service, as they come."""
    started: list[ModelFollower] = []

    def start() -> list[str]:
        served: list[str] = []
        config = StreamConfig(
            bootstrap_servers=cluster,
            registry=registry.url,
            k=5,
            threads=1,
            topics=Topics(models=topic),
            models_poll_s=0.05,
        )
        started.append(ModelFollower(config, Metrics(), lambda ranker: served.append(ranker.version)))
        started[-1].start()
        return served

    yield start
    for one in started:
        one.stop()


@pytest.mark.parametrize("name", [MODEL, ITEMS, POPULARITY, MANIFEST])
@pytest.mark.parametrize("damage", [fifo, device, huge])
def test_announced_version_that_is_no_bundle_is_refused_and_the_next_one_followed(
    registry: Registry,
    cluster: str,
    topic: str,
    follow: Follow,
    eventually: Eventually,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    one, two, three = (announcement_for(registry, version) for version in ("1", "2", "3"))
    damage(Path(registry.uri("2")) / name)
    announce(cluster, one, topic=topic)
    served = follow()
    eventually(lambda: served == ["1"], "the first version in service")
    announce(cluster, two, topic=topic)
    announce(cluster, three, topic=topic)
    eventually(lambda: served == ["1", "3"], "the version after the damaged one in service")


def test_announced_version_of_an_unknown_ir_is_refused_and_the_next_one_followed(
    registry: Registry,
    bundle: Bundle,  # noqa: F811
    tmp_path: Path,
    cluster: str,
    topic: str,
    follow: Follow,
    eventually: Eventually,
) -> None:
    newer = registry.publish(newer_ir(bundle, tmp_path / "newer"))
    announce(cluster, announcement_for(registry, "1"), topic=topic)
    served = follow()
    eventually(lambda: served == ["1"], "the first version in service")
    announce(cluster, announcement_for(registry, newer), topic=topic)
    announce(cluster, announcement_for(registry, "2"), topic=topic)
    eventually(lambda: served == ["1", "2"], "the version after the refused one in service")


def test_start_passes_over_the_newest_version_where_it_is_no_bundle(
    registry: Registry, follow: Follow, eventually: Eventually
) -> None:
    fifo(Path(registry.uri("3")) / MANIFEST)
    served = follow()
    eventually(lambda: served == ["2"], "the version before in service")
