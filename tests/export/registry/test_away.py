"""A registry that was there and is away: no missing one where its storage fails, and what helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.rig.object_store import ObjectStore
from export.bundle.bundle import Bundle
from export.errors import RegistryError, RegistryMissing, VersionUnknown
from export.registry.away import remedy_for, require_filled
from export.registry.registry import Registry

MARKER = ".nextclick-registry"


@pytest.fixture
def local(tmp_path: Path, bundle: Bundle) -> Registry:
    made = Registry(tmp_path / "registry")
    made.create()
    made.publish(bundle.path)
    (tmp_path / "registry" / MARKER).touch()
    return made


@pytest.fixture
def store(tmp_path: Path, local: Registry) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def remote(store: ObjectStore, tmp_path: Path) -> Registry:
    return Registry(f"{store.url}/registry", cache=tmp_path / "cache")


def why(registry: Registry) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        require_filled(registry, "1")
    return caught.value


@pytest.mark.parametrize(("status", "helps"), [(403, "credentials"), (401, "credentials"), (503, "endpoint")])
def test_storage_that_refuses_or_fails_is_no_missing_registry(
    remote: Registry, store: ObjectStore, status: int, helps: str
) -> None:
    require_filled(remote, "1")
    store.status = status
    error = why(remote)
    assert not isinstance(error, RegistryMissing)
    assert str(status) in str(error)
    assert helps in remedy_for(error)
    store.status = 0
    require_filled(remote, "1")


def test_storage_that_nobody_answers_for_is_no_missing_registry(remote: Registry, store: ObjectStore) -> None:
    store.stop()
    error = why(remote)
    assert not isinstance(error, RegistryMissing)
    assert "endpoint" in remedy_for(error)


def test_registry_that_storage_does_not_have_is_missing(remote: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry" / MARKER).unlink()
    error = why(remote)
    assert isinstance(error, RegistryMissing)
    assert "bucket" in remedy_for(error)


def test_folder_that_is_not_mounted_is_missing_whether_it_is_there_or_not(local: Registry, tmp_path: Path) -> None:
    (tmp_path / "registry").rename(tmp_path / "elsewhere")
    assert "mounted" in remedy_for(why(local))
    (tmp_path / "registry").mkdir()
    error = why(local)
    assert "is empty, and has held version 1" in str(error)
    assert "mounted" in remedy_for(error)


def test_version_that_a_registry_lacks_has_another_remedy(local: Registry) -> None:
    with pytest.raises(VersionUnknown) as caught:
        local.fetch("9")
    assert "promote a version that it has" in remedy_for(caught.value)
