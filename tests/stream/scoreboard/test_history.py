"""The history: whole lines, in a file that is kept small."""

from __future__ import annotations

import json
from pathlib import Path

from stream.scoreboard.history import History


def test_lines_follow_each_other_also_after_one_that_a_kill_cut(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    History(path).add(1, {"clicks": 1})
    with path.open("ab") as file:
        file.write(b'{"at_ms": 2, "cl')
    History(path).add(3, {"clicks": 3})
    first, _, third = path.read_text().splitlines()
    assert [json.loads(line)["at_ms"] for line in (first, third)] == [1, 3]


def test_file_that_grew_too_large_is_put_aside(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl", largest=100)
    for at in range(20):
        history.add(at, {"clicks": 7})
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert set(sizes) <= {"history.jsonl", "history.jsonl.1"}
    assert max(sizes.values()) <= 150
