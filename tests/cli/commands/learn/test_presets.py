"""`presets`, and `--set` of `train`."""

import json

import pytest
from typer.testing import CliRunner

from cli.app import app
from export.errors import ConfigError
from model.presets import PRESETS, preset


def said(*arguments: str) -> str:
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == 0, found.output
    return found.output


def test_presets_list_has_all_of_them() -> None:
    described = json.loads(said("presets", "list", "--json"))
    assert described.keys() == PRESETS.keys()
    assert all(described.values())
    assert "tron-feedback-inputs" in said("presets", "list")


def test_presets_show_has_every_field_with_its_value() -> None:
    shown = said("presets", "show", "tron+")
    for text in ("encoder.dropout", "0.15", "a whole number", "attention heads", "encoder 2", "kind gru"):
        assert text in shown, shown
    assert json.loads(said("presets", "show", "tron-fast", "--json")) == json.loads(
        json.dumps(preset("tron-fast").to_dict())
    )


def test_train_set_help_lists_the_fields() -> None:
    shown = said("train", "--set", "help")
    assert "negatives.popular_at_end" in shown
    assert "one of relu, swiglu" in shown


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--set", "dropuot=.2"), "did you mean"),
        (("--set", "lr=.1", "--lr", ".2"), "given by an option, too"),
        (("--set", "heads=3"), "must divide"),
    ],
)
def test_train_refuses_a_wrong_field_before_anything_is_read(more: tuple[str, ...], text: str) -> None:
    arguments = ["train", "--data", "none.csv", "--registry", "none", "--preset", "tron-fast", *more]
    found = CliRunner().invoke(app, arguments)
    assert isinstance(found.exception, ConfigError)
    assert text in str(found.exception)
