"""Click logs as files."""

from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from demo.click_log import ClickLog, session_id, write_click_log
from export.errors import ConfigError

LOG = ClickLog(np.array([7, 8, 7]), np.array([1, 0, 1]), np.array([10, 20, 30]))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_write_click_log_read_back_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix}"
    write_click_log(path, ["x", "y"], LOG)
    table = pyarrow.csv.read_csv(path) if suffix == ".csv" else pyarrow.parquet.read_table(path)
    assert table.to_pydict() == {
        "session_id": [session_id(7), session_id(8), session_id(7)],
        "item_id": ["y", "x", "y"],
        "timestamp": [10, 20, 30],
        "type": ["click"] * 3,
    }


def test_write_click_log_other_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="csv"):
        write_click_log(tmp_path / "log.txt", ["x", "y"], LOG)
    assert list(tmp_path.iterdir()) == []
