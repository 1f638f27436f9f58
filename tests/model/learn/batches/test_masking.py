"""Masked batches hide what is to be found, show the rest, and keep sessions apart."""

from __future__ import annotations

import numpy as np
import pytest

from export.bundle.vocabulary import PAD
from model.data.log import SessionLog
from model.learn.batches.masking import pack_masked, pack_prefixes_masked
from model.learn.batches.packing import PackedBatch
from model.nets.config import EncoderConfig
from tests.model.tiny import tiny_log

CONFIG = EncoderConfig(hidden=16, window=10, masked=True)
LOG = tiny_log(400, longest=14)


def batch_of(log: SessionLog = LOG, *, share: float = 0.4, seed: int = 0, sessions: int = 400) -> PackedBatch:
    random = np.random.default_rng(seed)
    return pack_masked(log, np.arange(sessions), config=CONFIG, row=16, share=share, random=random)


def test_masked_session_has_its_newest_clicks_and_its_masks_hide_the_targets() -> None:
    batch = batch_of()
    ids, owner = batch.ids.reshape(-1), batch.owner.reshape(-1)
    for session in range(LOG.sessions):
        truth = LOG.session(session)[-11:]
        cells = np.flatnonzero(owner == session)
        cells = cells[np.argsort(batch.positions.reshape(-1)[cells])]
        mine = batch.sessions == session
        hidden = ids[cells] == PAD
        assert len(cells) == len(truth)
        assert cells[hidden].tolist() == batch.cells[mine].tolist()
        assert truth[hidden].tolist() == batch.targets[mine].tolist()
        assert truth[~hidden].tolist() == ids[cells[~hidden]].tolist()


def test_masked_every_session_has_a_mask_however_small_the_share() -> None:
    for share in (0.001, 0.4, 0.99):
        assert set(batch_of(share=share).sessions.tolist()) == set(range(LOG.sessions))


def test_masked_half_of_the_sessions_have_the_last_item_alone_and_the_rest_about_the_share() -> None:
    batch = batch_of(share=0.4)
    masks = np.bincount(batch.sessions)
    clicks = np.minimum(LOG.lengths, 11)
    last = np.cumsum(masks) - 1
    at_end = batch.positions.reshape(-1)[batch.cells[last]] == clicks - 1
    alone = (masks == 1) & at_end
    assert 0.5 < alone[clicks > 5].mean() < 0.65
    rest = clicks[~alone].sum()
    assert masks[~alone].sum() / rest == pytest.approx(0.4, abs=0.06)


def test_masked_same_random_state_gives_the_same_masks() -> None:
    assert np.array_equal(batch_of(seed=3).cells, batch_of(seed=3).cells)
    assert not np.array_equal(batch_of(seed=3).cells, batch_of(seed=4).cells)


def test_masked_empty_cells_belong_to_no_session() -> None:
    batch = batch_of(sessions=30)
    owner = batch.owner.reshape(-1)
    assert (batch.ids.reshape(-1)[owner == -1] == PAD).all()
    assert (owner >= 0).sum() == np.minimum(LOG.lengths[:30], 11).sum()
    assert (owner[batch.cells] == batch.sessions).all()


@pytest.mark.parametrize("positions", ["start", "end"])
def test_prefixes_have_one_mask_each_behind_their_clicks(positions: str) -> None:
    config = EncoderConfig(hidden=16, window=10, masked=True, positions=positions)  # type: ignore[arg-type]
    newest, lengths = LOG.offsets[:20] + 1, np.full(20, 2)
    lengths[LOG.lengths[:20] < 3] = 1
    newest[lengths == 1] -= 1
    batch = pack_prefixes_masked(LOG, newest, lengths, config=config, row=16)
    ids, place = batch.ids.reshape(-1), batch.positions.reshape(-1)
    assert batch.targets.tolist() == LOG.items[newest + 1].tolist()
    assert (ids[batch.cells] == PAD).all()
    assert ids[batch.cells - 1].tolist() == LOG.items[newest].tolist()
    assert (batch.owner.reshape(-1)[batch.cells - 1] == batch.sessions).all()
    assert place[batch.cells].tolist() == ([10] * 20 if positions == "end" else lengths.tolist())
