"""Preset files: what they change, and what is said of one that can't be used."""

from pathlib import Path

import pytest

from export.errors import ConfigError
from model.preset_files import base_and_settings, merged, preset_toml
from model.settings import read_settings


def test_preset_file_has_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    settings = {"dropout": 0.25, "hidden": 96, "activation": "swiglu", "logq": True, "input_dropout": None}
    path.write_text(preset_toml("tron-fast", settings, "Recall@20 0.5\nof a study"))
    base, given = base_and_settings(str(path))
    assert base == "tron-fast"
    assert read_settings(given) == settings


def test_preset_name_is_itself() -> None:
    assert base_and_settings("tron+") == ("tron+", [])
    assert base_and_settings("no-such") == ("no-such", [])  # refused where presets are


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("base = 3", 'it takes base = "NAME"'),
        ('base = "tron-fast"\nepochs = 3', "it has epochs too"),
        ('base = "tron-fast"\n[set]\ndropuot = 0.1', "did you mean"),
        ('base = "tron-fastest"', "no preset is called"),
        ("base = ", "can't be read as a preset"),
    ],
)
def test_preset_file_that_cannot_be_used_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=f"mine.toml.*{said}"):
        base_and_settings(str(path))


def test_merged_settings_are_those_given_where_both_have_one() -> None:
    assert merged(["dropout=0.1", "lr=0.2"], ["encoder.dropout=0.3"]) == ["lr=0.2", "encoder.dropout=0.3"]
