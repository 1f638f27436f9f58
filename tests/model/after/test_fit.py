"""Tests of model/after: a layer is found where held-out sessions gain by it, by figures that are those of its lists."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from export.afterwards import BARRED, AfterwardsConfig, config_of
from model.after.config import AfterConfig
from model.after.fit import SHARES, fit
from model.after.held_out import BACKWARD, DECAYS, Entries, HeldOut, held_out
from model.after.layer import find_layer, make_layer
from model.after.record import described, leading, recorded
from model.codes.config import CodesConfig
from model.config import Preset
from model.data.log import SessionLog
from model.evaluate.protocol import prefixes
from model.nets.config import EncoderConfig
from model.nets.serving import ServingModel
from model.reports.progress import Progress
from tests.model.tiny import ITEMS, padded, tiny_encoder, tiny_log, tiny_preset

LOG, VALID = tiny_log(400, seed=1), tiny_log(150, seed=2)
LAYERS = [
    AfterwardsConfig(),
    AfterwardsConfig(last=BARRED, seen=1.0),
    AfterwardsConfig(share=0.3, decay=0.5, newest=4, backward=0.3),
    AfterwardsConfig(share=0.1, decay=0.8, newest=8, backward=1.0, last=-1.0),
    AfterwardsConfig(seen=2.0, again=3.0, fade=-0.5),
]


@pytest.fixture(scope="module")
def held() -> HeldOut:
    """What an untrained network and counts say."""
    found = held_out(ServingModel([tiny_encoder()]), LOG, VALID)
    assert found is not None
    return found


@pytest.mark.parametrize("config", LAYERS, ids=str)
def test_gains_are_those_of_the_lists(held: HeldOut, config: AfterwardsConfig) -> None:
    layer = make_layer(asdict(config), LOG)
    serving = ServingModel([tiny_encoder()], after=layer)
    starts, targets = prefixes(VALID, serving.window)
    with torch.no_grad():
        ids = padded([VALID.items[start:end] for start, end in zip(starts, targets, strict=True)])
        lists = serving.lists(ids, torch.zeros(len(ids), 1, dtype=torch.int32), torch.tensor(20))[0].numpy()
    places = lists == VALID.items[targets][:, None]
    rank = places.argmax(axis=1) + 1
    expected = np.where(places.any(axis=1), 1 + 1 / rank, 0.0)
    np.testing.assert_allclose(held.gains(config), expected)


def test_a_network_that_knows_nothing_gets_the_counts(held: HeldOut) -> None:
    found = fit(held, AfterConfig(counts="auto"))
    assert found.config.share == SHARES[-1]
    assert found.counts_gain > 0.3
    alone = found.before
    assert float(held.gains(found.config).mean()) > alone + 0.3
    assert fit(held, AfterConfig(counts="auto")) == found


class OfShares:
    """Held-out predictions that gain by the share of the counts alone; `near` is as good as `best` but for noise."""

    half = np.arange(4_000) % 2 == 1
    predictions = len(half)

    def __init__(self, near: float, best: float, behind: float) -> None:
        self.near, self.best, self.behind = near, best, behind
        self.noise = np.random.default_rng(0).normal(0.0, 0.1, self.predictions)

    def gains(self, config: AfterwardsConfig) -> NDArray[np.float64]:
        gain = {self.near: 1.0 - self.behind, self.best: 1.0}.get(config.share, 0.5)
        return np.full(self.predictions, gain) + self.noise * (config.share == self.near)


@pytest.mark.parametrize(("behind", "share"), [(0.0005, 0.3), (0.02, 0.7)], ids=["within its error", "clearly worse"])
def test_of_shares_about_as_good_the_smallest_is_taken(behind: float, share: float) -> None:
    """What is published learned for longer than what is judged, and a share fits the network that it was found with."""
    held: Any = OfShares(near=0.3, best=0.7, behind=behind)
    held.noise -= held.noise.mean()
    assert fit(held, AfterConfig(counts="auto"), lightest=True).config.share == share
    assert fit(held, AfterConfig(counts="auto")).config.share == 0.7, "what is judged is published"


def test_what_gains_too_little_is_not_taken_unless_asked_for(held: HeldOut) -> None:
    asked = AfterConfig(counts="auto", least_bias=5.0, least_counts=5.0)
    assert fit(held, asked).config == AfterwardsConfig()
    assert fit(held, replace(asked, counts="on")).config.counts
    assert not fit(held, AfterConfig(counts="on"), counted=False).config.counts


def test_a_session_s_own_items_rise_no_further_than_is_allowed_and_it_is_said_where_they_lead() -> None:
    sticky = replace(LOG, items=np.repeat(np.arange(1, LOG.sessions + 1) % ITEMS + 1, LOG.lengths).astype(np.int32))
    record, said = told(auto(), sticky.select(np.arange(200)))
    assert config_of(record).last >= 2
    assert said[1] == leading(record)
    assert "--exclude seen" in said[1]
    flat = replace(auto(), after=AfterConfig(counts="auto", most_bias=0.0))
    record, said = told(flat, sticky.select(np.arange(200)))
    assert max(config_of(record).last, config_of(record).seen, config_of(record).again) <= 0
    assert len(said) == 1


@pytest.mark.parametrize("name", ["again", "fade"])
def test_what_tells_a_session_s_items_apart_is_found(name: str) -> None:
    """Of two items of each session the target is the one with the larger value of this term, the network's is other."""
    count = 600
    of, value = np.repeat(np.arange(count), 3), np.tile([0.0, 1.0, 0.0], count).astype(np.float32)
    nothing = np.where(np.arange(3 * count) % 3 == 2, 0.7, 0.0).astype(np.float32)
    entries = Entries(
        of=of,
        probability=np.tile([0.5, 0.4, 0.1], count).astype(np.float32),
        counted=[np.zeros(3 * count, np.float32)] * len(DECAYS),
        held=np.arange(3 * count),
        times=value if name == "again" else np.zeros(3 * count, np.float32),
        back=value + 0.5 if name == "fade" else nothing + 0.5,
        target=np.arange(count) * 3 + 1,
    )
    found = fit(HeldOut(dict.fromkeys(BACKWARD, entries), np.arange(count) % 2 == 1), AfterConfig(counts="auto"))
    assert getattr(found.config, name) > 0
    assert found.bias_gain == pytest.approx(0.5)
    assert "times" in described(recorded(found))


