"""What the tests of the models share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from export.bundle.bundle import load_bundle
from tests.stream.models.followed import Followed, Make


@pytest.fixture(autouse=True)
def graphs_that_nobody_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote without a run of the graph, for tests of the order of versions; `test_unusable` has graphs that run."""
    if request.module.__name__.rpartition(".")[2] != "test_unusable":
        monkeypatch.setattr("export.registry.registry._try_out", lambda directory, _version: load_bundle(directory))


@pytest.fixture
def followed(tmp_path: Path, cluster: str, topic: str) -> Iterator[Make]:
    made: list[Followed] = []

    def make(versions: int) -> Followed:
        made.append(Followed(tmp_path, cluster, topic, versions))
        return made[-1]

    yield make
    for one in made:
        one.follower.stop()
        one.serving.stop()
