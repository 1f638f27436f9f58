"""Options are checked where they are made, and presets have the published settings."""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import Any

import pytest

from export.errors import ConfigError
from model.config import Preset
from model.learn.config import LossConfig, NegativesConfig, TrainConfig
from model.nets.config import EncoderConfig
from model.presets import PRESETS, preset
from tests.model.tiny import tiny_committee, tiny_preset

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((EncoderConfig, {size: 0}) for size in ("hidden", "layers", "heads", "feed_forward")),
        (EncoderConfig, {"kind": "lstm"}),
        (EncoderConfig, {"hidden": 200, "heads": 3}),
        (EncoderConfig, {"dropout": 1.0}),
        (EncoderConfig, {"dropout": -0.1}),
        (EncoderConfig, {"input_dropout": 1.0}),
        (EncoderConfig, {"window": 1}),
        (EncoderConfig, {"positions": "middle"}),
        (EncoderConfig, {"positions": "rotary", "hidden": 9}),
        (EncoderConfig, {"positions": "rotary", "hidden": 6, "heads": 2}),
        (EncoderConfig, {"kind": "gru", "masked": True}),
        (NegativesConfig, {}),
        (NegativesConfig, {"uniform": 5, "in_batch": -1}),
        (NegativesConfig, {"uniform": 5, "top": -1}),
        (NegativesConfig, {"in_batch": 5}),
        (NegativesConfig, {"everything": True, "uniform": 5}),
        (NegativesConfig, {"everything": True, "each": 1}),
        (NegativesConfig, {"popular": 5, "each": 1}),
        (NegativesConfig, {"each": 1, "top": 5}),
        (NegativesConfig, {"popular": 5, "alpha": -0.1}),
        (NegativesConfig, {"popular": 5, "alpha": NAN}),
        (NegativesConfig, {"uniform": 5, "popular_at_end": 9}),
        (NegativesConfig, {"popular": 5, "ending": 0.0}),
        (NegativesConfig, {"popular": 5, "ending": 1.1}),
        (LossConfig, {"objective": "hinge"}),
        (LossConfig, {"calibration": 1.1}),
        (LossConfig, {"penalty": -1.0}),
        (LossConfig, {"elu": -1.0}),
        (LossConfig, {"mask_share": 0.0}),
        (LossConfig, {"mask_share": 1.0}),
        (LossConfig, {"objective": "bce", "logq": True}),
        *((TrainConfig, {name: "other"}) for name in ("rule", "schedule", "precision", "device")),
        *((TrainConfig, {"epochs": value}) for value in (0, -1.0, NAN, float("inf"))),
        *((TrainConfig, {"lr": value}) for value in (0.0, NAN, float("inf"))),
        (TrainConfig, {"batch": 1}),
        (TrainConfig, {"reference": -1}),
        (TrainConfig, {"warmup": -1}),
        (TrainConfig, {"ema": 1.0}),
        (TrainConfig, {"seed": -1}),
        (TrainConfig, {"threads": -1}),
        (TrainConfig, {"max_seconds": 0.0}),
        (TrainConfig, {"valid_sessions": 0}),
    ],
)
def test_config_bad_value_is_refused(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        kind(**options)


def test_preset_row_smaller_than_window_and_mask_is_refused() -> None:
    for encoder in (EncoderConfig(window=50), EncoderConfig(window=49, masked=True)):
        with pytest.raises(ConfigError, match="row"):
            Preset(name="x", encoder=encoder, train=TrainConfig(row=49))
        assert Preset(name="x", encoder=encoder, train=TrainConfig(row=50)).train.row == 50


@pytest.mark.parametrize("other", [{"window": 49}, {"masked": True}, {"positions": "end"}])
def test_preset_committee_that_looks_at_something_else_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="committee"):
        Preset(name="x", encoder=EncoderConfig(), committee=(EncoderConfig(**other),))
    assert Preset(name="x", encoder=EncoderConfig(), committee=(EncoderConfig(positions="rotary"),)).committee


def test_steps_are_those_of_the_epochs_and_at_least_one() -> None:
    assert TrainConfig(epochs=3, batch=10).steps(95) == (10, 30)
    assert TrainConfig(epochs=1.35, batch=10).steps(200) == (20, 27)
    assert TrainConfig(epochs=0.001, batch=10).steps(200) == (20, 1)


def test_steps_of_a_large_log_make_the_least_number_of_epochs() -> None:
    config = TrainConfig(epochs=4, reference=1_000, min_epochs=2, batch=100)
    assert config.steps(100_000) == (1_000, 2_000)
    assert config.steps(1_000) == (10, 40)


def test_steps_of_a_preset_made_for_a_size_change_with_the_root_of_the_log() -> None:
    config = TrainConfig(epochs=2, reference=400, batch=10)
    assert config.steps(400) == (40, 80)
    assert config.steps(1600) == (160, 160)  # four times the log, half as many epochs
    assert config.steps(100) == (10, 40)


def test_members_are_one_preset_an_encoder_with_seeds_of_their_own() -> None:
    committee = tiny_committee(seed=7)
    members = committee.members()
    assert [member.encoder for member in members] == [committee.encoder, *committee.committee]
    assert [member.train.seed for member in members] == [7, 1007]
    assert all(member.committee == () for member in members)
    assert all(member.negatives == committee.negatives for member in members)
    assert tiny_preset().members() == [tiny_preset()]


