"""Pages of the site that follow from the code: commands, metrics, alerts, schemas; and those that stand elsewhere.

A hook of MkDocs: `on_files` adds the pages, `on_page_markdown` turns links into the repository into links of the site,
and shows the programs in docs/clients where a link to one stands alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from prometheus_client import CollectorRegistry

import nextclick
from bench.rig.registries import registries

__all__ = ["on_files", "on_page_markdown"]

ROOT = Path(__file__).parents[2]
# Where a file or folder of the repository is on the site; what is not named here keeps its text and loses its link
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "reference/contributing.md",
    "CHANGELOG.md": "reference/changes.md",
    "deploy/alerts.yaml": "reference/runbook.md",
    "docs/schema": "reference/schemas.md",
}
LINK = re.compile(r"(\[[^\]]*\])\(([^)\s#]+)(#[^)\s]*)?\)")
PROGRAM = re.compile(r"^\[[^\]]*\]\((clients/[^)\s]+\.(py|java|mjs))\)$", re.MULTILINE)  # a link alone in its line
SUFFIXES = {"counter": "_total", "info": "_info"}
SEVERITIES = {"page": "somebody has to look now", "warn": "look today"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    made = {place: (ROOT / source).read_text() for source, place in PLACES.items() if source.endswith(".md")}
    made["assets/nextclick.css"] = ".md-grid { max-width: 90rem }\n"
    made["reference/commands.md"] = commands_page()
    made["reference/metrics.md"] = metrics_page(registries())
    made["reference/runbook.md"] = runbook_page(yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text()))
    made["reference/schemas.md"] = schemas_page(sorted((ROOT / "docs/schema").glob("*.json")))
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the text with links that lead somewhere on the site."""
    known = {file.src_uri for file in files}
    linked = LINK.sub(lambda link: _link(link, page.file.src_uri, known), markdown)
    return PROGRAM.sub(lambda link: f"{link[0]}\n\n{_program(link[1], link[2])}", linked)


def commands_page() -> str:
    """Every command with its options, their defaults and the variables of the environment that fill them."""
    command: Any = typer.main.get_command(nextclick.app)
    return "\n".join(["# Commands and options", "", *_commands(command, ("nextclick",))])


def metrics_page(services: dict[str, CollectorRegistry]) -> str:
    """Every metric of every service."""
    lines = ["# Metrics", "", "What `/metrics` of each service shows, beside `process_*`."]
    for name, registry in services.items():
        lines += ["", f"## {name}", "", "| metric | kind | what it says |", "|---|---|---|"]
        families = sorted(registry.collect(), key=lambda family: family.name)
        lines += [
            f"| `{family.name}{SUFFIXES.get(family.type, '')}` | {family.type} | {_cell(family.documentation)} |"
            for family in families
            if family.name.startswith("nextclick")
        ]
    return "\n".join(lines)


def runbook_page(alerts: dict[str, Any]) -> str:
    """Every alert: what it means, where to look, what to do, and its expression."""
    lines = ["# Runbook", "", "The alerts of `deploy/alerts.yaml`. What a `/health` says has its remedy beside it."]
    for group in alerts["groups"]:
        lines += ["", f"## {group['name']}"]
        for rule in group["rules"]:
            notes, severity = rule["annotations"], rule["labels"]["severity"]
            after = f", once it has held for {rule['for']}" if "for" in rule else ""
            lines += ["", f"### {rule['alert']}", "", f"**{severity}** ({SEVERITIES[severity]}){after}.", ""]
            lines += [f"**Means.** {notes['summary']}", "", f"**Look, and do.** {notes['description']}", ""]
            lines += ["```promql", rule["expr"].strip(), "```"]
    return "\n".join(lines)


def schemas_page(paths: Iterable[Path]) -> str:
    """Every JSON Schema of a message."""
    lines = [
        "# Schemas",
        "",
        "JSON Schemas of the messages; the rest is in the [contract](../contract.md).",
    ]
    for path in paths:
        schema = json.loads(path.read_text())
        lines += ["", f"## {path.stem}", "", "```json", json.dumps(schema, indent=2, ensure_ascii=False), "```"]
    return "\n".join(lines)


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*words, name))
    if not hasattr(command, "commands"):
        yield from ("", f"## {' '.join(words)}", "", _paragraphs(command.help or ""), "")
        yield from ("| option | default | environment | |", "|---|---|---|---|")
        yield from map(_option, (found for found in command.params if not found.hidden))


def _option(found: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*found.opts, *found.secondary_opts))
    if found.param_type_name == "argument":
        names = f"`{found.name.upper()}`"
    none = callable(found.default) or found.default in (None, False, (), [])
    default = "required" if found.required else "" if none else f"`{_cell(str(found.default))}`"
    variables = [found.envvar] if isinstance(found.envvar, str) else found.envvar or []
    return f"| {names} | {default} | {', '.join(f'`{name}`' for name in variables)} | {_cell(found.help or '')} |"


def _paragraphs(text: str) -> str:
    return re.sub(r"<", "&lt;", text.replace("\b", ""))


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def _program(place: str, suffix: str) -> str:
    return f"```{suffix.replace('mjs', 'js')}\n{(ROOT / 'docs' / place).read_text().rstrip()}\n```"


def _link(link: re.Match[str], page: str, known: set[str]) -> str:
    text, target, anchor = link[1], link[2], link[3] or ""
    if re.match(r"[a-z]+:", target):
        return link[0]
    origin = {place: source for source, place in PLACES.items()}.get(page, f"docs/{page}")
    path = _normal(Path(origin).parent / target)
    place = PLACES.get(path, path.removeprefix("docs/"))
    if place not in known and f"{place}/README.md" in known:
        place = f"{place}/README.md"
    if place not in known:
        return text[1:-1]
    return f"{text}({'../' * page.count('/')}{place}{anchor})"


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
