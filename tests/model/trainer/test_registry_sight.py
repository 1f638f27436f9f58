"""A trainer whose registry goes away: it stores clicks, begins no cycle, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import RegistryMissing
from tests.model.trainer.place import PUBLISHED, FakeChild, Place


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.trainer.service._LOOK_S", 0.0)


def test_registry_that_is_not_mounted_has_cycles_wait_until_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    folder, elsewhere = tmp_path / "registry", tmp_path / "elsewhere"
    folder.rename(elsewhere)
    FakeChild.outcomes = [PUBLISHED]

    place.run_until(lambda: place.feed.at == 250 and "registry" in place.problems)
    assert place.trainer.health([]).clicks >= 200, "more than a first training needs"
    assert FakeChild.tasks == []
    assert "clicks are stored, and no cycle begins: there is no registry at" in place.problems["registry"]
    assert "see whether its folder is mounted" in place.problems["registry"]
    elsewhere.rename(folder)
    place.run_until(lambda: place.live == ["1"] and "registry" not in place.problems)


def test_registry_that_has_lost_what_was_published_gets_nothing_more(tmp_path: Path) -> None:
    place = Place(tmp_path)
    FakeChild.outcomes = [PUBLISHED]
    place.once()
    (tmp_path / "registry").rename(tmp_path / "elsewhere")
    (tmp_path / "registry").mkdir()
    with pytest.raises(RegistryMissing, match="is empty, and has held version 1"):
        place.once()
    place.run_until(lambda: "registry" in place.problems)
    assert "where it was emptied on purpose, publish a version into it" in place.problems["registry"]
    assert len(FakeChild.tasks) == 1
