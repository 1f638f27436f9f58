"""What is kept out of the lists."""

from pathlib import Path

import pytest

from export.errors import ConfigError
from stream.messages.contract import Click
from stream.partition.session import SessionState, fold_click
from stream.path.policy import Policy, PolicyConfig, read_blocked_items


def state_of(*items: str) -> SessionState:
    state = None
    for offset, item in enumerate(items):
        state = fold_click(state, Click("s", item, 0, "dislike" if item == "bad" else "click"), offset)
    assert state is not None
    return state


def test_policy_none_excludes_nothing() -> None:
    assert not Policy(PolicyConfig()).excluded(state_of("a", "b"))


def test_policy_seen_excludes_the_session_with_what_was_disliked() -> None:
    assert set(Policy(PolicyConfig(exclude="seen")).excluded(state_of("a", "bad"))) == {"a", "bad"}


def test_policy_blocked_items_are_excluded_with_and_without_the_seen(tmp_path: Path) -> None:
    path = tmp_path / "blocked.txt"
    path.write_text("# out of stock\nx\n\n  y \n")
    assert set(Policy(PolicyConfig(blocked_items=path)).excluded(state_of("a"))) == {"x", "y"}
    assert set(Policy(PolicyConfig(exclude="seen", blocked_items=path)).excluded(state_of("a"))) == {"a", "x", "y"}


def test_policy_blocked_items_unreadable_raises_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_blocked_items(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"\xff\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_blocked_items(tmp_path / "latin.txt")


def test_policy_unknown_exclusion_raises_config_error() -> None:
    with pytest.raises(ConfigError, match="none or seen"):
        PolicyConfig(exclude="all")  # type: ignore[arg-type]
