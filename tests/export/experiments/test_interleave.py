"""Team draft: no item twice, K of them, teams that are even in each beginning of the list, coins that come again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.experiments.interleave import coins, credit, team_draft

Scored = list[tuple[str, float]]

orders = st.lists(st.integers(0, 60).map(str), unique=True, max_size=30)
flips = st.integers(0, 2**512 - 1)


def scored(items: Sequence[str]) -> Scored:
    return [(item, -float(place)) for place, item in enumerate(items)]


@given(orders, orders, st.integers(1, 30), flips)
def test_draft_has_no_item_twice_and_all_the_items_it_can_have(a: list[str], b: list[str], k: int, coin: int) -> None:
    drafted, teams = team_draft(scored(a), scored(b), k, coin)
    items = [item for item, _ in drafted]
    assert len(items) == len(set(items)) == len(teams) == min(k, len({*a, *b}))
    for (item, score), team in zip(drafted, teams, strict=True):
        assert (item, score) in scored((a, b)[team])


@given(st.permutations(range(25)), st.permutations(range(25)), st.integers(1, 20), flips)
def test_teams_differ_by_one_at_most_in_each_beginning_of_the_list(
    a: list[int], b: list[int], k: int, coin: int
) -> None:
    drafted, teams = team_draft(scored(list(map(str, a))), scored(list(map(str, b))), k, coin)
    assert len(drafted) == k
    for end in range(k + 1):
        assert abs(2 * sum(teams[:end]) - end) <= 1


@given(orders, orders, st.integers(1, 20), flips)
def test_each_item_is_the_best_that_its_team_had_left(a: list[str], b: list[str], k: int, coin: int) -> None:
    drafted, teams = team_draft(scored(a), scored(b), k, coin)
    taken: set[str] = set()
    for (item, _), team in zip(drafted, teams, strict=True):
        assert item == next(one for one in (a, b)[team] if one not in taken)
        taken.add(item)


@given(orders, orders, st.integers(1, 20), flips)
def test_lists_and_coins_the_other_way_round_give_the_same_list_with_the_teams_swapped(
    a: list[str], b: list[str], k: int, coin: int
) -> None:
    drafted, teams = team_draft(scored(a), scored(b), k, coin)
    mirrored, swapped = team_draft(scored(b), scored(a), k, coin ^ (2**512 - 1))
    assert [item for item, _ in drafted] == [item for item, _ in mirrored]
    assert teams == [1 - team for team in swapped]


def test_draft_is_fair_to_the_teams_in_expectation() -> None:
    a, b = scored("abcdefgh"), scored("stuvwxyz")
    first = [team_draft(a, b, 5, coins("e", f"session-{n}", n))[1] for n in range(4000)]
    for place in range(5):
        share = sum(teams[place] for teams in first) / len(first)
        assert abs(share - 0.5) < 0.04, "five standard deviations"


def test_coins_are_the_same_for_the_same_click_and_differ_between_clicks_sessions_and_experiments() -> None:
    told = {coins(e, s, n) for e in ("x", "y") for s in ("a", "b") for n in (0, 1)}
    assert len(told) == 8
    assert coins("x", "a", 7) == coins("x", "a", 7)
    assert coins("x", "a", 7) % 2**32 == 3619200164, "other workers and later releases must flip the same"


@pytest.mark.parametrize(
    ("clicked", "winner"),
    [({"1"}, "a"), ({"2"}, "b"), ({"1", "2"}, None), ({"1", "2", "3"}, "a"), ({"9"}, None), (set(), None)],
)
def test_credit_goes_to_whose_items_were_clicked_more(clicked: set[str], winner: str | None) -> None:
    assert credit(["a", "b", "a"], ["1", "2", "3"], clicked) == winner


def test_credit_of_lists_that_do_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        credit(["a"], ["1", "2"], {"1"})
