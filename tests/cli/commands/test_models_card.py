"""`models card`: the card of a version, as it lies in its bundle."""

import json
from pathlib import Path

from typer.testing import CliRunner

from bench.rig.toy import toy_bundle
from cli.app import app
from export.bundle.bundle import CARD, CARD_VALUES
from export.errors import ConfigError
from export.registry.registry import Registry
from model.bundling import with_manifest


def run(registry: Path, *more: str) -> "tuple[str, BaseException | None]":
    found = CliRunner().invoke(app, ["models", "card", *more, "--registry", str(registry)])
    return found.output, found.exception


def test_models_card_prints_it_and_says_where_there_is_none(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.create()
    bundle = toy_bundle(tmp_path / "bundle")
    registry.publish(bundle.path)
    (bundle.path / CARD).write_text("# Model card: toy\n")
    (bundle.path / CARD_VALUES).write_text('{"card_format": 1}')
    carded = with_manifest(bundle, bundle.manifest, cards_in=bundle.path)
    assert with_manifest(carded, bundle.manifest).has_card  # it stays where the manifest changes
    registry.publish(bundle.path)
    assert run(tmp_path / "registry", "2") == ("# Model card: toy\n", None)
    shown, _ = run(tmp_path / "registry", "2", "--json")
    assert json.loads(shown) == {"card_format": 1}
    _, error = run(tmp_path / "registry", "1")
    assert isinstance(error, ConfigError)
    assert "version 1 has no card" in str(error)
