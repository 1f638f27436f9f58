"""A bundle has the layer of its record: in its lists, its manifest, and its card's words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from export.afterwards import BARRED, AfterwardsConfig, config_of
from export.ranking.ranker import Ranker, RankerConfig
from model.after.config import AfterConfig
from model.after.fit import Fit
from model.after.record import described, recorded
from model.bundling import export_bundle, with_manifest
from model.learn.committee import train_preset
from tests.model.tiny import ITEMS, tiny_log, tiny_preset

FOUND = Fit(
    config=AfterwardsConfig(last=BARRED, share=0.3, decay=0.5, newest=4), predictions=900, before=0.5, counts_gain=0.01
)


@pytest.mark.slow
def test_a_refit_keeps_the_layer_that_was_judged_and_the_graph_has_it(tmp_path: Path) -> None:
    log, valid = tiny_log(100), tiny_log(10, seed=1)  # too few to find a layer by, were it asked
    preset = dataclasses.replace(tiny_preset(epochs=0.1, layers=1), after=AfterConfig(counts="auto"))
    bundle = export_bundle(
        train_preset(log, valid, preset), log, valid, preset, {}, tmp_path, afterwards=recorded(FOUND)
    )
    assert config_of(with_manifest(bundle, bundle.manifest).manifest.afterwards) == FOUND.config
    ids, _ = Ranker(bundle, RankerConfig(threads=1)).rank([[3, 4], [5]], ITEMS)
    assert ids[:, -1].tolist() == [4, 5]  # barred: behind all others
    follows = [item * 7 % ITEMS + 1 for item in (4, 5)]  # what the log's items are followed by
    assert ids[:, 0].tolist() == follows


def test_a_record_is_told_in_words() -> None:
    said = described(recorded(FOUND))
    assert said.startswith("last item barred, the session's others +0; counts of 4 clicks weigh 0.3 (+0.0100)")
    assert described({"left_out": "why"}) == "the network alone: why"
    alone = described(recorded(Fit(config=AfterwardsConfig(), predictions=900, before=0.5)))
    assert alone.startswith("the network alone: nothing gains enough")
