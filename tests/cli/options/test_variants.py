"""Variants and shares as the command line has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.options.variants import buckets_of, percent_of, read_variants
from export.errors import ConfigError
from export.experiments.experiment import BUCKETS


def test_variants_have_name_version_and_share() -> None:
    found = read_variants(["control=12:50", "challenger=15:49.95", "third = live : 0.05%"])
    assert [(one.name, one.version, one.share) for one in found] == [
        ("control", "12", 5_000),
        ("challenger", "15", 4_995),
        ("third", "", 5),
    ]


def test_a_version_may_have_a_preference_behind_it() -> None:
    found = read_variants(["clicks=live@0:50", "orders=12@0.8:50"])
    assert [(one.version, one.preference) for one in found] == [("", 0.0), ("12", 0.8)]
    assert read_variants(["a=1", "b=2"])[0].preference is None


@pytest.mark.parametrize("text", ["a=1@2", "a=1@-0.1", "a=1@much", "a=live@nan", "a=1@"])
def test_a_preference_outside_its_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="from 0"):
        read_variants([text, "b=2"])


@given(st.integers(2, 50))
def test_variants_without_shares_get_equal_ones_that_make_all(count: int) -> None:
    shares = [one.share for one in read_variants([f"v{n}=1" for n in range(count)])]
    assert sum(shares) == BUCKETS
    assert max(shares) - min(shares) < count
    assert shares[1:] == [shares[1]] * (count - 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("control", "NAME=VERSION:SHARE"),
        ("=12:50", "NAME=VERSION:SHARE"),
        ("control=:50", "NAME=VERSION:SHARE"),
        ("control=12:half", "is a percentage"),
        ("control=12:1:2", "is a percentage"),
        ("control=12:0", "above 0"),
        ("control=12:-1", "above 0"),
        ("control=12:100.01", "at most 100"),
        ("control=12:nan", "above 0"),
        ("control=12:inf", "above 0"),
        ("control=12:33.333", "two decimals"),
    ],
)
def test_variant_that_is_none_is_refused_with_the_form(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_variants([text, "b=13:50"])


def test_shares_are_given_to_all_or_none() -> None:
    with pytest.raises(ConfigError, match="or none of them"):
        read_variants(["a=1:50", "b=2"])


@given(st.integers(1, BUCKETS))
def test_percentages_of_two_decimals_come_back_as_they_were(buckets: int) -> None:
    percent = percent_of(buckets)
    assert buckets_of(str(percent), "exposure") == buckets
    assert buckets_of(f"{percent:.2f} %", "exposure") == buckets
