"""Tests of model/codes: factors of a log's items, and codes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from export.bundle.vocabulary import Vocabulary
from export.errors import ConfigError
from model.codes import svd
from model.codes.bins import binned, random_codes
from model.codes.bpr import bpr_factors
from model.codes.config import CodesConfig
from model.codes.make import make_codes
from model.codes.svd import svd_factors
from model.config import Preset
from model.data.log import SessionLog
from model.nets.config import EncoderConfig
from tests.model.tiny import tiny_log, tiny_preset

FACTORS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=70), elements=st.floats(-1e6, 1e6, width=32)
)


@given(FACTORS, st.sampled_from([8, 4]))
def test_bins_hold_the_same_number_of_items_in_the_order_of_the_factor(factors: np.ndarray, bits: int) -> None:
    codes = binned(factors, bits, seed=0)
    assert codes.dtype == np.uint8
    assert not codes[0].any()
    for split in range(factors.shape[1]):
        counts = np.bincount(codes[1:, split], minlength=1 << bits)
        assert len(counts) == 1 << bits
        used = counts[counts > 0]
        assert used.max() - used.min() <= 1
        span = float(np.ptp(factors[:, split].astype(np.float64)))
        order = np.argsort(codes[1:, split], kind="stable")
        assert (np.diff(factors[order, split].astype(np.float64)) >= -span).all()


def test_bins_part_what_the_noise_does_not_mix() -> None:
    codes = binned(np.linspace(0, 1, 1000)[:, None], 4, seed=3)[1:, 0]
    assert (np.diff(codes.astype(int)) >= 0).all()


def two_kinds(sessions: int = 300) -> SessionLog:
    """Sessions of items 1..20 alone, and of 21..40 alone."""
    random = np.random.default_rng(0)
    items = random.integers(1, 21, (sessions, 5)) + 20 * (np.arange(sessions) % 2)[:, None]
    return SessionLog(
        items=items.astype(np.int32).ravel(),
        offsets=np.arange(0, 5 * sessions + 1, 5, dtype=np.int64),
        ts=np.arange(5 * sessions, dtype=np.int64),
        vocabulary=Vocabulary(map(str, range(40))),
    )


@pytest.mark.parametrize("made_by", ["svd", "bpr"])
def test_items_of_the_same_sessions_have_codes_alike(made_by: str) -> None:
    factors = (svd_factors if made_by == "svd" else bpr_factors)(two_kinds(), 2, seed=0)
    one, other = factors[:20], factors[20:]
    within = (
        np.linalg.norm(one - one.mean(axis=0), axis=1).mean()
        + np.linalg.norm(other - other.mean(axis=0), axis=1).mean()
    )
    assert np.linalg.norm(one.mean(axis=0) - other.mean(axis=0)) > within


@pytest.mark.parametrize("scaled", [True, False])
def test_factors_by_svd_are_those_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch, scaled: bool) -> None:
    monkeypatch.setattr(svd, "SESSIONS", 7)
    monkeypatch.setattr(svd, "ROWS", 11)
    log = tiny_log(200)
    dense = np.zeros((log.sessions, len(log.vocabulary)))
    np.add.at(dense, (np.repeat(np.arange(log.sessions), log.lengths), log.items - 1), 1.0)
    if scaled:
        dense /= np.sqrt(dense.sum(axis=1, keepdims=True) * log.popularity())
    found = svd_factors(log, 3, seed=1, scaled=scaled)
    expected = np.linalg.svd(dense)[2][:3].T  # (V, 3)
    np.testing.assert_allclose(np.abs(found.T @ expected), np.eye(3), atol=0.05)


def test_a_log_with_fewer_directions_than_factors_has_zeros_for_the_rest() -> None:
    log = tiny_log(50, items=3)
    found = svd_factors(log, 8, seed=0)
    assert found.shape == (3, 8)
    assert not found[:, 3:].any()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("made_by", ["svd", "svd-plain", "bpr", "random"])
@pytest.mark.parametrize("bits", [8, 4])
def test_codes_follow_from_log_and_seed_alone(made_by: str, bits: int) -> None:
    log, config = tiny_log(60), CodesConfig(made_by=made_by, splits=4, bits=bits)  # type: ignore[arg-type]
    one = make_codes(log, config, seed=1)
    np.random.default_rng(99)
    np.testing.assert_array_equal(one, make_codes(log, config, seed=1))
    assert (one != make_codes(log, config, seed=2)).any()
    assert one.shape == (41, 4)
    assert int(one.max()) < 1 << bits


def test_random_codes_say_nothing_of_the_order_of_items() -> None:
    codes = random_codes(4000, 2, 8, seed=0)[1:].astype(float)
    assert abs(np.corrcoef(np.arange(4000), codes[:, 0])[0, 1]) < 0.1
    assert abs(np.corrcoef(codes[:, 0], codes[:, 1])[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"made_by": "tree"}, "coded by svd, svd-plain, bpr, random, not 'tree'"),
        ({"splits": 0}, "at least 1 code"),
        ({"bits": 6}, "8 or 4 bits"),
    ],
)
def test_codes_that_there_are_not_are_refused(options: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        CodesConfig(**options)  # type: ignore[arg-type]


def test_preset_whose_vectors_do_not_divide_is_refused_with_what_would() -> None:
    with pytest.raises(ConfigError, match="16 wide can't be split in 3: choose splits that divide it, of 2, 4, 8, 16"):
        Preset(name="x", encoder=EncoderConfig(hidden=16), codes=CodesConfig(splits=3))


def test_preset_of_several_interests_is_refused() -> None:
    with pytest.raises(ConfigError, match="leave out the codes"):
        Preset(name="x", encoder=EncoderConfig(interests=2), negatives=tiny_preset().negatives, codes=CodesConfig())
