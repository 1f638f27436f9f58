"""What a worker's lists are: the options and the file that say it, and the placements of an answer."""

import gc
import os
import sys
import threading
import weakref
from pathlib import Path

import pytest

from bench.rig.toy import toy_bundle
from export.bundle.vocabulary import Vocabulary
from export.errors import BundleError, ConfigError
from export.items.item import Item
from export.items.table import ItemTable
from export.policy.catalogue import Embedded
from export.policy.config import ListsConfig, Placement, Policy, parse_lists
from export.policy.counts import Counts
from export.policy.maker import ListMaker
from export.ranking.popularity import PopularityRanker
from export.ranking.ranker import Ranker
from stream.config import StreamConfig
from stream.messages.contract import Click
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.partition.session import SessionState, fold_click
from stream.path.list_service import ListService
from stream.path.lists import ShopLists
from stream.path.lists_file import ListsFile
from stream.path.policy import PolicyConfig


def state_of(*items: str) -> SessionState:
    state = None
    for offset, item in enumerate(items):
        name, _, kind = item.partition(":")
        state = fold_click(state, Click("s", name, 0, kind or "click"), offset)  # type: ignore[arg-type]
    assert state is not None
    return state


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Ranker:
    return Ranker(toy_bundle(tmp_path_factory.mktemp("toy")))


def test_without_options_one_list_hides_only_what_was_disliked(ranker: Ranker) -> None:
    lists = ShopLists(PolicyConfig().read(5))
    clicked = lists.answers([state_of("item-7")], ranker)[0]
    assert clicked.items == ranker.rank_items([["item-7"]], 5)[0].items
    best = clicked.items[0][0] if clicked.items[0][0] != "item-7" else clicked.items[1][0]
    disliked = lists.answers([state_of("item-7", f"{best}:dislike")], ranker)[0]
    assert best not in dict(disliked.items)
    assert len(disliked.items) == 5


def test_seen_leaves_out_the_whole_session_with_what_was_disliked(ranker: Ranker) -> None:
    lists = ShopLists(PolicyConfig(exclude="seen").read(5))
    found = lists.answers([state_of("item-7", "item-8:dislike")], ranker)[0]
    assert len(found.items) == 5
    assert not {"item-7", "item-8"} & set(dict(found.items))


def test_blocked_items_are_left_out(ranker: Ranker, tmp_path: Path) -> None:
    path = tmp_path / "blocked.txt"
    path.write_bytes(b'\xef\xbb\xbf# out of stock\r\nitem-1\r\n\r\n"#y"\r\nz\xe2\x80\xa8z\r\n')
    config = PolicyConfig(blocked_items=path).read(39)
    assert config.blocked == {"item-1", "#y", "z\u2028z"}
    found = ShopLists(config).answers([state_of("item-7"), state_of("unknown")], ranker)
    assert [(len(one.items), "item-1" in dict(one.items)) for one in found] == [(39, False)] * 2


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none or seen"):
        PolicyConfig(exclude="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not by both"):
        PolicyConfig(file=tmp_path / "lists.toml", exclude="seen")
    with pytest.raises(ConfigError, match="cannot be read"):
        PolicyConfig(blocked_items=tmp_path / "none.txt").read(5)
    with pytest.raises(ConfigError, match="cannot be read"):
        PolicyConfig(file=tmp_path / "none.toml").read(5)


def test_blocked_items_that_a_model_does_not_know_are_said_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    lists = ShopLists(ListsConfig.single(5, Policy(blocked=frozenset(["a", "b", "SKU-1"]))))
    assert lists.count_unknown(Vocabulary(["a", "c"]), "7") == 2
    assert "model 7 does not know 2 of the 3 blocked items, such as 'SKU-1', 'b'" in caplog.text
    caplog.clear()
    assert lists.count_unknown(Vocabulary(["a", "b", "SKU-1"]), "8") == 0
    assert not caplog.records


