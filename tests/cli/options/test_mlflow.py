"""`--mlflow` that can't be is refused before a broker, a log or PyTorch is looked for."""

from __future__ import annotations

import sys

import pytest

import nextclick
from cli.options.mlflow import tracking_uri

TRAIN = ("train", "--data", "missing.csv", "--registry", "missing")
TRAINER = ("trainer", "--bootstrap-servers", "127.0.0.1:1", "--registry", "missing")


@pytest.mark.parametrize("command", [TRAIN, TRAINER], ids=lambda words: words[0])
@pytest.mark.parametrize("uri", ["http://", "ftp://tracking"])
def test_address_that_is_none_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], uri: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["nextclick", *command, "--mlflow", uri])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"--mlflow '{uri}' is no tracking address" in said
    assert len(said.strip().splitlines()) == 1


def test_no_address_means_that_nothing_is_kept() -> None:
    assert tracking_uri(None) == ""
