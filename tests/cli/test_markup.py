"""What users and shops named is printed as it is: brackets are no markup of Rich, colons no emoji."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

from cli.output import print_table, report, say
from model.reports.console import show_progress
from model.reports.progress import Progress

ROOT = Path(__file__).parents[2]
ODD = ["[sku-7]", "sku[/b]", "[red]sku[/red]", "[link=x]", ":smile:", "\\[a]", "a\\", "[/]"]


@pytest.mark.parametrize("text", ODD)
def test_tables_and_reports_print_ids_as_they_are(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["item"], [[text]])
    report({"path": text, text: 1}, json=False)
    assert capsys.readouterr().out.count(text) == 3


@pytest.mark.parametrize("text", ODD)
def test_words_on_stderr_are_printed_as_they_are(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("cli.output.stderr", Console(file=shown))
    say(f"error: no file {text}")
    assert shown.getvalue() == f"error: no file {text}\n"


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("text", ODD)
def test_progress_prints_messages_as_they_are(text: str, terminal: bool) -> None:
    shown = io.StringIO()
    with show_progress(Console(file=shown, force_terminal=terminal, color_system=None, width=200)) as on_progress:
        on_progress(Progress(stage="publish", message=f"version 1 in {text}"))
    assert f"version 1 in {text}" in shown.getvalue()


def prints_of_text(path: Path) -> list[int]:
    """The lines of a module that print text, not a table, on a console that reads markup in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "print":
            literal = not (isinstance(node.args[0], ast.Name) and node.args[0].id == "table")
            if literal and not {"markup", "emoji"} <= {keyword.arg for keyword in node.keywords}:
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("part", ["cli", "model", "stream", "export", "demo"])
def test_no_part_prints_text_as_markup(part: str) -> None:
    assert {path: lines for path in (ROOT / part).rglob("*.py") if (lines := prints_of_text(path))} == {}