def test_what_a_changed_policy_names_that_nobody_knows_is_counted_too(
    ranker: Ranker, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    config = StreamConfig(bootstrap_servers="127.0.0.1:1", registry="nowhere")
    service = ListService(config, metrics, Problems())
    service.on_model(ranker)
    service.lists.use(parse_lists(b'blocked = ["item-1", "gone"]\npins = [{item = "new"}]', 5))
    for _ in range(2):
        service._look_at_ids()
    assert metrics.registry.get_sample_value("nextclick_blocked_items_unknown") == 1
    said = [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]
    assert [("'gone'" in line, "1 pinned items, such as 'new'" in line) for line in said] == [
        (True, False),
        (False, True),
    ]


def test_an_answer_has_a_list_for_each_placement(ranker: Ranker) -> None:
    placements = (Placement(name="home", k=5, policy=Policy()), Placement(name="cart", k=2, policy=Policy()))
    lists = ShopLists(ListsConfig(placements))
    answer = lists.answers([state_of("item-7")], ranker)[0]
    assert [(one.placement, len(one.items)) for one in answer.lists] == [("home", 5), ("cart", 2)]
    nothing = lists.answers([state_of("item-7")], None)[0]
    assert [(one.placement, one.items, one.fallback, one.k) for one in nothing.lists] == [
        ("home", (), True, 5),
        ("cart", (), True, 2),
    ]


def test_a_changed_item_and_a_changed_policy_count_in_the_next_batch(ranker: Ranker) -> None:
    table, counted = ItemTable(), list[Counts]()
    lists = ShopLists(ListsConfig.single(3), table, on_counts=counted.append)
    lists.prepare(ranker)
    first = dict(lists.answers([state_of("item-7")], ranker)[0].items)
    gone = next(iter(first))
    table.put(Item(gone, available=False))
    assert gone not in dict(lists.answers([state_of("item-7")], ranker)[0].items)
    lists.use(ListsConfig.single(3, Policy(unavailable=False)))
    assert dict(lists.answers([state_of("item-7")], ranker)[0].items) == pytest.approx(first)
    assert [one.lists for one in counted] == [1, 1, 1]
    assert [one.hidden for one in counted] == [0, 1, 0]


def settle(file: ListsFile) -> None:
    """A change is taken up by the second look that sees it."""
    file.look()
    file.look()


def test_a_changed_file_is_in_force_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path, blocked = tmp_path / "lists.toml", tmp_path / "blocked.txt"
    path.write_text('blocked_file = "blocked.txt"')
    blocked.write_text("a\n")
    used, problems = list[ListsConfig](), Problems()
    start = PolicyConfig(file=path).read(7)
    file = ListsFile(path, 7, start, used.append, problems)
    settle(file)
    assert not used
    blocked.write_text("a\nb\n")
    settle(file)
    assert used[-1].blocked == {"a", "b"}
    path.write_text("k = 0")
    settle(file)
    assert [problem.key for problem in problems.lasting()] == ["lists_file"]
    assert "k must be 1 to 1000" in problems.lasting()[0].what
    path.write_text("k = 9 ")
    settle(file)
    assert not problems.lasting()
    assert used[1:] == [parse_lists(b"k = 9", 7)]
    path.unlink()
    settle(file)
    assert [problem.key for problem in problems.lasting()] == ["lists_file"]
    assert len(used) == 2


def test_a_list_that_was_missing_is_taken_up_when_it_comes(tmp_path: Path) -> None:
    path, used, problems = tmp_path / "lists.toml", list[ListsConfig](), Problems()
    path.write_text("")
    file = ListsFile(path, 7, PolicyConfig(file=path).read(7), used.append, problems)
    path.write_text('blocked_file = "blocked.txt"')
    settle(file)
    assert [problem.key for problem in problems.lasting()] == ["lists_file"]
    (tmp_path / "blocked.txt").write_text("a\n")
    settle(file)
    assert not problems.lasting()
    assert [one.blocked for one in used] == [{"a"}]


def test_a_change_since_the_start_is_seen(tmp_path: Path) -> None:
    path, used = tmp_path / "lists.toml", list[ListsConfig]()
    path.write_text("k = 8")
    start = PolicyConfig(file=path).read(7)
    path.write_text("k = 10")  # after the start read it, before it is followed
    file = ListsFile(path, 7, start, used.append, Problems())
    settle(file)
    assert [one.k_max for one in used] == [10]


def test_a_pipe_in_the_place_of_the_file_holds_nothing_up(tmp_path: Path) -> None:
    path, used, problems = tmp_path / "lists.toml", list[ListsConfig](), Problems()
    path.write_text("k = 8")
    file = ListsFile(path, 7, PolicyConfig(file=path).read(7), used.append, problems)
    path.unlink()
    os.mkfifo(path)
    looking = threading.Thread(target=settle, args=(file,), daemon=True)
    looking.start()
    looking.join(5.0)
    assert not looking.is_alive()
    assert "no file that can be followed" in problems.lasting()[0].what
    assert not used


def test_a_file_that_is_being_written_is_left_until_it_stays(tmp_path: Path) -> None:
    path, used, problems = tmp_path / "lists.toml", list[ListsConfig](), Problems()
    path.write_text("k = 8")
    file = ListsFile(path, 7, PolicyConfig(file=path).read(7), used.append, problems)
    settle(file)
    for text in ("", "k = ", "k = 10"):  # empty would be sound, the next is none
        path.write_text(text)
        file.look()
        assert not used
        assert not problems.lasting()
    file.look()
    assert [one.k_max for one in used] == [10]


def test_a_model_that_is_out_of_service_is_let_go(tmp_path: Path) -> None:
    lists, ranker = ShopLists(ListsConfig.single(3), ItemTable()), Ranker(toy_bundle(tmp_path))
    lists.prepare(ranker)
    assert len(lists.answers([state_of("item-7")], ranker)[0].items) == 3
    held = weakref.ref(ranker)
    del ranker
    gc.collect()
    assert held() is None


def test_models_may_come_while_newer_items_are_looked_for(tmp_path: Path) -> None:
    bundle, rankers = toy_bundle(tmp_path), list[PopularityRanker]()
    lists, failed, over = ShopLists(ListsConfig.single(3), ItemTable()), list[Exception](), threading.Event()

    def grow() -> None:
        while not over.is_set():
            try:
                lists.grow()
            except Exception as error:
                failed.append(error)

    thread, interval = threading.Thread(target=grow), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(300):
            rankers.append(PopularityRanker(bundle))
            lists.prepare(rankers[-1])
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert not failed


def test_a_tower_that_can_not_be_run_holds_up_neither_its_model_nor_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ranker: Ranker, maker: ListMaker, look_s: float = 1.0) -> Embedded:
        if ranker is broken:
            raise BundleError("bad_model", "the item tower of model 7 can't be run")
        return Embedded(newer=3)

    broken, sound = (Ranker(toy_bundle(tmp_path / name)) for name in ("a", "b"))
    heard = list[Embedded]()
    lists = ShopLists(ListsConfig.single(3), ItemTable(), on_embedded=heard.append)
    monkeypatch.setattr(lists, "_grow", fail)
    lists.prepare(broken)
    assert len(lists.answers([state_of("item-7")], broken)[0].items) == 3
    lists.prepare(sound)
    with pytest.raises(BundleError):
        lists.grow()
    assert heard == [Embedded(newer=3)]


def test_what_a_policy_asks_for_and_nothing_has_is_named(ranker: Ranker) -> None:
    config = parse_lists(
        b"""at_most = {brnad = 2}
filter = {same = "kind", where = {colour = ["red"], brand = ["a", "b"]}, newer_than_days = 3.0, price_to = 5.0}
boost = [{attribute = "kind", value = "c", factor = 2.0}]""",
        5,
    )
    table = ItemTable()
    lists = ShopLists(config, table)
    lists.prepare(ranker)
    assert lists.say_attributes() == ""  # nothing is known of any item yet
    table.put(Item("new", attributes={"brand": ("a",), "kind": ("b",)}))
    assert lists.say_attributes() == ("the policy asks for what no item has: brnad, colour, created_ts and 3 more")
    table.put(Item("newer", attributes={"brnad": ("a",), "colour": ("red",)}, price=0.5, created_ts=1))
    assert lists.say_attributes() == "the policy asks for what no item has: brand = 'b', kind = 'c'"
