"""Lists of ids that people write: what is an id, what is a comment, and where a line ends."""

from pathlib import Path

import pytest

from export.errors import ConfigError, UnreadableFile
from export.id_lists import read_id_list, read_lines


def read(tmp_path: Path, content: str | bytes) -> list[str]:
    path = tmp_path / "ids.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_id_list(path, "the items")


def test_byte_order_mark_is_no_part_of_the_first_id(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfx\r\ny\r\n") == ["x", "y"]
    assert read(tmp_path, b"\xef\xbb\xbf# a comment\ny") == ["y"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str) -> None:
    assert read(tmp_path, f"a{separator}b\n{separator}c\n") == [f"a{separator}b", f"{separator}c"]


@pytest.mark.parametrize("separator", ["\u0085", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_control_characters_end_no_line_and_make_no_id(tmp_path: Path, separator: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2 of .*ids\.txt: .* is no item id: it holds control characters"):
        read(tmp_path, f"a\nb{separator}c\n")


def test_ids_are_by_the_law_of_ids(tmp_path: Path) -> None:
    assert read(tmp_path, '7.0\n007\n" a "\n\u3000\n') == ["7", "007", "a", "\u3000"]
    for line, why in (
        ("NULL", "stands for nothing"),
        ('" "', "stands for nothing"),
        ("é" * 129, "more than 256 bytes"),
    ):
        with pytest.raises(UnreadableFile, match=f"line 2 of .*{why}") as refused:
            read(tmp_path, f"a\n{line}\n")
        assert refused.value.path == tmp_path / "ids.txt"
        assert len(str(refused.value)) < 300


def test_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_bytes(b"x" * 11)
    assert read_lines(tmp_path / "long.txt", "the items", 11) == ["x" * 11]
    with pytest.raises(ConfigError, match="more than 10 bytes; is it another file"):
        read_lines(tmp_path / "long.txt", "the items", 10)


def test_ids_in_quotes_may_begin_and_hold_anything(tmp_path: Path) -> None:
    text = '# kept out\n"#5 bowl"\n"\\"7\\""\n" a "\n"b\\u2028c"\n  d,e  \n#f\n\n'
    assert read(tmp_path, text) == ["#5 bowl", '"7"', "a", "b\u2028c", "d,e"]


@pytest.mark.parametrize("line", ['"a', '"a" b', '"', '""', '"\\x"'])
def test_what_is_in_no_good_quotes_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="line 2 of"):
        read(tmp_path, f"a\n{line}\n")


def test_unreadable_file_is_named_without_a_piece_of_it(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"secret\xff\n")
    with pytest.raises(ConfigError, match=r"the items in .*latin\.txt cannot be read: it is not UTF-8") as refused:
        read_lines(tmp_path / "latin.txt", "the items")
    assert "secret" not in str(refused.value)
    for name in ("none.txt", "."):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_lines(tmp_path / name, "the items")
