"""A day on the topics is what workers would have made of it, and what grows is told from what does not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from bench.endurance.clicks_of_a_day import DAY_S, VARIANTS, Day
from bench.endurance.day import bounded, flat, grows
from bench.endurance.footprint import Footprint, folder_mb, rss_mb
from stream.messages.contract import decode_click, decode_recommendation

BEGIN = 1_790_000_000_000


def test_day_has_a_list_for_each_click_which_says_where_that_stands() -> None:
    messages = list(Day(2_000, 2_000, 4, BEGIN).messages())
    assert len(messages) == 2_000
    offsets, times, variants = [0] * 4, [ts for *_, ts in messages], dict[str, set[str]]()
    assert times == sorted(times)
    assert times[0] >= BEGIN
    assert times[-1] < BEGIN + 1.2 * DAY_S * 1000
    for partition, key, value, answer, ts in messages:
        click, found = decode_click(value, key, ts), decode_recommendation(answer)
        assert (found.session_id, found.event_ts) == (click.session_id, click.ts)
        assert (found.source.partition, found.source.offset) == (partition, offsets[partition])
        offsets[partition] += 1
        assert len({one.item_id for one in found.items}) == len(found.items) > 0
        variants.setdefault(found.variant, set()).add(click.session_id)
    assert variants.keys() == set(VARIANTS)
    assert not variants["control"] & variants["challenger"], "a session keeps its variant"


def test_series_is_flat_up_to_a_tenth_of_its_peak_and_only_while_its_process_reads() -> None:
    footprint = Footprint({"rss": lambda: 0.0})
    footprint.at = [float(number) for number in range(200)]
    footprint.values["rss"] = np.concatenate([np.full(100, 300.0), np.linspace(300, 900, 100)]).tolist()
    assert flat(footprint, "rss", until=99.0) == {"peak_mb": 300.0, "grown_mb": pytest.approx(0.0), "flat": True}
    assert not flat(footprint, "rss", until=199.0)["flat"]
    good = {"memory": {"flat": True}, "store": {"flat": True}, "state": {"flat": True}}
    assert grows({"trainer": {**good, "store": {"flat": False}}, "scoreboard": good}) == ["trainer's store"]


def test_store_may_grow_while_a_cycle_runs_and_ends_within_its_bound() -> None:
    footprint = Footprint({"store": lambda: 0.0})
    footprint.at = [0.0, 1.0, 2.0]
    footprint.values["store"] = [10.0, 80.0, 41.0]
    assert bounded(footprint, "store", 40) == {"peak_mb": 80.0, "end_mb": 41.0, "flat": True}
    assert not bounded(footprint, "store", 30)["flat"]


def test_footprint_samples_while_the_block_lasts(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 500_000)
    with Footprint({"folder": lambda: folder_mb(tmp_path), "rss": lambda: rss_mb(os.getpid())}, 0.01) as footprint:
        while len(footprint.at) < 3:
            time.sleep(0.01)
    assert set(footprint.series("folder").tolist()) == {0.5}
    assert footprint.series("rss").min() > 10
    assert rss_mb(2**22 + 1) == 0.0
