"""Addresses that are not what is wanted: said with the right one."""

from pathlib import Path

import fsspec
import pytest

from export.bundle.bundle import Bundle
from export.errors import ConfigError, RegistryError, RegistryMissing
from export.registry.addresses import local_bundle
from export.registry.registry import Registry


@pytest.fixture
def local(tmp_path: Path, bundle: Bundle) -> Registry:
    made = Registry(tmp_path / "registry")
    made.create()
    made.publish(bundle.path)
    return made


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("s3:/shop/models", "s3://shop/models"),
        ("s3:shop/models", "s3://shop/models"),
        ("gs:/shop", "gs://shop"),
        ("memory:/shop", "memory://shop"),
        ("file:/srv/models", "file:///srv/models"),
    ],
)
def test_half_a_url_is_refused_with_the_right_spelling(
    wrong: str, right: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"write {right},"):
        Registry(wrong).create()
    with pytest.raises(ConfigError, match=f"write {right}/1,"):
        local_bundle(f"{wrong}/1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["shop: models", "a:b", "./s3:/shop"])
def test_folder_with_a_colon_in_its_name_is_a_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Registry(name).create()
    assert (tmp_path / name).is_dir()


def test_registry_in_the_place_of_a_version_is_refused_with_a_version(local: Registry, bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match=r"registry of 1 versions: name one of them, such as \S+/1 \(the newest\)"):
        local_bundle(local.url)
    local.promote("1")
    local.publish(bundle.path)
    for address in (local.url, f"{local.url}/", f"file://{local.url}"):
        with pytest.raises(ConfigError, match=r"registry of 2 versions: name one of them, such as \S+/1 \(live\)"):
            local_bundle(address)


def test_registry_elsewhere_in_the_place_of_a_version_is_refused_too(bundle: Bundle) -> None:
    elsewhere = Registry("memory://shop-of-addresses/models")
    elsewhere.create()
    elsewhere.publish(bundle.path)
    with pytest.raises(ConfigError, match="memory://shop-of-addresses/models/1"):
        local_bundle(elsewhere.url)
    fsspec.filesystem("memory").rm("/shop-of-addresses", recursive=True)


def test_version_in_the_place_of_a_registry_is_refused(local: Registry) -> None:
    version = Registry(local.uri("1"))
    for attempt in (version.create, version.versions):
        with pytest.raises(RegistryMissing, match="name the folder above"):
            attempt()


def test_rollback_with_nowhere_to_go_says_what_to_do(local: Registry) -> None:
    with pytest.raises(RegistryError, match=r"nothing was promoted.*models promote VERSION"):
        local.rollback()
    local.promote("1")
    with pytest.raises(RegistryError, match=r"version 1 is the only one promoted.*models promote VERSION"):
        local.rollback()


def test_create_in_a_registry_that_cannot_be_written_says_so(local: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(path))

    local.create()
    assert sorted(path.name for path in Path(local.url).iterdir()) == ["1"]
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RegistryError, match=r"can't create it: .*Read-only"):
        local.create()
