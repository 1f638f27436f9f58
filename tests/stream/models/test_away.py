"""The registry goes away while a model is in service: said, with the remedy, until it is back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rig.object_store import ObjectStore
from export.registry.registry import Registry
from tests.stream.models.followed import Eventually, Followed, Make


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.models.follower._SIGHT_S", 0.0)
    monkeypatch.setattr("stream.models.follower._BACKOFF_S", (0.05, 0.1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path)
    yield store
    store.stop()


def said(one: Followed) -> str:
    return one.wrong().get("registry", "")


@pytest.mark.parametrize("announced", [False, True])
def test_folder_that_is_not_mounted_is_said_once_until_it_is_again(
    followed: Make, eventually: Eventually, tmp_path: Path, caplog: pytest.LogCaptureFixture, announced: bool
) -> None:
    one = followed(1)
    one.serving.start()
    if announced:
        one.announce("1")
    eventually(lambda: one.models == ["1"], "the first model")
    folder, elsewhere = tmp_path / "registry", tmp_path / "elsewhere"
    folder.rename(elsewhere)
    eventually(lambda: "there is no registry" in said(one), "that the folder is gone")
    folder.mkdir()
    eventually(lambda: "is empty, and has held version 1" in said(one), "that the place of a mount is empty")
    assert "model 1 stays in service" in said(one)
    assert said(one).endswith("see whether its folder is mounted, or its bucket is there, and its address right; it is "
                              "asked again")  # fmt: skip
    assert one.metrics.registry.get_sample_value("nextclick_problem", {"key": "registry"}) == 1
    folder.rmdir()
    elsewhere.rename(folder)
    eventually(lambda: not said(one), "that it is mounted again")
    assert one.models == ["1"]
    logged = [line for line in caplog.messages if "the registry can't be used" in line]
    assert len([line for line in logged if not line.startswith("over after")]) == 1


def test_storage_that_refuses_or_is_away_is_said_with_its_own_remedy(
    followed: Make, eventually: Eventually, tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    one = followed(1)
    (tmp_path / "registry" / ".nextclick-registry").touch()
    one.registry.promote("1")
    one.registry = one.serving._registry = Registry(f"{store.url}/registry")
    one.serving.start()
    eventually(lambda: one.models == ["1"], "the first model")
    store.status = 403
    eventually(lambda: "credentials" in said(one), "that we are refused")
    store.status = 500
    eventually(lambda: "endpoint" in said(one), "that the storage fails")
    store.status = 0
    eventually(lambda: not said(one), "that it answers")
    store.stop()
    eventually(lambda: "endpoint" in said(one), "that nobody listens")
    assert one.models == ["1"]
