"""A coded item table is learned like any other: every encoder, every kind of negatives, resumed, ranked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from export.errors import ConfigError
from model.codes.config import CodesConfig
from model.codes.make import training_codes
from model.config import Preset
from model.data.log import SessionLog
from model.errors import CheckpointError
from model.evaluate.baselines.baselines import make_baseline
from model.evaluate.protocol import evaluate
from model.learn.committee import train_preset
from model.learn.config import NegativesConfig
from model.learn.distributed import Team
from model.learn.rows import signs_of
from model.learn.train import Trainer, train
from model.learn.trained import Trained
from model.learn.validation import next_click_ranks
from model.learn.warm.codes import codes_from
from model.learn.warm.start import start_from
from model.nets.coded import CodedItems
from model.nets.encoder import Encoder
from model.nets.encoders import new_encoder
from tests.model.feedback import disliked_log
from tests.model.items import known, tiny_items
from tests.model.learn.test_validation import ENCODERS
from tests.model.tiny import padded, tiny_committee, tiny_encoder, tiny_log, tiny_preset

pytestmark = pytest.mark.slow


CODES = CodesConfig(splits=4)


def coded(preset: Preset | None = None, codes: CodesConfig = CODES, **options: Any) -> Preset:
    return replace((preset or tiny_preset()).override(**options), codes=codes)


def trained(directory: Path | None = None, preset: Preset | None = None, **more: Any) -> Trained:
    return train(tiny_log(200), tiny_log(40, seed=1), preset or coded(), run="r", directory=directory, **more)


def weights(one: Trained) -> dict[str, torch.Tensor]:
    return one.encoders[0].state_dict()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "gru", "residual": True, "ema": 0.9},
        {"masked": True, "lr": 0.01, "epochs": 10, "layers": 2},
        {"objective": "bpr-max", "rule": "adagrad", "lr": 0.15},
        {"negatives": NegativesConfig(everything=True)},
        {"negatives": NegativesConfig(everything=True, top=10)},
        {"negatives": NegativesConfig(each=2), "objective": "bce"},
    ],
    ids=str,
)
def test_training_with_codes_learns_more_than_popularity(options: dict[str, Any]) -> None:
    log, valid = tiny_log(300), tiny_log(30, seed=1)
    preset = coded(
        **{"epochs": 5, "layers": 1, "lr": 0.03, **{name: one for name, one in options.items() if name != "negatives"}}
    )
    found = train(log, valid, replace(preset, negatives=options.get("negatives", preset.negatives)))
    popular = evaluate(make_baseline("popularity", log), valid).to_json()
    assert found.valid["mrr@20"] > 1.5 * popular["mrr@20"]
    assert found.history[-1]["loss"] < found.history[0]["loss"]


def test_nothing_that_is_learned_is_as_long_as_the_catalogue() -> None:
    log = tiny_log(100, items=3_000)
    trainer = Trainer(log, tiny_log(10, items=3_000), coded(codes=CodesConfig(splits=4, bits=4)), run="r")
    trainer.run()
    kept = [*trainer.encoder.parameters(), *trainer.optimizer.moments]
    kept += [value for state in trainer.optimizer.rule.state.values() for value in state.values()]
    assert max(tensor.numel() for tensor in kept) < 3_000
    assert trainer.encoder.items.codes.dtype == torch.uint8


def test_training_with_codes_follows_from_its_seed() -> None:
    once = coded(epochs=1)
    one, again, other = trained(preset=once), trained(preset=once), trained(preset=coded(epochs=1, seed=5))
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(one).items())
    assert not torch.equal(weights(one)["items.books"], weights(other)["items.books"])


def test_training_with_codes_resumes_with_them(tmp_path: Path) -> None:
    whole = trained(tmp_path)
    random = np.random.default_rng(0).integers(0, 256, (41, 4), dtype=np.uint8)
    random[0] = 0
    again = trained(tmp_path, codes=random)  # what the checkpoint has counts
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(whole).items())


def test_members_of_a_committee_share_their_codes() -> None:
    log, valid = tiny_log(100), tiny_log(10, seed=1)
    one, other = train_preset(log, valid, coded(tiny_committee(epochs=1), CodesConfig(made_by="random"))).encoders
    assert torch.equal(one.state_dict()["items.codes"], other.state_dict()["items.codes"])
    assert not torch.equal(one.state_dict()["items.books"], other.state_dict()["items.books"])


def with_codes(encoders: list[Encoder], *, same: bool = False) -> list[Encoder]:
    """Put random codes into encoders; same: all items have one of two."""
    codes = torch.randint(0, 2 if same else 256, (41, 1 if same else 4), generator=torch.Generator().manual_seed(0))
    codes[0] = 0
    for encoder in encoders:
        encoder.items = CodedItems(codes.to(torch.uint8), encoder.config.hidden, 8)
    return encoders


@pytest.mark.parametrize("name", ["start", "masked, end", "committee"])
def test_validation_by_partial_scores_equals_ranking_every_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.nets.coded.BLOCK", 7)
    encoders = with_codes([tiny_encoder(seed=seed, **options) for seed, options in enumerate(ENCODERS[name])])
    log, ranks = tiny_log(15, longest=14), []
    for session in range(log.sessions):
        clicks = log.session(session)
        for t in range(1, len(clicks)):
            ids = padded([clicks[:t][-10:]])
            with torch.inference_mode():
                parts = [encoder.last(ids) @ encoder.items(torch.arange(1, 41)).T for encoder in encoders]
            scores = torch.stack(parts).sum(0).squeeze(0)
            ranks.append(int((scores >= scores[clicks[t] - 1] - 1e-6).sum()))
    found = next_click_ranks(encoders, log, row=16)
    assert np.mean(np.sort(found) == np.sort(ranks)) > 0.99


def test_items_with_the_same_codes_tie_to_the_last_bit_and_count_against_the_model() -> None:
    encoders = with_codes([tiny_encoder()], same=True)
    alike = torch.bincount(encoders[0].state_dict()["items.codes"][1:].flatten().long(), minlength=2)
    ranks = next_click_ranks(encoders, tiny_log(20), row=16)
    assert set(ranks.tolist()) <= {int(alike[0]), int(alike[1]), 40}


def test_codes_and_a_tower_are_refused() -> None:
    with pytest.raises(ConfigError, match="leave out the items, or the codes"):
        new_encoder(coded(), 40, known(tiny_items(40)).features(tiny_log(1).vocabulary), np.zeros((41, 4), np.uint8))


def test_a_training_that_begins_with_another_keeps_its_codes_and_codes_new_items_beside_those(tmp_path: Path) -> None:
    old = weights(trained(tmp_path))
    log = tiny_log(100, seed=3)
    log = replace(log, vocabulary=Vocabulary(["new", *log.vocabulary.items[1:]]))
    found = train(log, tiny_log(10), coded(epochs=1), init_from=tmp_path).encoders[0].state_dict()["items.codes"]
    assert torch.equal(found[2:], old["items.codes"][2:])
    again = codes_from(tmp_path, log, CODES, seed=9)
    np.testing.assert_array_equal(again, found.numpy())  # no chance in it: every item was clicked with a known one
    assert found[1].any()


def test_new_items_beside_one_known_item_get_its_codes(tmp_path: Path) -> None:
    old = weights(trained(tmp_path))["items.codes"]
    clicks = np.array([1, 2, 1, 2, 3, 4], np.int32)  # new beside item-7; two new ones beside each other
    log = SessionLog(
        items=clicks,
        offsets=np.array([0, 2, 4, 6]),
        ts=np.arange(6),
        vocabulary=Vocabulary(["item-7", "new", "newer", "newest"]),
    )
    codes = codes_from(tmp_path, log, CODES, seed=0)
    assert codes[2].tolist() == codes[1].tolist() == old[7].tolist()
    assert not np.array_equal(codes[3], codes[4])  # at random


def test_members_of_a_committee_that_begins_with_another_share_their_codes(tmp_path: Path) -> None:
    log, valid, preset = tiny_log(100), tiny_log(10, seed=1), coded(tiny_committee(epochs=1))
    train_preset(log, valid, preset, run="r", directory=tmp_path)
    more = replace(log, vocabulary=Vocabulary(["new", *log.vocabulary.items[1:]]))
    one, other = train_preset(more, valid, preset, init_from=tmp_path).encoders
    assert torch.equal(one.state_dict()["items.codes"], other.state_dict()["items.codes"])


def test_a_training_can_not_begin_with_items_of_another_form(tmp_path: Path) -> None:
    trained(tmp_path / "coded")
    train(tiny_log(50), tiny_log(10), tiny_preset(epochs=1), run="r", directory=tmp_path / "dense")
    with pytest.raises(CheckpointError, match="a dense item table: it can't start one with codes"):
        trained(init_from=tmp_path / "dense")
    with pytest.raises(CheckpointError, match="another item table"):
        trained(preset=tiny_preset(), init_from=tmp_path / "coded")
    with pytest.raises(CheckpointError, match="4 codes of 8 bits: it can't start a training with 8 of 4"):
        trained(preset=coded(codes=CodesConfig(splits=8, bits=4)), init_from=tmp_path / "coded")
    others = new_encoder(coded(), 40, codes=np.zeros((41, 4), np.uint8))
    with pytest.raises(CheckpointError, match="other codes of the same items"):
        start_from(others, tiny_log(1).vocabulary, tmp_path / "coded")


class Follower(Team):
    """Not the process that makes codes."""

    def same_on_all(self, state: list[object]) -> None:
        assert state == [None], "a follower makes none"
        state[0] = np.ones((41, 4), np.uint8)


def test_all_processes_have_the_codes_of_the_first() -> None:
    codes = training_codes(tiny_log(50), coded(), Follower(1, 2))
    assert codes is not None
    assert codes.all()
    one, other = (new_encoder(coded(), 40, codes=np.full((41, 4), fill, np.uint8)) for fill in (0, 1))
    assert signs_of(one)[0] == signs_of(other)[0]
    assert signs_of(one) != signs_of(other)  # what processes compare before they begin


@pytest.mark.parametrize("drawn", [{"popular": 9}, {"everything": True}], ids=str)
def test_training_with_codes_learns_from_feedback(drawn: dict[str, Any]) -> None:
    log, valid = disliked_log(80), disliked_log(10, seed=5)
    preset = replace(coded(typed=True, epochs=3), negatives=NegativesConfig(own=4, **drawn))
    found = Trainer(log, valid, preset, run="").run()
    assert found.history[-1]["loss"] < found.history[0]["loss"]
