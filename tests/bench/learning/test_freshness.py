"""What newer clicks are worth: how a log is cut, what is counted as new, and what a row says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from bench.learning.freshness import FRESH, SIMULATED, read_shop, shops_in, shortened, so_far, table
from bench.retrained.learned import recall_of
from bench.retrained.slices import LEAST, cut, first_clicked, thinned
from export.bundle.vocabulary import Vocabulary
from model.cycle.config import FreshConfig
from model.data.log import SessionLog
from model.data.readers import RawLog, read_log
from model.errors import DataError
from model.evaluate.judge import Judgement
from model.presets import preset

BEGIN = 1_700_000_000_000


def shop(folder: Path, sessions: int = 1_000) -> RawLog:
    """Sessions of two clicks, one a second; those of one click in between are no sessions to learn from."""
    number = np.repeat(np.arange(sessions), 2)
    columns = {
        "session_id": np.concatenate((number, np.arange(50) + 10_000)),
        "item_id": np.concatenate((number // 100, np.arange(50))),
        "timestamp": BEGIN + 1000 * np.concatenate((number, np.arange(50))),
    }
    pq.write_table(pa.table(columns), folder / "clicks.parquet")
    return read_log(folder / "clicks.parquet")


def numbers(raw: RawLog) -> list[int]:
    """The sessions that are there."""
    ids = raw.session_ids.to_pylist()
    return sorted({int(ids[code]) for code in raw.sessions.tolist()})


def test_cut_gives_whole_sessions_to_one_part_each_by_time(tmp_path: Path) -> None:
    slices = cut(shop(tmp_path))
    base, new, following, old = (numbers(part) for part in (slices.base, slices.new, slices.next, slices.old))
    assert sorted([*base, *new, *following, *old]) == list(range(1_000))
    assert (len(new), len(following), len(old)) == (100, 150, 37)
    assert max(base) < min(new) < max(new) < min(following)
    assert max(old) < min(new)
    assert numbers(slices.whole) == sorted([*base, *new])


def test_cut_quarters_of_what_is_new_begin_where_it_does(tmp_path: Path) -> None:
    slices = cut(shop(tmp_path))
    assert [(ts - BEGIN) // 1000 for ts in slices.starts] == [750, 775, 800, 825]
    assert max(numbers(so_far(slices.whole, slices.starts[1]))) == 774
    assert numbers(so_far(slices.whole, None)) == numbers(slices.whole)


def test_cut_of_a_small_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are needed"):
        cut(shop(tmp_path, LEAST - 1))


def test_thinned_keeps_sessions_evenly_over_the_time(tmp_path: Path) -> None:
    assert numbers(thinned(shop(tmp_path), 4)) == [0, 333, 666, 999]
    assert numbers(thinned(shop(tmp_path), 5_000)) == list(range(1_000))


def test_first_clicked_are_the_items_that_nobody_could_know(tmp_path: Path) -> None:
    slices = cut(shop(tmp_path))
    assert first_clicked(slices.new, slices.base, slices.old) == {"8"}
    assert first_clicked(slices.next, slices.whole) == {"9"}


def test_recall_of_new_items_counts_their_predictions_only() -> None:
    log = SessionLog(
        items=np.array([1, 2, 3, 3, 2], np.int32),
        offsets=np.array([0, 3, 5]),
        ts=np.arange(5, dtype=np.int64),
        vocabulary=Vocabulary(["a", "b", "c"]),
    )
    judged = Judgement(metrics={}, ranks=np.array([1, 0, 21], np.int32))  # of the targets b, c, b
    assert recall_of(judged, log, frozenset({"b"})) == 0.5
    assert recall_of(judged, log, frozenset({"c"})) == 0.0
    assert recall_of(judged, log, frozenset({"d"})) is None


@pytest.mark.parametrize("sessions", [17_000, 400_000])
def test_shortened_takes_a_share_of_the_steps_that_the_judged_training_had(sessions: int) -> None:
    recipe = preset("tron-fast")
    _, whole = recipe.train.steps(sessions)
    assert shortened(recipe, sessions, 0.2).train.steps(sessions)[1] == pytest.approx(0.2 * whole, abs=1)


def test_fresh_is_what_the_trainer_does_by_default() -> None:
    assert FRESH["fresh"] == FreshConfig()
    assert all(config != FreshConfig() for name, config in FRESH.items() if name != "fresh")


def test_shops_without_data_are_simulated(tmp_path: Path) -> None:
    assert shops_in(tmp_path) == [SIMULATED]
    (tmp_path / "tmall.parquet").touch()
    assert shops_in(tmp_path) == ["tmall"]
    assert 0 < len(set(read_shop(SIMULATED, tmp_path, tmp_path, 300).sessions.tolist())) <= 300


def test_table_shows_the_gain_over_nothing_with_its_interval() -> None:
    row = {"how": "fresh", "recall": 0.52, "mrr": 0.2, "old_recall": 0.6, "new_item_recall": None, "steps": 64}
    row |= {"cpu_s": 3.6, "above_nothing": {"next": [0.02, 0.01, 0.03]}}
    shown = table({"shop": "small", "sessions": 1_000, "new_sessions": 100, "items": 9, "rows": [row]})
    console = Console(width=150, file=io.StringIO(), record=True)
    console.print(shown)
    text = console.export_text()
    assert "+0.0200 (+0.0100 to +0.0300)" in text
    assert "small: 1,000 sessions, 100 of them new" in text
