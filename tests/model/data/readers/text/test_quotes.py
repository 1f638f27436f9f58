"""Tests of `model.data.readers.text`: quotes, line breaks in them, and that no line is lost without a word."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.readers import RawLog, ReadOptions, iter_clicks, read_log
from model.data.readers.text import batches

T0 = 1_700_000_000_000
HEADER = "session_id,item_id,timestamp,title"
TITLES = st.text(st.sampled_from('ab ,;"\n\\é\u2028\x85|'), max_size=12) | st.sampled_from(
    ["", '""', '"', "a\n\nb", "s,i,1,t", f"s9,i9,{T0},x", '5" x 7"']
)
HARMLESS = TITLES.filter(lambda title: f",{T0}" not in title)  # no row stands in them


def written(titles: list[str], quoting: Literal[0, 1] = csv.QUOTE_MINIMAL) -> str:
    """Return a CSV with a click a title, as Python's csv writes it."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator="\n")
    writer.writerow(HEADER.split(","))
    writer.writerows([f"s{n // 3}", f"i{n % 4}", T0 + n, title] for n, title in enumerate(titles))
    return out.getvalue()


def read(folder: Path, content: str | bytes, **options: object) -> RawLog:
    file = folder / "log.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_log(file, ReadOptions(max_bad_share=1.0, **options))  # type: ignore[arg-type]


def times(raw: RawLog) -> list[int]:
    return [ts - T0 for _, _, ts, _ in iter_clicks(raw)]


def rows(count: int, titles: dict[int, str]) -> str:
    """Return lines with a title each, `shoe` where none is given, written without any care for quotes."""
    lines = [f"s{n // 3},i{n % 4},{T0 + n},{titles.get(n, 'shoe')}" for n in range(count)]
    return "\n".join([HEADER, *lines]) + "\n"


