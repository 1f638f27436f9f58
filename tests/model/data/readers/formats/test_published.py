"""Tests of `model.data.readers.yoochoose`, `diginetica` and `retailrocket`: files as published."""

import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model.data.readers import RawLog, ReadOptions, iter_clicks, read_log
from model.errors import BadLines, DataError

YOOCHOOSE = """\
1,2014-04-07T10:51:09.277Z,214536502,0
1,2014-04-07T10:54:09.868Z,214536500,0
2,2014-04-07T13:56:37.614Z,214662742,S
"""
RETAILROCKET = """\
timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433221333000,257597,addtocart,248676,
1433221999827,111016,transaction,318965,4000
"""
DIGINETICA = """\
sessionId;userId;itemId;timeframe;eventdate
1;NA;81766;526309;2016-05-09
1;NA;31331;1031018;2016-05-09
2;7;32118;243569;2016-05-10
"""


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def read(folder: Path, content: str | bytes, name: str = "log.csv", options: ReadOptions | None = None) -> RawLog:
    file = folder / name
    data = content.encode() if isinstance(content, str) else content
    file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_log(file, options)


@pytest.mark.parametrize("name", ["yoochoose-clicks.dat", "yoochoose-clicks.dat.gz"])
def test_yoochoose_clicks_are_read(tmp_path: Path, name: str) -> None:
    raw = read(tmp_path, YOOCHOOSE, name)
    assert list(iter_clicks(raw)) == [
        ("1", "214536502", ms("2014-04-07T10:51:09.277"), "click"),
        ("1", "214536500", ms("2014-04-07T10:54:09.868"), "click"),
        ("2", "214662742", ms("2014-04-07T13:56:37.614"), "click"),
    ]
    assert list(raw.report.files.values()) == ["yoochoose"]


def test_yoochoose_buys_are_orders(tmp_path: Path) -> None:
    raw = read(tmp_path, "420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n")
    assert list(iter_clicks(raw)) == [("420374", "214537888", ms("2014-04-06T18:44:58.314"), "order")]


def test_folder_of_clicks_and_buys_is_one_log(tmp_path: Path) -> None:
    (tmp_path / "yoochoose-clicks.dat").write_text(YOOCHOOSE)
    (tmp_path / "yoochoose-buys.dat").write_text("2,2014-04-07T13:59:00.000Z,214662742,12462,1\n")
    (tmp_path / "dataset-README.txt").write_text("SUMMARY\n\nThis is a data set.\n")
    raw = read_log(tmp_path)
    assert [click[3] for click in iter_clicks(raw)] == ["click", "click", "click", "order"]
    assert len(raw.session_ids) == 2
    assert [Path(name).name for name in raw.report.skipped] == ["dataset-README.txt"]
    assert "dataset-README.txt" in raw.report.summary()


def test_diginetica_time_is_date_plus_timeframe(tmp_path: Path) -> None:
    raw = read(tmp_path, DIGINETICA, "train-item-views.csv")
    assert list(iter_clicks(raw)) == [
        ("1", "81766", ms("2016-05-09") + 526309, "click"),
        ("1", "31331", ms("2016-05-09") + 1031018, "click"),
        ("2", "32118", ms("2016-05-10") + 243569, "click"),
    ]
    assert list(raw.report.files.values()) == ["diginetica"]


def test_diginetica_purchases_and_later_names_are_read(tmp_path: Path) -> None:
    purchases = "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n150;18278;17100868;2016-05-06;16421;25911\n"
    assert next(iter_clicks(read(tmp_path, purchases)))[3] == "order"
    later = DIGINETICA.replace("sessionId", "session_id").replace("itemId", "item_id")
    assert read(tmp_path, later).clicks == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3;NA;5;;2016-05-09", "missing_ts"),
        ("3;NA;5;12;", "missing_ts"),
        ("3;NA;5;x;2016-05-09", "bad_ts"),
        ("3;NA;5;-1;2016-05-09", "bad_ts"),
        ("3;NA;5;12;2016-13-09", "bad_ts"),
        ("3;NA;;12;2016-05-09", "missing_item"),
        (";NA;5;12;2016-05-09", "missing_session"),
        ("3;NA;5", "wrong_columns"),
    ],
)
def test_bad_diginetica_line_is_counted(tmp_path: Path, line: str, reason: str) -> None:
    raw = read(tmp_path, DIGINETICA + line + "\n", options=ReadOptions(max_bad_share=0.3))
    assert raw.report.bad == Counter({reason: 1})
    assert raw.clicks == 3


