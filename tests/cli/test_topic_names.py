"""Every command on the stream takes the names of the topics from options, a file and the environment."""

import sys
from pathlib import Path
from typing import Any

import pytest

import nextclick
from stream.topic_names import Topics

SERVERS = ("--bootstrap-servers", "host:1")
OURS = Topics.named({"clicks": "c", "models": "m"}, "shop1.")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments by name that the parts behind the commands are called with, in their order."""
    calls: list[dict[str, Any]] = []

    def note(result: Any) -> Any:
        def part(*arguments: Any, **named: Any) -> Any:
            calls.append({**named, "config": arguments[0] if arguments else None})
            return result

        return part

    monkeypatch.setattr("stream.worker.run_worker", note(0))
    monkeypatch.setattr("stream.kafka.topics.create_topics", note([]))
    monkeypatch.setattr("stream.kafka.watch.watch", note([]))
    monkeypatch.setattr("stream.kafka.replay.replay", note({}))
    monkeypatch.setattr("stream.models.promotion.make_live", note("1"))
    return calls


@pytest.fixture
def names(tmp_path: Path) -> Path:
    file = tmp_path / "topics.toml"
    file.write_text('clicks = "c"\nmodels = "m"\n')
    return file


COMMANDS = {
    "worker": ("worker", "--registry", "r"),
    "create": ("topics", "create"),
    "watch": ("watch",),
    "replay": ("replay", "--data", "{log}"),
    "promote": ("models", "promote", "1", "--registry", "r"),
    "rollback": ("models", "rollback", "--registry", "r"),
}
TOLD = {
    "worker": lambda call: call["config"].topics == OURS,
    "create": lambda call: call["topics"] == OURS,
    "watch": lambda call: call["topics"] == OURS,
    "replay": lambda call: call["topic"] == "shop1.c",
    "promote": lambda call: call["topics"] == OURS,
    "rollback": lambda call: call["topics"] == OURS,
}


@pytest.mark.parametrize("by", ["options", "environment"])
@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_told_the_names(
    monkeypatch: pytest.MonkeyPatch, called: list[dict[str, Any]], names: Path, command: str, by: str
) -> None:
    log = names.with_name("log.csv")
    log.write_text("session_id,item_id,timestamp\ns,a,1700000000000\n")
    options = ["--topics", str(names), "--topic-prefix", "shop1."] if by == "options" else []
    if by == "environment":
        monkeypatch.setenv("NEXTCLICK_TOPICS", str(names))
        monkeypatch.setenv("NEXTCLICK_TOPIC_PREFIX", "shop1.")
    words = [word.format(log=log) for word in COMMANDS[command]]
    monkeypatch.setattr(sys, "argv", ["nextclick", *words, *SERVERS, *options])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    assert not ended.value.code
    [call] = called
    assert TOLD[command](call), call


@pytest.mark.parametrize("command", COMMANDS)
def test_command_refuses_names_that_are_no_good(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], names: Path, command: str
) -> None:
    log = names.with_name("log.csv")
    log.write_text("session_id,item_id,timestamp\ns,a,1700000000000\n")
    words = [word.format(log=log) for word in COMMANDS[command]]
    monkeypatch.setattr(sys, "argv", ["nextclick", *words, *SERVERS, "--topic-prefix", "shop one"])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    assert ended.value.code == 2
    assert "shop one" in capsys.readouterr().err
