"""Tests of export/registry/: on a local directory and on fsspec's memory file system."""

import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from export.bundle.bundle import CARD, CARD_VALUES, MANIFEST, MODEL, Bundle, load_bundle
from export.bundle.writing import write_bundle
from export.errors import BundleError, ConfigError, RegistryError, RegistryMissing, VersionUnknown
from export.registry.addresses import local_bundle
from export.registry.local_storage import LocalStorage
from export.registry.registry import Registry


@pytest.fixture(params=["local", "file", "memory"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """An empty registry of each kind."""
    name = f"registry-{uuid.uuid4().hex}"
    urls = {"local": str(tmp_path / name), "file": f"file://{tmp_path / name}", "memory": f"memory://{name}/deep"}
    made = Registry(urls[request.param], cache=tmp_path / "cache")
    made.create()
    yield made
    if request.param == "memory":
        fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> Registry:
    made = Registry(tmp_path / "registry")
    made.create()
    return made


def test_card_of_a_version_is_read_by_itself_and_an_altered_one_is_refused(registry: Registry, copied: Path) -> None:
    registry.publish(copied)
    assert registry.card("1", CARD) is None  # of an earlier release
    for name in (CARD, CARD_VALUES):
        (copied / name).write_text(f"what is in {name}")
    before = load_bundle(copied)
    carded = write_bundle(
        copied,
        onnx_file=before.onnx_path,
        vocabulary=before.vocabulary,
        popularity=before.popularity,
        manifest=before.manifest,
        cards_in=copied,
    )
    assert (before.has_card, carded.has_card) == (False, True)
    registry.publish(copied)
    assert registry.card("2", CARD) == b"what is in card.md"
    assert registry.card("2", CARD_VALUES) == b"what is in card.json"
    folder = registry.fetch("2")
    (folder / CARD).write_text("what is in Card.md")
    with pytest.raises(BundleError, match=r"card\.md"):
        load_bundle(folder)


def test_publish_numbers_versions_and_leaves_the_staging_directory(registry: Registry, copied: Path) -> None:
    before = (copied / MANIFEST).read_bytes()
    assert registry.versions() == []
    assert registry.newest() is None
    assert [registry.publish(copied) for _ in range(11)] == [str(number) for number in range(1, 12)]
    assert registry.versions() == [str(number) for number in range(1, 12)]
    assert registry.newest() == "11"
    assert (copied / MANIFEST).read_bytes() == before


def test_fetch_returns_a_sound_bundle_with_its_version(registry: Registry, bundle: Bundle) -> None:
    version = registry.publish(bundle.path)
    fetched = load_bundle(registry.fetch(version))
    assert fetched.version == version == registry.manifest(version).version
    assert fetched.manifest_sha256 == registry.manifest_sha256(version)
    assert fetched.manifest.files == bundle.manifest.files
    assert registry.fetch(version) == fetched.path
    assert registry.uri(version).endswith(f"/{version}")


def test_create_again_keeps_what_is_there(registry: Registry, bundle: Bundle) -> None:
    registry.publish(bundle.path)
    registry.create()
    assert registry.versions() == ["1"]
    assert registry.exists()


def test_publish_of_an_unsound_bundle_is_refused_and_takes_no_number(registry: Registry, copied: Path) -> None:
    content = (copied / MODEL).read_bytes()
    (copied / MODEL).write_bytes(content[:-1])
    with pytest.raises(BundleError) as caught:
        registry.publish(copied)
    assert caught.value.reason == "truncated"
    (copied / MODEL).write_bytes(content)
    assert registry.publish(copied) == "1"


def test_promote_and_rollback_walk_through_the_history(registry: Registry, bundle: Bundle) -> None:
    for _ in range(3):
        registry.publish(bundle.path)
    assert registry.live() is None
    for version in ("1", "3", "3", "2"):
        registry.promote(version)
        assert registry.live() == version
    assert registry.history() == ("1", "3", "2")
    assert registry.rollback() == "3"
    assert registry.rollback() == "1" == registry.live()
    with pytest.raises(RegistryError, match="no earlier version"):
        registry.rollback()
    assert registry.live() == "1"


def test_variants_are_live_independently(registry: Registry, bundle: Bundle) -> None:
    registry.publish(bundle.path)
    registry.promote("1", "blue-2")
    assert (registry.live("blue-2"), registry.live()) == ("1", None)
    with pytest.raises(RegistryError, match="no earlier version"):
        registry.rollback("green")


def test_every_method_without_a_registry_says_so(tmp_path: Path, bundle: Bundle) -> None:
    for url in (str(tmp_path / "absent"), f"memory://{uuid.uuid4().hex}"):
        registry = Registry(url)
        assert not registry.exists()
        for call in (registry.versions, registry.newest, registry.live, registry.rollback):
            with pytest.raises(RegistryMissing, match="no registry"):
                call()
        for use in (registry.fetch, registry.manifest, registry.promote):
            with pytest.raises(RegistryMissing):
                use("1")
        with pytest.raises(RegistryMissing):
            registry.publish(bundle.path)


def test_unknown_version_is_named(registry: Registry, bundle: Bundle) -> None:
    registry.publish(bundle.path)
    for use in (registry.fetch, registry.manifest, registry.manifest_sha256, registry.promote):
        with pytest.raises(VersionUnknown, match="7"):
            use("7")
    assert registry.live() is None


@pytest.mark.parametrize(
    "version", ["", "..", "../1", "1/../..", "/etc", "01", "-1", "1.0", "1\n", "٣", "live", "9" * 19]
)
def test_version_that_is_no_number_is_refused(registry: Registry, version: str) -> None:
    for use in (registry.fetch, registry.manifest, registry.manifest_sha256, registry.promote, registry.uri):
        with pytest.raises(VersionUnknown):
            use(version)


@pytest.mark.parametrize("variant", ["", "..", "../../x", "a/b", ".hidden", "a b", "a\n", "x" * 65, "\0"])
def test_variant_that_could_leave_the_registry_is_refused(registry: Registry, bundle: Bundle, variant: str) -> None:
    registry.publish(bundle.path)
    for use in (registry.live, registry.history, registry.rollback):
        with pytest.raises(ConfigError):
            use(variant)
    with pytest.raises(ConfigError):
        registry.promote("1", variant)


def test_concurrent_publishers_never_get_the_same_version(registry: Registry, bundle: Bundle) -> None:
    barrier = threading.Barrier(8)

    def publish(_: int) -> str:
        barrier.wait()
        return registry.publish(bundle.path)

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(publish, range(8)))
    assert sorted(versions, key=int) == [str(number) for number in range(1, 9)] == registry.versions()
    for version in versions:
        assert load_bundle(registry.fetch(version)).version == version


@pytest.mark.slow
def test_publishers_in_several_processes_never_get_the_same_version(local: Registry, bundle: Bundle) -> None:
    code = (
        "import sys; from export.registry.registry import Registry; print(Registry(sys.argv[1]).publish(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, local.url, str(bundle.path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    versions = [process.communicate(timeout=60)[0].strip() for process in running]
    assert sorted(versions) == ["1", "2", "3", "4"] == local.versions()


def test_reader_during_publication_sees_no_partial_version(local: Registry, bundle: Bundle) -> None:
    stop = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not stop.is_set():
            for version in local.versions():
                load_bundle(local.fetch(version))  # raises when anything is missing or short
                seen.add(version)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        for _ in range(10):
            local.publish(bundle.path)
        deadline = time.monotonic() + 10
        while "10" not in seen and time.monotonic() < deadline and not reading.done():
            time.sleep(0.01)
        stop.set()
        reading.result(timeout=10)
    assert "10" in seen


def test_publish_that_fails_midway_shows_nothing_and_leaves_no_litter(
    local: Registry, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def fail(source: Path, target: Path) -> None:
        if Path(target).name == "popularity.npy":
            raise OSError("disk full")
        copy(source, target)

    monkeypatch.setattr("export.registry.local_storage.shutil.copyfile", fail)
    with pytest.raises(RegistryError, match="disk full"):
        local.publish(bundle.path)
    assert local.versions() == []
    assert list(Path(local.url).iterdir()) == []


def test_version_whose_manifest_is_not_there_yet_is_invisible(registry: Registry, bundle: Bundle) -> None:
    registry.publish(bundle.path)
    storage = registry._storage
    storage.replace("2/model.onnx", b"half uploaded")
    assert registry.versions() == ["1"]
    assert registry.newest() == "1"
    with pytest.raises(VersionUnknown):
        registry.fetch("2")
    assert registry.publish(bundle.path) == "3"


def test_number_of_a_removed_version_that_was_live_is_not_given_again(local: Registry, bundle: Bundle) -> None:
    for _ in range(2):
        local.publish(bundle.path)
    local.promote("1")
    local.promote("2")
    shutil.rmtree(Path(local.url) / "2")
    assert local.publish(bundle.path) == "3"
    assert local.rollback() == "1"


def test_rollback_skips_versions_that_were_removed(local: Registry, bundle: Bundle) -> None:
    for _ in range(3):
        local.promote(local.publish(bundle.path))
    shutil.rmtree(Path(local.url) / "2")
    assert local.rollback() == "1"


def test_promote_damaged_version_is_refused_and_changes_nothing(local: Registry, bundle: Bundle) -> None:
    for _ in range(2):
        local.publish(bundle.path)
    local.promote("1")
    (Path(local.url) / "2" / MODEL).write_bytes(b"garbage")
    with pytest.raises(BundleError, match="truncated"):
        local.promote("2")
    assert local.live() == "1"


def test_copied_version_is_neither_promoted_nor_rolled_back_to(local: Registry, bundle: Bundle) -> None:
    """Workers take no bundle whose manifest names another version than its folder."""
    for _ in range(3):
        local.promote(local.publish(bundle.path))
    for copy in ("2", "9"):
        shutil.rmtree(Path(local.url) / copy, ignore_errors=True)
        shutil.copytree(Path(local.url) / "1", Path(local.url) / copy)
    with pytest.raises(BundleError, match="is no version 9, its manifest says 1"):
        local.promote("9")
    assert local.live() == "3"
    assert local.rollback() == "1"


def test_rollback_skips_versions_that_are_damaged(local: Registry, bundle: Bundle) -> None:
    for _ in range(3):
        local.promote(local.publish(bundle.path))
    (Path(local.url) / "2" / MANIFEST).write_bytes(b"{")
    assert local.rollback() == "1"


def test_local_bundle_of_a_folder_is_itself_and_of_a_url_is_fetched(registry: Registry, bundle: Bundle) -> None:
    assert local_bundle(bundle.path) == local_bundle(str(bundle.path)) == bundle.path
    version = registry.publish(bundle.path)
    assert load_bundle(local_bundle(registry.uri(version))).version == version
    if "://" in registry.url:
        with pytest.raises(VersionUnknown):
            local_bundle(f"{registry.url}/7")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"history": 3}', b"\xff", b'{"history":' * 10_000])
def test_live_file_that_can_not_be_read_is_named(registry: Registry, content: bytes) -> None:
    registry._storage.replace("live/default.json", content)
    with pytest.raises(RegistryError, match=r"live/default\.json"):
        registry.live()


def test_concurrent_promotions_lose_none(local: Registry, bundle: Bundle) -> None:
    versions = [local.publish(bundle.path) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(local.promote, versions))
    assert sorted(local.history()) == versions


def test_stale_staging_directory_is_swept_and_a_fresh_one_kept(local: Registry, bundle: Bundle) -> None:
    stale, fresh = Path(local.url) / ".staging-stale", Path(local.url) / ".staging-fresh"
    stale.mkdir()
    fresh.mkdir()
    os.utime(stale, (0, 0))
    local.publish(bundle.path)
    assert not stale.exists()
    assert fresh.exists()


def test_registry_at_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RegistryMissing):
        Registry(tmp_path / "file").versions()
    with pytest.raises(RegistryError):
        Registry(tmp_path / "file").create()


@pytest.mark.parametrize("url", ["", "nosuchprotocol://x/y"])
def test_address_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Registry(url)


def test_relative_path_is_fixed_when_the_registry_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = LocalStorage(Path("here"))
    monkeypatch.chdir("/")
    storage.create()
    assert (tmp_path / "here").is_dir()