def test_retailrocket_events_get_our_kinds(tmp_path: Path) -> None:
    raw = read(tmp_path, RETAILROCKET, "events.csv")
    assert list(iter_clicks(raw)) == [
        ("257597", "355908", 1433221332117, "click"),
        ("257597", "248676", 1433221333000, "cart"),
        ("111016", "318965", 1433221999827, "order"),
    ]
    assert list(raw.report.files.values()) == ["retailrocket"]


def test_retailrocket_visitor_is_cut_into_visits_unless_told_not_to(tmp_path: Path) -> None:
    later = RETAILROCKET + f"{1433221333000 + 1_800_000},257597,view,1,\n{1433221333000 + 3_600_001},257597,view,2,\n"
    sessions = [click[0] for click in iter_clicks(read(tmp_path, later))]
    assert sessions == ["257597", "257597", "111016", "257597", "257597~2"]
    whole = read(tmp_path, later, options=ReadOptions(session_gap_ms=0))
    assert {click[0] for click in iter_clicks(whole)} == {"257597", "111016"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"9,2014-04-07T10:51:09.277Z,,0", "missing_item"),
        (b",2014-04-07T10:51:09.277Z,5,0", "missing_session"),
        (b"9,,5,0", "missing_ts"),
        (b"9,yesterday,5,0", "bad_ts"),
        (b"9,2014-02-30T10:51:09.277Z,5,0", "bad_ts"),
        (b"9,1969-12-31T23:59:59.000Z,5,0", "negative_ts"),
        (b"9,2014-04-07T10:51:09.277Z,5", "wrong_columns"),
        (b"9,2014-04-07T10:51:09.277Z,5,0,1,2", "wrong_columns"),
        (b"\xff\xfe", "wrong_columns"),
        (b"9,2014-04-07T10:51:09.277Z,\xff\xfe,0", "bad_item"),
        (b"9,2014-04-07T10:51:09.277Z," + b"7" * 1_000_000 + b",0", "bad_item"),
        (b'"9,2014-04-07T10:51:09.277Z,5', "wrong_columns"),
    ],
)
def test_bad_yoochoose_line_costs_only_itself(tmp_path: Path, line: bytes, reason: str) -> None:
    raw = read(tmp_path, YOOCHOOSE.encode() * 50 + line + b"\n" + YOOCHOOSE.encode() * 50)
    assert raw.report.bad == Counter({reason: 1})
    assert (raw.clicks, raw.report.lines) == (300, 301)


def test_yoochoose_with_too_many_bad_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadLines, match=r"1 of 4 lines are bad \(missing_item 1\)"):
        read(tmp_path, YOOCHOOSE + "1,2014-04-07T10:51:09.277Z,,0\n")


@pytest.mark.parametrize("place", [40, 300, -40])
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_gzip_is_refused_with_its_name(tmp_path: Path, place: int, cut: bool) -> None:
    lines = "".join(f"{n},2014-04-07T10:51:09.277Z,{n * 7919},0\n" for n in range(2000))
    packed = gzip.compress(lines.encode())
    file = tmp_path / "clicks.dat.gz"
    file.write_bytes(packed[:place] + (b"" if cut else b"\xff" * 20 + packed[place:][20:]))
    with pytest.raises(DataError, match=r"clicks\.dat\.gz"):
        read_log(file)
