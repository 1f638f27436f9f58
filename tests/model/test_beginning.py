"""What ranks is compiled before a training's time is shared out, where a model's lists need it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from export.graph.beside import SCANNED_FROM
from model.beginning import ready_to_rank
from model.codes.config import CodesConfig
from model.config import Preset
from model.presets import preset
from model.reports.progress import Progress


@pytest.mark.parametrize(
    ("asked_for", "items", "coded"),
    [
        (preset("tron-fast"), SCANNED_FROM, False),
        (preset("tron-fast"), SCANNED_FROM - 1, None),
        (preset("mtmi"), SCANNED_FROM, None),
        (replace(preset("tron-fast"), codes=CodesConfig(), tower=None), 9, True),
    ],
)
def test_what_a_model_ranks_with_is_compiled_where_it_is_a_scan(
    monkeypatch: pytest.MonkeyPatch, asked_for: Preset, items: int, coded: bool | None
) -> None:
    asked, said = [], list[Progress]()

    def load_scan(*, coded: bool) -> str:
        asked.append(coded)
        return "compiled, 14 s"

    monkeypatch.setattr("model.beginning.load_scan", load_scan)
    ready_to_rank(asked_for, items, said.append)
    assert asked == ([] if coded is None else [coded])
    assert [(one.stage, one.message) for one in said] == [("compile", "compiled, 14 s")] * len(asked)
