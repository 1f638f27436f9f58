"""What an announcement says is used, and a version that lies elsewhere is said to be there."""

import ast
import inspect
from pathlib import Path

import pytest

from export.errors import VersionUnknown
from export.registry.registry import Registry
from stream.config import StreamConfig
from stream.messages.contract import ModelAnnouncement
from stream.models import follower
from stream.models.loading import Wanted, load_ranker


def test_every_field_of_an_announcement_is_read_by_who_follows_it() -> None:
    read = {
        node.attr
        for node in ast.walk(ast.parse(inspect.getsource(follower)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "announcement"
    }
    assert set(ModelAnnouncement.__struct_fields__) == read


def test_version_that_lies_in_another_registry_is_said_with_its_place(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.create()
    config = StreamConfig(bootstrap_servers="host:1", registry=registry.url)
    with pytest.raises(VersionUnknown, match="announced as s3://other/models/7: give the worker that registry"):
        load_ranker(config, registry, Wanted("7", "00" * 32, 0, "s3://other/models/7"))
    with pytest.raises(VersionUnknown, match=r"has no version 7; .*models list"):
        load_ranker(config, registry, Wanted("7"))
