"""What the tests of the models share."""

import pytest

from export.bundle.bundle import load_bundle


@pytest.fixture(autouse=True)
def graphs_that_nobody_runs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote without a run of the graph, for tests of the order of versions; `test_unusable` has graphs that run."""
    if request.module.__name__.rpartition(".")[2] != "test_unusable":
        monkeypatch.setattr("export.registry.registry._try_out", lambda directory, _version: load_bundle(directory))
