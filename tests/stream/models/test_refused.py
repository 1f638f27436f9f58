"""A bad model never takes the place of a good one."""

import gc
import weakref
from typing import Any

import pytest

from export.errors import ConfigError
from stream.models.loading import Wanted
from tests.stream.models.followed import Eventually, Make


class Graph:
    """What a refused model holds, and nobody wants to keep."""


@pytest.mark.slow
def test_follower_damaged_bundle_is_refused_once_and_the_current_stays(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    graph = one.registry.fetch("2") / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    one.announce("2")
    eventually(lambda: one.failures("truncated") == 1, "the refusal")
    assert one.follower.version == "1"
    assert "2 refused" in str(one.follower.error)
    assert len(one.loads) == 2
    one.announce("1")
    graph.write_bytes(b"no graph")
    one.announce("2")  # announced anew once it is repaired
    eventually(lambda: one.models == ["1", "2"], "the repaired bundle")
    assert one.follower.error is None


def test_follower_manifest_unlike_the_announced_is_refused(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2", sha256="00" * 32)
    eventually(lambda: one.failures("altered") == 1, "the refusal")
    assert one.models == ["1"]


def test_follower_first_model_damaged_takes_an_older_one(followed: Make, eventually: Eventually) -> None:
    one = followed(3)
    (one.registry.fetch("3") / "model.onnx").write_bytes(b"")
    (one.registry.fetch("2") / "items.json").unlink()
    one.announce("3")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the only sound version")
    assert len(one.errors) >= 2


def test_follower_loader_raising_anything_keeps_the_current_model(followed: Make, eventually: Eventually) -> None:
    one = followed(2)
    one.registry.promote("1")
    one.broken["2"] = RuntimeError("the graph is not for this runtime")
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: one.failures("runtime_error") == 1, "the refusal")
    assert one.follower.version == "1"


def test_follower_keeps_nothing_of_a_model_that_it_refused(followed: Make, eventually: Eventually) -> None:
    """What is refused is remembered for ever; a graph of some hundred megabytes a promotion must not be."""
    one = followed(2)
    one.registry.promote("1")
    refused: list[weakref.ref[Graph]] = []

    def load(wanted: Wanted) -> Any:
        ranker = one.load(wanted)
        if wanted.version == "2":
            graph = Graph()
            refused.append(weakref.ref(graph))
            try:
                raise ConfigError("k is larger than the model allows")
            except ConfigError as error:
                raise ConfigError(f"{error}: say --k 3") from error
        return ranker

    one.follower._load = load
    one.follower.start()
    eventually(lambda: one.models == ["1"], "the first model")
    one.announce("2")
    eventually(lambda: one.failures("config_error") == 1, "the refusal")
    eventually(lambda: len(one.errors) == 1, "the telling of it")
    eventually(lambda: gc.collect() >= 0 and refused[0]() is None, "the end of the refused model")
