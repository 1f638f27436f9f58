"""What is kept out of the lists."""

from pathlib import Path

import pytest

from export.bundle.vocabulary import Vocabulary
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


def test_policy_blocked_items_of_an_editor_that_writes_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_bytes(b'\xef\xbb\xbfx\r\n"#y"\r\nz\xe2\x80\xa8z\r\n')
    assert read_blocked_items(tmp_path / "blocked.txt") == {"x", "#y", "z\u2028z"}


def test_policy_blocked_items_that_a_model_does_not_know_are_said_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "blocked.txt").write_text("a\nb\nSKU-1\n")
    policy = Policy(PolicyConfig(blocked_items=tmp_path / "blocked.txt"))
    assert policy.count_unknown(Vocabulary(["a", "c"]), "7") == 2
    assert "model 7 does not know 2 of the 3 blocked items, such as 'SKU-1', 'b'" in caplog.text
    caplog.clear()
    assert policy.count_unknown(Vocabulary(["a", "b", "SKU-1"]), "8") == 0
    assert not caplog.records