def test_override_given_options_replace_only_themselves() -> None:
    changed = preset("tron").override(epochs=3, uniform=64, positions="end", calibration=0.5, lr=None)
    assert (changed.train.epochs, changed.negatives.uniform, changed.encoder.positions) == (3, 64, "end")
    assert (changed.train.lr, changed.negatives.top, changed.encoder.hidden) == (5e-4, 100, 200)
    assert changed.loss.calibration == 0.5


def test_override_reaches_every_encoder_of_a_committee() -> None:
    changed = tiny_committee().override(positions="end", hidden=8)
    assert [(one.encoder.positions, one.encoder.hidden) for one in changed.members()] == [("end", 8)] * 2
    assert [one.encoder.kind for one in changed.members()] == ["transformer", "gru"]


@pytest.mark.parametrize(
    ("name", "expected"), [("tron", "uniform"), ("tron+", "popular"), ("gru4rec+", "popular"), ("sasrec", "each")]
)
def test_count_of_negatives_goes_where_a_preset_draws_them_and_holds_to_the_end(name: str, expected: str) -> None:
    one = preset(name)
    negatives = one.override(**one.count_of_negatives(500)).negatives
    assert getattr(negatives, expected) == 500
    assert negatives.popular_at_end == 0


def test_override_unknown_option_is_an_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        tiny_preset(colour=3)


def test_preset_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="tron"):
        preset("nort")
    assert all(PRESETS[name]().name == name for name in PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_says_where_it_is_from(name: str) -> None:
    made = PRESETS[name]
    said = (made.func if isinstance(made, partial) else made).__doc__ or ""
    assert re.search(r"Source:|Ours:|we know", said)
    assert dataclasses.asdict(preset(name)) == preset(name).to_dict()


def test_preset_tron_has_the_published_settings() -> None:
    tron = preset("tron")
    encoder = tron.encoder
    assert (encoder.kind, encoder.masked, encoder.positions) == ("transformer", False, "start")
    assert (encoder.hidden, encoder.layers, encoder.heads, encoder.feed_forward) == (200, 2, 1, 200)
    assert (encoder.window, encoder.dropout, encoder.input_dropout) == (50, 0.05, None)
    assert tron.negatives == NegativesConfig(uniform=16_384, in_batch=127, top=100)
    assert tron.loss == LossConfig()
    assert tron.train == TrainConfig(rule="adam", lr=5e-4, schedule="constant", batch=128, epochs=10)


def test_preset_sasrec_is_tron_with_binary_cross_entropy_against_one_negative() -> None:
    sasrec, tron = preset("sasrec"), preset("tron")
    assert sasrec.encoder == tron.encoder
    assert sasrec.negatives == NegativesConfig(each=1)
    assert sasrec.loss == LossConfig(objective="bce")
    assert sasrec.train == dataclasses.replace(tron.train, lr=1e-3)


def test_preset_sasrec_ssm_is_tron_without_its_top() -> None:
    ssm, tron = preset("sasrec-ssm"), preset("tron")
    assert (ssm.encoder, ssm.loss, ssm.train) == (tron.encoder, tron.loss, tron.train)
    assert ssm.negatives == NegativesConfig(uniform=8_192, in_batch=127)


def test_preset_gru4rec_has_the_published_settings() -> None:
    gru = preset("gru4rec+")
    assert (gru.encoder.kind, gru.encoder.hidden, gru.encoder.layers) == ("gru", 480, 1)
    assert (gru.encoder.dropout, gru.encoder.input_dropout, gru.encoder.residual) == (0.2, 0.0, False)
    assert gru.negatives == NegativesConfig(popular=2_048, alpha=0.2, in_batch=150)
    assert gru.loss == LossConfig(logq=True)
    assert (gru.train.rule, gru.train.lr, gru.train.epochs, gru.train.batch) == ("adagrad", 0.07, 10, 48)


def test_preset_gru4rec_bpr_max_has_the_published_settings() -> None:
    gru = preset("gru4rec+bpr-max")
    assert (gru.encoder.kind, gru.encoder.hidden, gru.encoder.layers, gru.encoder.window) == ("gru", 100, 1, 200)
    assert (gru.encoder.dropout, gru.encoder.residual) == (0.0, False)
    assert gru.negatives == NegativesConfig(popular=2_048, alpha=0.2)
    assert gru.loss == LossConfig(objective="bpr-max", elu=0.5, penalty=0.5)
    assert (gru.train.rule, gru.train.lr, gru.train.epochs, gru.train.batch) == ("adagrad", 0.2, 3, 32)


def test_preset_bert4rec_is_tron_with_masks_and_the_loss_of_sasrec_ssm() -> None:
    bert, tron, ssm = preset("bert4rec"), preset("tron"), preset("sasrec-ssm")
    assert bert.encoder == dataclasses.replace(tron.encoder, masked=True)
    assert bert.negatives == ssm.negatives
    assert bert.loss == LossConfig(mask_share=0.4)
    assert bert.train == dataclasses.replace(tron.train, lr=1e-3)
