"""Tests of `model.data.survey`: what `nextclick log` says."""

from pathlib import Path

from model.data.readers import ReadOptions
from model.data.survey import Survey, survey

T0 = 1_700_000_000_000
DAY = 86_400_000


def survey_of(folder: Path, lines: list[str], options: ReadOptions | None = None) -> Survey:
    file = folder / "log.csv"
    file.write_text("\n".join(["session_id,item_id,timestamp", *lines]) + "\n")
    return survey(file, options or ReadOptions())


def test_survey_counts_what_there_is(tmp_path: Path) -> None:
    lines = [f"s{n // 3},i{n % 4},{T0 + n * 1000}" for n in range(12)]
    found = survey_of(tmp_path, [*lines, f"s9,[i9],{T0 + 50_000}"])
    assert (found.rows, found.read, found.sessions, found.items) == (13, 13, 5, 5)
    assert (found.first, found.last) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:10Z")
    assert found.lengths == {"mean": 2.6, "median": 3.0, "p99": 3.0, "longest": 3.0, "one_click": 0.2}
    assert found.warnings == []
    assert dict(found.lines())["warnings"] == "none"


def test_survey_of_a_log_that_training_would_refuse_shows_why(tmp_path: Path) -> None:
    found = survey_of(tmp_path, [f"s,a,{T0}", f"s,b,{T0}", "s,[c],soon", f"NULL,a,{T0}"])
    assert dict(found.bad) == {"bad_ts": 1, "missing_session": 1}
    assert found.warnings[0].startswith("50.0% of the rows are bad")
    assert "bad_ts at log.csv:4: s,[c],soon" in found.samples
    assert found.to_json()["samples"] == found.samples


def test_survey_says_what_is_odd(tmp_path: Path) -> None:
    said = {
        "repeat another": [f"s,a,{T0}"] * 3 + [f"s,b,{T0}"],
        "have one click": [f"s{n},a,{T0}" for n in range(5)],
        "robots": [f"s,{n % 7},{T0 + n}" for n in range(1_001)],
        "longer than a day": [f"s,a,{T0}", f"s,a,{T0 + DAY + 1}"],
        "at midnight": [f"s,a,{DAY * 19_000}", f"s,a,{DAY * 19_001}"],
        "no item is clicked twice": [f"s,a,{T0}", f"s,b,{T0 + 1}"],
        "before 1971": ["s,a,5", "s,a,6"],
    }
    for text, lines in said.items():
        assert any(text in warning for warning in survey_of(tmp_path, lines).warnings), text
