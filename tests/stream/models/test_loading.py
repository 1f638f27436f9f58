"""What makes a ranker of a version."""

from pathlib import Path

import pytest

from export.errors import BundleError, ConfigError
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.models.loading import Wanted, load_ranker
from tests.stream.models.followed import Make


def test_load_ranker_version_or_hash_unlike_the_wanted_raises_bundle_error(followed: Make) -> None:
    one = followed(1)
    config = StreamConfig(bootstrap_servers="b", registry=one.registry.url)
    with pytest.raises(BundleError, match="announced"):
        load_ranker(config, one.registry, Wanted("1", "00" * 32))
    with pytest.raises(BundleError):
        load_ranker(config, one.registry, Wanted("1"))


@pytest.mark.slow
def test_load_ranker_sound_bundle_ranks(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="exporting a graph needs the extra train")
    from bench.rig.toy import toy_bundle

    registry = Registry(tmp_path / "registry")
    registry.create()
    version = registry.publish(toy_bundle(tmp_path / "staging").path)
    config = StreamConfig(bootstrap_servers="b", registry=registry.url, k=5, threads=1)
    ranker = load_ranker(config, registry, Wanted(version, registry.manifest_sha256(version)))
    assert len(ranker.rank_items([["item-1", "item-2"]], 5)[0].items) == 5
    too_many = StreamConfig(bootstrap_servers="b", registry=registry.url, k=11, threads=1)
    with pytest.raises(ConfigError, match="1 to 10"):
        load_ranker(too_many, registry, Wanted(version))
