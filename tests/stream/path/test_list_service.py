"""What a worker says of its lists: of a policy that can't be met, and of upkeep that fails."""

from pathlib import Path

import pytest

from bench.rig.toy import ITEMS, toy_bundle
from export.errors import BundleError
from export.items.item import Item
from export.ranking.ranker import Ranker
from stream.config import StreamConfig
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.path.list_service import ListService
from stream.path.policy import PolicyConfig


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def service(problems: Problems, tmp_path: Path) -> ListService:
    (tmp_path / "lists.toml").write_text("[placements.home]\nk = 5\nat_most = {brand = 1}\n[placements.cart]\nk = 3")
    config = StreamConfig(
        bootstrap_servers="127.0.0.1:1", registry="nowhere", policy=PolicyConfig(file=tmp_path / "lists.toml")
    )
    return ListService(config, Metrics(), problems)


@pytest.mark.waits
def test_a_cap_that_no_list_can_meet_is_said_once_with_what_helps_and_goes(
    service: ListService, problems: Problems, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ranker = Ranker(toy_bundle(tmp_path / "toy"))
    for number in range(1, ITEMS + 1):
        service.items.table.put(Item(f"item-{number}", attributes={"brand": (f"b{number % 2}",)}))
    service.on_model(ranker)
    for _ in range(3):
        service.look()
    (problem,) = problems.lasting()
    assert problem.key == "lists_short"
    assert problem.what == (
        "lists of home have 2 of 5 items at most: at_most has brand = 1, and the items that may be shown have "
        "2 different values of brand (0 have none)"
    )
    assert problem.remedy == "raise at_most of brand, leave it out, or lower k"
    assert caplog.text.count("at_most has brand") == 1
    (tmp_path / "lists.toml").write_text("k = 5\nat_most = {brand = 3}")
    service.look()
    service.lists.answers([], ranker)  # the next batch is by the changed file
    service.look()
    assert not problems.lasting()


def test_upkeep_that_fails_is_a_problem_until_it_works(
    service: ListService, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise BundleError("bad_model", "the item tower of model 7 can't be run")

    with monkeypatch.context() as patch:
        patch.setattr(service.lists, "say_attributes", fail)
        service.look()
        (problem,) = problems.lasting()
        assert problem.key == "lists_upkeep"
        assert "the item tower of model 7 can't be run" in problem.what
    service.look()
    assert not problems.lasting()
