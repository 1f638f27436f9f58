"""`recommend`: how the items of a session are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.rig.toy import toy_manifest
from cli.app import app
from export.bundle.bundle import Bundle
from export.bundle.vocabulary import Vocabulary
from export.bundle.writing import write_bundle
from export.errors import ConfigError
from tests.export.conftest import bundle  # noqa: F401  # the fixture

ODD = ["a,b", "#7", "c", "d\u2028e", '"f"', "[g]", "h[/i]"]


@pytest.fixture
def odd_bundle(bundle: Bundle, tmp_path: Path) -> str:  # noqa: F811
    """The toy model, some of its items under odd names."""
    names = [*ODD, *bundle.vocabulary.items[len(ODD) :]]
    write_bundle(
        tmp_path / "odd",
        onnx_file=bundle.onnx_path,
        vocabulary=Vocabulary(names),
        popularity=np.array(bundle.popularity),
        manifest=toy_manifest(),
    )
    return str(tmp_path / "odd")


def recommended(*arguments: str) -> dict[str, object]:
    found = CliRunner().invoke(app, ["recommend", *arguments, "--k", "5", "--json"])
    assert found.exit_code == 0, found.output
    values: dict[str, object] = json.loads(found.stdout.splitlines()[-1])
    return values


@pytest.mark.parametrize("item", [*ODD, " c "])
def test_any_id_can_be_named(odd_bundle: str, item: str) -> None:
    assert recommended("--bundle", odd_bundle, "--item", item)["fallback"] is False


def test_items_are_the_same_by_list_by_option_and_from_a_file(odd_bundle: str, tmp_path: Path) -> None:
    (tmp_path / "items.txt").write_text("item-9\nitem-10\n")
    by_list = recommended("--bundle", odd_bundle, "--items", "item-9, item-10")
    assert by_list["fallback"] is False
    assert by_list == recommended("--bundle", odd_bundle, "--item", "item-9", "--item", "item-10")
    assert by_list == recommended("--bundle", odd_bundle, "--items-file", str(tmp_path / "items.txt"))
    (tmp_path / "quoted.txt").write_text('"#7"\n"a,b"\n')
    quoted = recommended("--bundle", odd_bundle, "--items-file", str(tmp_path / "quoted.txt"))
    assert quoted == recommended("--bundle", odd_bundle, "--item", "#7", "--item", "a,b")


@pytest.mark.parametrize("arguments", [(), ("--items", "a", "--item", "b"), ("--items", ","), ("--item", "")])
def test_items_named_twice_or_not_at_all_are_refused(odd_bundle: str, arguments: tuple[str, ...]) -> None:
    found = CliRunner().invoke(app, ["recommend", "--bundle", odd_bundle, *arguments])
    assert isinstance(found.exception, ConfigError)
    assert "--items-file" in str(found.exception) or "at least one item" in str(found.exception)


@pytest.mark.parametrize("option", ["--items", "--item", "--dislike"])
def test_what_is_no_id_is_refused_by_the_law_of_ids(odd_bundle: str, option: str) -> None:
    session = () if option != "--dislike" else ("--item", "c")
    for wrong in ("NULL", "a\tb", "x" * 257):
        found = CliRunner().invoke(app, ["recommend", "--bundle", odd_bundle, *session, option, wrong])
        assert isinstance(found.exception, ConfigError)
        assert f"{option}: " in str(found.exception)
        assert "is no item id" in str(found.exception)


def test_items_that_nobody_knows_are_counted_and_said(odd_bundle: str, tmp_path: Path) -> None:
    (tmp_path / "lists.toml").write_text('blocked = ["c", "gone", 7]\npins = [{item = "new"}]\n')
    words = ["--bundle", odd_bundle, "--items", "c,7.0,8", "--dislike", "9", "--policy", str(tmp_path / "lists.toml")]
    found = CliRunner().invoke(app, ["recommend", *words]).output
    assert "does not know 3 of the session's items, such as '7', '8', '9'" in found
    assert "does not know 2 of the 3 blocked items, such as '7', 'gone'" in found
    assert "does not know 1 pinned items, such as 'new'" in found


def test_policy_dislikes_and_what_is_known_of_items_make_the_lists(odd_bundle: str, tmp_path: Path) -> None:
    policy, items = tmp_path / "lists.toml", tmp_path / "items.csv"
    policy.write_text('[placements.home]\nk = 4\n[placements.same]\nk = 2\nfilter = {same = "brand", fill = false}\n')
    lines = [f"item-{number},{'false' if number == 30 else 'true'},b{number % 2}" for number in range(9, 41)]
    items.write_text("item_id,available,attr.brand\n" + "\n".join(lines) + "\n")
    plain = recommended("--bundle", odd_bundle, "--item", "item-9")
    disliked = recommended("--bundle", odd_bundle, "--item", "item-9", "--dislike", "item-12")
    assert "item-12" not in {one["item_id"] for one in disliked["items"]}  # type: ignore[attr-defined]
    assert set(plain) == set(disliked)
    found = recommended("--bundle", odd_bundle, "--item", "item-9", "--policy", str(policy), "--catalogue", str(items))
    lists: Any = found["lists"]
    home, same = lists
    assert (home["placement"], len(home["items"])) == ("home", 4)
    assert {int(one["item_id"].split("-")[1]) % 2 for one in same["items"]} == {1}
    arguments = ("--bundle", odd_bundle, "--item", "item-9", "--policy", str(policy), "--catalogue", str(items))
    assert recommended(*arguments, "--placement", "same")["lists"] == [same]
    policy.write_text("filter = {newer_than_days = 3.0}\n")
    told = CliRunner().invoke(app, ["recommend", *arguments])
    assert "the policy asks for what no item has: created_ts" in told.output


def test_placement_without_a_policy_or_of_another_name_is_refused(odd_bundle: str, tmp_path: Path) -> None:
    (tmp_path / "lists.toml").write_text("[placements.home]\n")
    for policy, said in (([], "by --policy"), (["--policy", str(tmp_path / "lists.toml")], "no placement 'cart'")):
        arguments = ["recommend", "--bundle", odd_bundle, "--item", "item-9", *policy, "--placement", "cart"]
        found = CliRunner().invoke(app, arguments)
        assert isinstance(found.exception, ConfigError)
        assert said in str(found.exception)


def test_a_policy_that_reads_items_without_them_is_said_and_its_list_may_be_long(
    odd_bundle: str, tmp_path: Path
) -> None:
    policy = tmp_path / "lists.toml"
    policy.write_text("k = 40\nat_most = {brand = 1}\n")
    arguments = ["recommend", "--bundle", odd_bundle, "--item", "item-9", "--policy", str(policy)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "name their files by --catalogue" in found.output
    policy.write_text("k = 40")
    assert "--catalogue" not in CliRunner().invoke(app, arguments).output
