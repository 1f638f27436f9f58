"""Tests of export/policy/config.py: what a file of lists may say, and what is refused in words."""

import os
from pathlib import Path

import pytest

from export.errors import ConfigError
from export.policy import config
from export.policy.config import Boost, Filter, ListsConfig, Pin, parse_lists, read_lists


def example() -> bytes:
    """The file of the module's own docstring."""
    lines = (config.__doc__ or "").split("\n")
    return "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    ")).encode()


def test_the_example_of_the_docstring_is_read_as_it_says() -> None:
    lists = parse_lists(example(), 7)
    home, product, cart = lists.placements
    assert [(one.name, one.k) for one in lists.placements] == [("home", 20), ("product", 10), ("cart", 5)]
    assert home.policy.exclude == ("bought", "disliked")
    assert home.policy.at_most == {"brand": 3}
    assert home.policy.boost == (Boost("brand", "ours", 1.5),)
    assert home.policy.pins == (Pin("sku-1", 1),)
    assert lists.blocked == {"sku-9"}
    assert product.policy.at_most == {}
    assert product.policy.filter == Filter(same="category")
    assert cart.policy.exclude == ("carted", "bought", "disliked")
    assert cart.policy.filter == Filter(
        where={"category": ("toys", "books")}, price_from=5.0, price_to=50.0, newer_than_days=30.0
    )
    assert lists.k_max == 20


def test_an_empty_file_is_one_list_without_a_name_that_hides_dislikes() -> None:
    assert parse_lists(b"", 12) == ListsConfig.single(12)
    assert ListsConfig.single(12).placements[0].policy.exclude == ("disliked",)


def test_blocked_items_come_from_a_file_beside_it_too(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("a\nb\n")
    (tmp_path / "lists.toml").write_text('\ufeffblocked = ["c"]\nblocked_file = "blocked.txt"\n')
    assert read_lists(tmp_path / "lists.toml", 5).blocked == {"a", "b", "c"}


def test_ids_of_a_file_mean_what_they_mean_in_clicks(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("5.0\n")
    content = (
        b'blocked = ["7.0", " b ", 9]\nblocked_file = "blocked.txt"\npins = [{item = "8.0"}, {item = 3, place = 2}]'
    )
    found = parse_lists(content, 5, folder=tmp_path)
    assert found.blocked == {"7", "b", "5", "9"}
    assert found.placements[0].policy.pins == (Pin("8"), Pin("3", 2))


def test_what_is_no_id_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("a\nNULL\n")
    for content, words in (
        (b'blocked_file = "blocked.txt"', r"line 2 of .*blocked\.txt: 'NULL' is no item id: it stands for nothing"),
        (b'blocked = ["a", "b\\tc"]', r"lists' file: blocked: 'b\\tc' is no item id: it holds control characters"),
        (b'[placements.home]\npins = [{item = ""}]', "placement home: pins: '' is no item id"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_lists(content, 5, folder=tmp_path)


def test_blocked_file_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("export.id_lists.MOST_BYTES", 10)
    (tmp_path / "blocked.txt").write_text("a\n" * 6)
    with pytest.raises(ConfigError, match=r"the blocked items in .* have more than 10 bytes"):
        parse_lists(b'blocked_file = "blocked.txt"', 5, folder=tmp_path)


def test_one_of_the_placements_is_chosen_by_its_name() -> None:
    several = parse_lists(b"[placements.home]\nk = 3\n[placements.cart]\nk = 2", 5)
    assert [one.name for one in several.only("cart", "x.toml").placements] == ["cart"]
    for name, words in ((None, "x.toml names the placements home, cart: choose one"), ("", "names no placement ''")):
        with pytest.raises(ConfigError, match=words):
            several.only(name, "x.toml")
    assert ListsConfig.single(4).only(None, "x.toml") == ListsConfig.single(4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'exclude = ["sold"]', "exclude"),
        (b"exclud = []", "exclud"),
        (b"k = 0", "k must be"),
        (b"[placements.a]\nk = 1001", "placement a"),
        (b'[placements."a b"]', "placement"),
        (b"push = -1.0", "push"),
        (b"push = nan", "push"),
        (b"at_most = {brand = 0}", "brand"),
        (b'[[boost]]\nattribute = "a"\nvalue = "b"\nfactor = 0.0', "factor"),
        (b'[[boost]]\nattribute = "a"\nvalue = "b"\nfactor = inf', "factor"),
        (b'pins = [{item = "a", place = 30}]', "place 30"),
        (b'pins = [{item = "a"}, {item = "b"}]', "one place"),
        (b'pins = [{item = "a", place = 1}, {item = "a", place = 2}]', "twice"),
        (b'pins = [{item = "null"}]', "no item id"),
        (b"filter = {price_from = -1.0}", "price"),
        (b"filter = {newer_than_days = nan}", "age"),
        (b"filter = {where = {brand = []}}", "names no value of brand"),
        (b"filter = {price_from = 5.0, price_to = 1.0}", "no price lies"),
        (b"[placements.a]\n[placements.'']", "has no name"),
        (b"k = " + b"9" * 5_000, "lists' file"),
        (b'blocked_file = "a\\u0000b"', "blocked items"),
        (b"[[[", "lists' file"),
        (b"\xff", "UTF-8"),
        (b"".join(b"[placements.p%d]\n" % n for n in range(17)), "at most 16"),
    ],
)
def test_what_no_list_can_keep_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_lists(content, 20)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        read_lists(tmp_path / "gone.toml", 5)
    (tmp_path / "big.toml").write_bytes(b"#" * (5 * 1024 * 1024))
    with pytest.raises(ConfigError, match="longer"):
        read_lists(tmp_path / "big.toml", 5)
    with pytest.raises(ConfigError, match="blocked"):
        parse_lists(b'blocked_file = "none.txt"', 5, folder=tmp_path)


def test_a_pipe_holds_no_list_of_blocked_items(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it is a pipe"):
        parse_lists(b'blocked_file = "pipe"', 5, folder=tmp_path)
