"""Tests of export/bundle/manifest.py."""

import json
from typing import Any

import numpy as np
import pytest

from bench.rig.toy import toy_manifest
from export.bundle.manifest import FORMAT_VERSION, UNPUBLISHED, Manifest
from export.errors import BundleError


def changed(**fields: Any) -> bytes:
    return json.dumps({**json.loads(toy_manifest().to_bytes()), **fields}).encode()


def test_manifest_written_and_read_is_the_same() -> None:
    manifest = toy_manifest()
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert (manifest.format_version, manifest.version) == (FORMAT_VERSION, UNPUBLISHED)


def test_manifest_written_twice_gives_the_same_bytes() -> None:
    assert toy_manifest().to_bytes() == toy_manifest().to_bytes()


def test_manifest_with_numpy_scalars_and_string_subclasses_is_plain_json() -> None:
    class Version(str):
        __slots__ = ()

    manifest = Manifest(
        created_ts=1,
        preset="toy",
        config={"lr": np.float32(0.5)},
        items=3,
        window=2,
        k_max=3,
        training=toy_manifest().training,
        valid={"recall@20": np.float64(0.25)},
        baselines={},
        parity={},
        libraries={"torch": Version("2")},
    )
    read = Manifest.from_bytes(manifest.to_bytes())
    assert (read.config, read.valid, read.libraries) == ({"lr": 0.5}, {"recall@20": 0.25}, {"torch": "2"})


def test_manifest_with_what_json_cannot_hold_is_refused() -> None:
    manifest = Manifest(**{field: getattr(toy_manifest(), field) for field in Manifest.__struct_fields__})
    manifest.config["object"] = object()
    with pytest.raises(NotImplementedError, match="object"):
        manifest.to_bytes()


def test_from_bytes_with_unknown_field_ignores_it() -> None:
    assert Manifest.from_bytes(changed(later="x")) == toy_manifest()


@pytest.mark.parametrize("version", [0, 2, 99])
def test_from_bytes_of_another_format_says_so(version: int) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_bytes(changed(format_version=version, items="whatever that format has here"))
    assert caught.value.reason == "format_version"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"format_version": "1"}',
        b'{"format_version": 1}',
        b'{"a":' * 50_000,
        changed(items="40"),
        changed(items=0),
        changed(window=0),
        changed(k_max=41),
        changed(k_max=0),
        changed(files={"model.onnx": {}}),
    ],
)
def test_from_bytes_of_a_bad_manifest_says_so(content: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_bytes(content)
    assert caught.value.reason == "bad_manifest"
