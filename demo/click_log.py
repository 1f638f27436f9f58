"""A simulated click log as a file that `nextclick train` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from export.errors import ConfigError

__all__ = ["ClickLog", "Ints", "session_id", "write_click_log"]

Ints = npt.NDArray[np.int64]


class ClickLog(NamedTuple):
    """Clicks by time: session numbers, items 0..V-1 and ts in ms since the epoch, all int64 (T,)."""

    session: Ints
    item: Ints
    ts: Ints


def session_id(number: int) -> str:
    """The name of a session on the wire."""
    return f"s{number:07d}"


def write_click_log(path: Path, item_ids: Sequence[str], log: ClickLog) -> None:
    """Write session_id, item_id (strings), timestamp (ms since the epoch) and type.

    ConfigError for another suffix, or where the file can't be written.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"{path} must end in .parquet or .csv")
    table = pa.table(
        {
            "session_id": pa.array([session_id(number) for number in log.session.tolist()], pa.string()),
            "item_id": _take(item_ids, log.item),
            "timestamp": pa.array(log.ts),
            "type": _take(["click"], np.zeros(len(log.ts), np.int64)),
        }
    )
    try:
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.csv.write_csv(table, path)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error}") from error


def _take(names: Sequence[str], index: Ints) -> pa.StringArray:
    return pa.array(names, pa.string()).take(index)