@pytest.fixture(params=[64, 500, 8 << 20])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that are parsed at a time."""
    monkeypatch.setattr(batches, "BLOCK_BYTES", request.param)
    return int(request.param)


def test_quote_that_never_closes_in_the_last_column_costs_no_row(tmp_path: Path, block: int) -> None:
    raw = read(tmp_path, rows(300, {3: '"Big'}))
    assert times(raw) == list(range(300))
    assert (raw.report.open_quotes, raw.report.bad_lines) == (1, 0)
    assert [(sample.reason, sample.line) for sample in raw.report.samples] == [("open_quote", 5)]
    assert "1 quotes never close" in raw.report.summary()


def test_two_open_quotes_far_apart_are_no_long_value(tmp_path: Path, block: int) -> None:
    raw = read(tmp_path, rows(300, {3: '"Big', 290: '"Small'}))
    assert times(raw) == list(range(300))
    assert [sample.line for sample in raw.report.samples] == [5, 292]


def test_two_open_quotes_that_seem_to_close_each_other_are_no_long_value(tmp_path: Path, block: int) -> None:
    assert times(read(tmp_path, rows(300, {3: '"Big', 290: '5"'}))) == list(range(300))
    assert times(read(tmp_path, rows(300, {3: '"Big', 4: '5"'}))) == list(range(300))


def test_open_quote_in_the_last_line_costs_no_row(tmp_path: Path, block: int) -> None:
    assert times(read(tmp_path, rows(30, {29: '"Big'}))) == list(range(30))
    assert times(read(tmp_path, rows(30, {29: '"Big'}).rstrip("\n"))) == list(range(30))


def test_open_quote_in_a_column_that_is_read_is_a_bad_line_with_its_number(tmp_path: Path, block: int) -> None:
    lines = rows(30, {}).replace("s1,i3,", 's1,"i3,').splitlines()
    raw = read(tmp_path, "\n".join(lines) + "\n")
    assert times(raw) == [n for n in range(30) if n != 3]
    assert raw.report.bad == Counter(open_quote=1)
    assert str(raw.report.samples[0]).startswith('open_quote at log.csv:5: s1,"i3,')


def test_line_breaks_within_quotes_belong_to_the_value(tmp_path: Path, block: int) -> None:
    raw = read(tmp_path, rows(200, {n: f'"a nice\nthing\n\nof {n}"' for n in range(0, 200, 2)}))
    assert times(raw) == list(range(200))
    assert (raw.report.joined, raw.report.open_quotes) == (300, 0)


def test_line_breaks_and_an_open_quote_in_one_file(tmp_path: Path, block: int) -> None:
    titles = {n: f'"a nice\nthing of {n}"' for n in range(0, 200, 2)} | {101: '"Big'}
    raw = read(tmp_path, rows(200, titles))
    assert times(raw) == list(range(200))
    assert (raw.report.joined, raw.report.open_quotes) == (100, 1)


@pytest.mark.parametrize("column", range(4))
def test_line_break_in_any_column_is_joined(tmp_path: Path, column: int, block: int) -> None:
    names = HEADER.split(",")[:3]
    names.insert(column, "title")
    lines = []
    for n in range(50):
        fields = [f"s{n // 3}", f"i{n % 4}", str(T0 + n)]
        fields.insert(column, '"two\nlines, and more"' if n % 7 == 3 else "shoe")
        lines.append(",".join(fields))
    raw = read(tmp_path, "\n".join([",".join(names), *lines]) + "\n")
    assert times(raw) == list(range(50))
    assert raw.report.bad_lines == 0


@pytest.mark.parametrize("title", ['5" pipe', 'a "b" c', '"a "b" c"', r'"a \"b\" c"', '"a"b', ' "a"', '"a" ', "\\"])
def test_stray_quotes_cost_no_row(tmp_path: Path, title: str, block: int) -> None:
    assert times(read(tmp_path, rows(40, dict.fromkeys(range(1, 40, 3), title)))) == list(range(40))


def test_bad_lines_are_shown_with_their_numbers_behind_joined_and_empty_ones(tmp_path: Path, block: int) -> None:
    content = rows(60, {2: '"x\ny"'}).replace("i1,", ",").replace("\ns4,", "\n\n\ns4,", 1)
    lines = content.split("\n")
    wide = lines.index(f"s9,i3,{T0 + 27},shoe")
    lines[wide] += ",more"
    raw = read(tmp_path, "\n".join(lines))
    expected = [number for number, line in enumerate(lines, 1) if ",," in line]
    assert [sample.line for sample in raw.report.samples if sample.reason == "missing_item"] == expected[:3]
    assert [(s.line, s.text) for s in raw.report.samples if s.reason == "wrong_columns"] == [(wide + 1, lines[wide])]
    assert raw.report.bad == Counter(missing_item=len(expected), wrong_columns=1)
    assert raw.report.lines == 60
    assert len(raw.report.shown()) == 3


def test_other_line_ends_and_other_quotes_are_read(tmp_path: Path) -> None:
    content = rows(20, {3: '"a\nb"'})
    assert times(read(tmp_path, content.replace("\n", "\r\n"))) == list(range(20))
    assert times(read(tmp_path, rows(20, {}).replace("\n", "\r"))) == list(range(20))
    single = content.replace('"', "'").replace(HEADER, "'session_id','item_id','timestamp','title'")
    assert times(read(tmp_path, single)) == list(range(20))


def test_carriage_return_or_line_separator_in_a_value_ends_no_line(tmp_path: Path) -> None:
    raw = read(tmp_path, rows(20, {3: "a\u2028b", 4: "a\x85b", 5: "a\x0bb\x0cc\x1cd", 6: '"a\rb"', 7: "a\rb"}))
    assert times(raw) == list(range(20))


@given(titles=st.lists(HARMLESS, min_size=1, max_size=25), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_whatever_a_csv_writer_wrote_is_read_back_whole(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], quoting: Literal[0, 1]
) -> None:
    raw = read(tmp_path_factory.mktemp("csv"), written(titles, quoting))
    assert times(raw) == list(range(len(titles)))
    assert (raw.report.lines, raw.report.bad_lines) == (len(titles), 0)


@given(titles=st.lists(HARMLESS, min_size=2, max_size=25), size=st.integers(16, 200))
def test_blocks_of_any_size_give_the_same(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BLOCK_BYTES", size)
        raw = read(folder, written(titles))
    assert times(raw) == list(range(len(titles)))


@given(
    titles=st.lists(st.text(st.sampled_from('ab "\\'), max_size=6), min_size=1, max_size=25),
    size=st.sampled_from([32, 1 << 20]),
)
def test_titles_written_without_care_cost_no_row(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BLOCK_BYTES", size)
        raw = read(folder, rows(len(titles), dict(enumerate(titles))))
    assert raw.report.lines == len(titles)
    assert times(raw) == list(range(len(titles)))
