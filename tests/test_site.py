"""The site builds without a warning, and its pages that follow from the code say what is there."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import nextclick

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ["mkdocs", "build", "--strict", "-f", "deploy/site/mkdocs.yml", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr  # --quiet would have warnings pass
    return folder


def test_every_command_and_option_has_its_place(site: Path) -> None:
    page = (site / "reference/commands.html").read_text()
    for words, command in leaves(typer.main.get_command(nextclick.app), ("nextclick",)):
        assert f">{' '.join(words)}<" in page, words
        for name in (name for found in command.params if not found.hidden for name in found.opts):
            assert name.lower() in page.lower(), (words, name)


def test_the_runbook_has_every_alert(site: Path) -> None:
    page = (site / "reference/runbook.html").read_text()
    groups = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    assert len(names) > 30
    assert [name for name in names if f">{name}<" not in page] == []


def test_metrics_and_schemas_are_there(site: Path) -> None:
    metrics = (site / "reference/metrics.html").read_text()
    assert "nextclick_clicks_total" in metrics
    assert "nextclick_lag_clicks" in metrics
    schemas = (site / "reference/schemas.html").read_text()
    assert all(f'id="{path.stem}"' in schemas for path in (ROOT / "docs/schema").glob("*.json"))


def test_clients_are_shown_whole(site: Path) -> None:
    page = re.sub(r"<[^>]*>", "", (site / "clients.html").read_text())
    files = (ROOT / "docs/clients").rglob("*.*")
    programs = [one for one in files if one.stem.lower().endswith(("lists", "clicks"))]
    assert len(programs) == 6
    for one in programs:
        longest = max(one.read_text().splitlines(), key=len)
        assert longest.strip() in html.unescape(page), one


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', path.read_text())
        assert fetched == [], path


def leaves(command: Any, words: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        return [(words, command)]
    return [leaf for name, one in command.commands.items() for leaf in leaves(one, (*words, name))]
