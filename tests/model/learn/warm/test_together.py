"""Items begin with vectors by what is clicked together: near where it is, of one length, the same of the same log."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.bundle.vocabulary import Vocabulary
from export.errors import ConfigError
from model.codes.config import CodesConfig
from model.codes.svd import leading
from model.config import Preset
from model.data.log import SessionLog
from model.learn.train import train
from model.learn.warm import together
from model.learn.warm.together import LENGTH, begin_together, directions
from model.nets.encoders import new_encoder
from tests.model.tiny import tiny_log, tiny_preset

GROUPS, OF = 4, 5  # items that are clicked with those of their own group alone
ALONE = GROUPS * OF + 1  # an item of sessions of its own


def shop(sessions: int = 400) -> SessionLog:
    random = np.random.default_rng(0)
    rows = [1 + OF * (s % GROUPS) + random.permutation(OF)[:3] for s in range(sessions)] + [np.full(2, ALONE)]
    return SessionLog(
        items=np.concatenate(rows).astype(np.int32),
        offsets=np.cumsum([0, *map(len, rows)]),
        ts=np.arange(sum(map(len, rows)), dtype=np.int64),
        vocabulary=Vocabulary([f"item-{number}" for number in range(1, ALONE + 1)]),
    )


def asked(**options: object) -> Preset:
    return tiny_preset(first_items="together", **options)


def test_items_are_nearest_to_those_they_are_clicked_with() -> None:
    found = directions(shop(), 8, seed=0)
    products = found[1:ALONE] @ found[1:ALONE].T
    group = np.arange(ALONE - 1) // OF
    same = group[:, None] == group[None, :]
    assert products[same].min() > products[~same].max() + 0.5
    assert np.linalg.norm(found[1:ALONE], axis=1) == pytest.approx(LENGTH, abs=1e-4)
    assert not found[[0, ALONE]].any(), "padding, and an item that says nothing of others"


def test_vectors_are_the_same_of_the_same_log_and_seed() -> None:
    first, again, other = (directions(shop(), 8, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.allclose(first @ first.T, other @ other.T, atol=0.05), "turned another way, and near each other as before"


def test_a_large_log_is_read_from_its_newest_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    log = shop()
    newest = directions(log.select(np.arange(201, log.sessions)), 8, seed=0)
    monkeypatch.setattr(together, "CLICKS", newest_clicks := int(log.clicks - log.offsets[201]))
    assert newest_clicks < log.clicks
    assert np.array_equal(directions(log, 8, seed=0), newest)


def test_table_begins_so_where_the_preset_says_so_and_the_rest_stays() -> None:
    log, preset = shop(), asked()
    encoder, plain = (new_encoder(preset, ALONE) for _ in range(2))
    assert begin_together(plain, log, tiny_preset()) == 0.0
    assert begin_together(encoder, log, preset) > 0.0
    assert not torch.equal(encoder.table[1:ALONE], plain.table[1:ALONE])
    for name, weight in encoder.named_parameters():
        assert name == "items.weight" or torch.equal(weight, plain.get_parameter(name))
    assert torch.equal(encoder.table[[0, ALONE]], plain.table[[0, ALONE]])


def test_items_as_codes_begin_as_they_do() -> None:
    preset = asked(hidden=16)
    codes = np.random.default_rng(0).integers(0, 16, (ALONE + 1, 4), dtype=np.uint8)
    coded = Preset(name="c", encoder=preset.encoder, train=preset.train, codes=CodesConfig(splits=4, bits=4))
    encoder = new_encoder(coded, ALONE, codes=codes)
    before = encoder.weight.clone()
    assert begin_together(encoder, shop(), coded) == 0.0
    assert torch.equal(encoder.weight, before)


@pytest.mark.slow
def test_a_short_training_knows_more_of_it() -> None:
    log, valid = shop(), shop(80)
    recall = [
        train(log, valid, tiny_preset(first_items=first, max_steps=3, epochs=1)).valid["mrr@20"]
        for first in ("random", "together")
    ]
    assert recall[1] > recall[0] + 0.1


def test_catalogue_smaller_than_the_vectors_are_wide() -> None:
    found = directions(tiny_log(), 64, seed=0)
    assert found.shape[1] == 64
    assert np.isfinite(found).all()


def test_a_word_that_is_no_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="first_items"):
        tiny_preset(first_items="nearby")


def test_leading_eigenvectors_are_those_of_the_matrix() -> None:
    random = np.random.default_rng(1).standard_normal((30, 30))
    matrix = (random @ random.T).astype(np.float32)
    vectors, values = leading(lambda thin: matrix @ thin, 30, 3, seed=0, rounds=30)
    wanted, exact = np.linalg.eigh(matrix.astype(np.float64))
    assert values == pytest.approx(wanted[::-1][:3], rel=1e-3)
    assert np.abs((vectors * exact[:, ::-1][:, :3]).sum(axis=0)) == pytest.approx(1.0, abs=1e-2)
    assert leading(lambda thin: matrix @ thin, 30, 40, seed=0)[0].shape == (30, 40), "0 where there are no more"
