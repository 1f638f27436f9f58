"""`similar`: one list by hand, and what is refused."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="exporting a graph needs the extra train")

import nextclick
from bench.rig.toy import toy_bundle
from export.bundle.bundle import Bundle
from export.policy.config import Placement, Policy
from export.policy.similar import SimilarLists
from export.ranking.similar import Similar
from tests.export.ranking.test_similar import with_vectors

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    folder = tmp_path_factory.mktemp("similar")
    plain = toy_bundle(folder / "plain", items=40)
    return plain, with_vectors(plain, folder)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nextclick", "similar", *words])
        with pytest.raises(SystemExit) as ended:
            nextclick.main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return command


@pytest.mark.parametrize("words", [("item-3",), ("show", "item-3"), ("--k", "4", "item-3")])
def test_similar_of_an_item_is_the_list_of_the_bundle(
    run: Run, bundles: tuple[Bundle, Bundle], words: tuple[str, ...]
) -> None:
    code, out, _ = run(*words, "--bundle", str(bundles[1].path), "--json")
    assert code == 0
    k = 4 if "--k" in words else 20
    [wanted] = SimilarLists(Similar(bundles[1]), Placement(name="", k=k, policy=Policy()), None, 0).of(["item-3"])
    assert wanted is not None
    assert json.loads(out.splitlines()[-1]) == {"items": [{"item_id": i, "score": s} for i, s in wanted]}
    assert "cosine" in run(*words, "--bundle", str(bundles[1].path))[1]


def test_item_that_is_unknown_or_a_bundle_without_vectors_is_refused(
    run: Run, bundles: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    code, _, error = run("never", "--bundle", str(bundles[1].path))
    assert (code, "does not know the item never" in error) == (2, True)
    code, _, error = run("item-3", "--bundle", str(bundles[0].path))
    assert (code, "train a new version" in error) == (2, True)
    assert run("--help")[0] == 0


def test_policy_makes_the_list_and_what_is_nothing_here_is_said(
    run: Run, bundles: tuple[Bundle, Bundle], tmp_path: Path
) -> None:
    policy, items = tmp_path / "lists.toml", tmp_path / "items.csv"
    policy.write_text(
        'blocked = ["item-1", "never"]\nexclude = ["seen"]\n[placements.home]\nk = 4\n'
        '[placements.page]\nk = 3\nfilter = {same = "brand", fill = false}\n'
    )
    items.write_text("item_id,attr.brand\n" + "".join(f"item-{n},b{n % 2}\n" for n in range(1, 41)))
    there = ("item-3", "--bundle", str(bundles[1].path), "--policy", str(policy))
    code, _, said = run(*there)
    assert (code, "choose one of them by --placement" in said) == (2, True)
    code, out, said = run(*there, "--placement", "page", "--catalogue", str(items), "--json")
    assert code == 0
    found = [int(one["item_id"].split("-")[1]) for one in json.loads(out.splitlines()[-1])["items"]]
    assert len(found) == 3
    assert {number % 2 for number in found} == {1}
    assert 1 not in found
    assert "exclude (seen), push" in said
    assert "does not know 1 of the 2 blocked items, such as 'never'" in said
    assert "--catalogue" in run(*there, "--placement", "page")[2]
    code, _, said = run("item-3", "--bundle", str(bundles[1].path), "--placement", "page")
    assert (code, "name it by --policy" in said) == (2, True)
    code, _, said = run("NULL", "--bundle", str(bundles[1].path))
    assert (code, "is no item id" in said) == (2, True)
