"""Options are checked where they are made."""

from __future__ import annotations

from typing import Any

import pytest

from export.errors import ConfigError
from model.config import EncoderConfig, NegativesConfig, Preset, TrainConfig
from model.presets import PRESETS, preset


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (EncoderConfig, {"hidden": 0}),
        (EncoderConfig, {"hidden": 200, "heads": 3}),
        (EncoderConfig, {"dropout": 1.0}),
        (EncoderConfig, {"window": 1}),
        (EncoderConfig, {"positions": "middle"}),
        (NegativesConfig, {"uniform": 0}),
        (NegativesConfig, {"in_batch": -1}),
        (NegativesConfig, {"top": 0}),
        (TrainConfig, {"epochs": 0}),
        (TrainConfig, {"batch": 1}),
        (TrainConfig, {"lr": 0.0}),
        (TrainConfig, {"lr": float("nan")}),
        (TrainConfig, {"seed": -1}),
        (TrainConfig, {"threads": -1}),
        (TrainConfig, {"max_seconds": 0.0}),
    ],
)
def test_config_bad_value_is_refused(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        kind(**options)


def test_preset_row_smaller_than_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="row"):
        Preset(name="x", encoder=EncoderConfig(window=50), train=TrainConfig(row=49))


def test_preset_tron_has_the_published_settings() -> None:
    tron = preset("tron")
    encoder = tron.encoder
    assert (encoder.hidden, encoder.layers, encoder.heads, encoder.feed_forward) == (200, 2, 1, 200)
    assert (encoder.window, encoder.dropout) == (50, 0.05)
    assert (tron.negatives.uniform, tron.negatives.in_batch, tron.negatives.top) == (16_384, 127, 100)
    assert (tron.train.batch, tron.train.lr, tron.train.epochs) == (128, 5e-4, 10)


def test_preset_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="tron"):
        preset("nort")
    assert all(PRESETS[name]().name == name for name in PRESETS)


def test_override_given_options_replace_only_themselves() -> None:
    changed = preset("tron").override(epochs=3, uniform=64, positions="end")
    assert (changed.train.epochs, changed.negatives.uniform, changed.encoder.positions) == (3, 64, "end")
    assert (changed.train.lr, changed.negatives.top, changed.encoder.hidden) == (5e-4, 100, 200)
