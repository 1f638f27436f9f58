"""The plot of the drift benchmark: it is drawn whatever is missing, and is the same for the same figures."""

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="plots need nextclick[train]")
from bench.shift.plot import draw

SERIES: dict[str, list[float | None]] = {"on": [0.3, None, 0.2, 0.3], "off": [0.3, 0.3, 0.1, 0.1]}


def test_draw_same_figures_make_the_same_file(tmp_path: Path) -> None:
    one, other = tmp_path / "one.svg", tmp_path / "other.svg"
    for path in (one, other):
        draw(path, SERIES, window_s=10, shift_s=20.0, versions=[12.0, 31.0])
    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().count("<path") > 2


def test_draw_without_versions_and_as_png(tmp_path: Path) -> None:
    draw(tmp_path / "drift.png", {"off": [0.1]}, window_s=10, shift_s=5.0)
    assert (tmp_path / "drift.png").read_bytes().startswith(b"\x89PNG")
