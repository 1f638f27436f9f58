"""`watch`: a list in a line, with its variant where there is one."""

from typing import Any

import pytest
from typer.testing import CliRunner

from cli.app import app
from stream.messages.contract import Recommendation, Source, recommended


def watched(monkeypatch: pytest.MonkeyPatch, **more: Any) -> str:
    """The line of one list."""
    facts: dict[str, Any] = {"model": "12", "variant": "default", "fallback": False, **more}
    source = Source("clicks", 0, 1)
    found = Recommendation("s", recommended([("a", 0.5)]), source=source, event_ts=1, published_ts=2, **facts)
    monkeypatch.setattr("stream.kafka.watch.watch", lambda *_, **__: [found])
    done = CliRunner().invoke(app, ["watch", "--bootstrap-servers", "nowhere:1"])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_watch_shows_the_variant_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch) == "s  model 12  a 0.50"
    shown = watched(monkeypatch, experiment="new", variant="challenger", fallback=True)
    assert shown == "s  model 12  new: challenger  fallback  a 0.50"