def test_noise_is_not_taken_for_a_gain() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(2, 6, 300)
    noise = replace(
        LOG,
        items=random.integers(1, ITEMS + 1, lengths.sum()).astype(np.int32),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        ts=np.arange(lengths.sum(), dtype=np.int64),
    )
    found = held_out(ServingModel([tiny_encoder()]), noise.select(np.arange(150)), noise.select(np.arange(150, 300)))
    assert found is not None
    assert not fit(found, AfterConfig(counts="auto", least_counts=0.02, least_bias=0.02)).config.counts


def auto(preset: Preset | None = None) -> Preset:
    return replace(preset or tiny_preset(), after=AfterConfig(counts="auto"))


def told(preset: Preset, valid: SessionLog = VALID) -> tuple[dict[str, object], list[str]]:
    said: list[Progress] = []
    record = find_layer([tiny_encoder()], LOG, valid, preset, said.append)
    return record, [one.message for one in said]


def test_a_layer_is_recorded_and_made_again_of_its_record() -> None:
    record, said = told(auto())
    layer = make_layer(record, LOG)
    assert layer is not None
    assert layer.config == config_of(record)
    assert "counts of" in described(record)
    assert described(record) in said[0]


def test_presets_without_counts_say_nothing() -> None:
    assert told(tiny_preset()) == ({}, [])
    assert make_layer({}, LOG) is None


@pytest.mark.parametrize(
    ("preset", "why"),
    [
        (auto(replace(tiny_preset(), codes=CodesConfig(splits=4), tower=None)), "codes"),
        (auto(tiny_preset(typed=True)), "more than clicks"),
        (
            auto(replace(tiny_preset(top=0), encoder=EncoderConfig(hidden=16, window=10, interests=2))),
            "several vectors",
        ),
    ],
    ids=["codes", "feedback", "interests"],
)
def test_networks_that_can_have_no_layer_say_why(preset: Preset, why: str) -> None:
    record, said = told(preset)
    assert why in str(record["left_out"])
    assert why in said[0]
    assert make_layer(record, LOG) is None


def test_too_few_held_out_sessions_are_said() -> None:
    record, said = told(auto(), VALID.select(np.arange(5)))
    assert "held-out predictions" in str(record["left_out"])
    assert "the network alone" in said[0]


def test_too_few_held_out_sessions_keep_the_layer_of_before() -> None:
    """A fresh version of few clicks lost it, and half of its hits with it."""
    before, _ = told(auto())
    said: list[Progress] = []
    few = VALID.select(np.arange(5))
    assert find_layer([tiny_encoder()], LOG, few, auto(), said.append, before=before) == before
    assert said[0].message.endswith(f"500 are asked: as before, {described(before)}")
    assert "left_out" in find_layer([tiny_encoder()], LOG, few, auto(), before={})
    small = replace(auto(), after=AfterConfig(counts="auto", most_mb=0))
    assert "left_out" in find_layer([tiny_encoder()], LOG, few, small, before=before), "its table is too large now"


def test_a_table_that_is_too_large_is_left_out_and_said() -> None:
    record, said = told(replace(tiny_preset(), after=AfterConfig(counts="on", most_mb=0)))
    layer = make_layer(record, LOG)
    assert layer is not None
    assert not layer.config.counts
    assert "most_mb" in said[-1]
