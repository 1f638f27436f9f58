"""The front door: exit codes, and `--json` as the last line of stdout."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import nextclick
from cli.commands.learn.train import PRESETS as PRESETS_IN_HELP
from cli.options.reading import FORMATS as FORMATS_IN_HELP
from export.bundle.manifest import Manifest, TrainingWindow
from model.data.readers import FORMATS
from model.presets import PRESETS

COMMANDS = (
    "demo",
    "simulate",
    "train",
    "evaluate",
    "recommend",
    "log",
    "worker",
    "replay",
    "watch",
    "topics",
    "models",
    "experiment",
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command as the shell would and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["nextclick", *arguments])
    with pytest.raises(SystemExit) as ended:
        nextclick.main()
    return int(ended.value.code or 0)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    rows = [f"{session},{item},{1_600_000_000_000 + session}" for session in range(20) for item in ("a", "b", "c")]
    path.write_text("\n".join(["session_id,item_id,timestamp", *rows]) + "\n")
    return path


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"\b{command}\b", shown) for command in COMMANDS)


def test_help_of_train_names_every_preset_and_format() -> None:
    assert sorted(PRESETS_IN_HELP.split(", ")) == sorted(PRESETS)
    assert set(FORMATS_IN_HELP.split(", ")) == set(FORMATS)


def test_evaluate_json_is_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    arguments = ("--data", str(log), "--baseline", "next-item", "--train", str(log), "--cutoffs", "1,20", "--json")
    assert run(monkeypatch, "evaluate", *arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["recall@1"] == 1.0
    assert {"recall@20", "mrr@20", "ndcg@20", "coverage@20", "predictions", "sessions_per_s"} <= set(figures)


def test_compare_json_is_the_last_line_and_what_was_left_out_is_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    arguments = ("--data", str(log), "--compare", "popularity", "vmis-knn", "--train", str(log), "--json")
    assert run(monkeypatch, "evaluate", *arguments, "--cutoffs", "1") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out.splitlines()[-1])
    assert [system["name"] for system in found["systems"]] == ["popularity", "vmis-knn"]
    assert (found["sessions"], found["predictions"]) == (20, 40)
    assert {"recall@1", "mrr@1", "ndcg@1", "coverage@1", "ci", "vs_first"} <= set(found["systems"][1])
    assert len(found["systems"][1]["ci"]["recall@1"]) == 2
    assert len(found["systems"][1]["vs_first"]["mrr@1"]) == 3
    assert "left out 0 of 60 clicks" in shown.err


def test_compare_prints_one_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: Path
) -> None:
    arguments = ("--data", str(log), "--compare", "next-item", "popularity", "--train", str(log))
    assert run(monkeypatch, "evaluate", *arguments) == 0
    shown = capsys.readouterr().out
    for text in ("recall@20", "mrr@20 to first", "next-item", "popularity", "40 predictions of 20 sessions"):
        assert text in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("evaluate", "--data", "{log}", "--compare", "next-item", "--train", "{log}"), 2, "two systems"),
        (("evaluate", "--data", "{log}", "--compare", "next-item", "popularity"), 2, "--train"),
        (("evaluate", "--data", "{log}", "--compare", "next-item", "oracle", "--train", "{log}"), 2, "vmis-knn"),
        (("evaluate", "--data", "{log}", "next-item", "popularity", "--train", "{log}"), 2, "--compare"),
        (("evaluate", "--data", "{log}", "--compare", "next-item", "{tmp}", "--bundle", "{tmp}"), 2, "--bundle"),
        (("evaluate", "--data", "{log}", "--compare", "--baseline", "next-item", "--train", "{log}"), 2, "--baseline"),
        (("evaluate", "--data", "{log}"), 2, "--bundle"),
        (("evaluate", "--data", "{log}", "--baseline", "next-item"), 2, "--train"),
        (("evaluate", "--data", "{log}", "--baseline", "oracle", "--train", "{log}"), 2, "oracle"),
        (
            ("evaluate", "--data", "{log}", "--baseline", "popularity", "--train", "{log}", "--cutoffs", "x"),
            2,
            "cut-offs",
        ),
        (("evaluate", "--data", "{tmp}/none.csv", "--baseline", "popularity", "--train", "{log}"), 2, "none.csv"),
        (("recommend", "--bundle", "{tmp}/none", "--items", "a"), 1, "none"),
        (("models", "list", "--registry", "{tmp}/none"), 1, "none"),
        (("models", "promote", "7", "--registry", "{tmp}/none"), 1, "none"),
        (("worker", "--bootstrap-servers", "127.0.0.1:1", "--registry", "{tmp}/none"), 1, "none"),
        (("worker", "--bootstrap-servers", "127.0.0.1:1", "--registry", "{tmp}", "--k", "0"), 2, "k must be"),
        (("worker", "--bootstrap-servers", "h:1", "--registry", "{tmp}", "--kafka", "nonsense"), 2, "key=value"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--preset", "oracle"), 2, "oracle"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--positions", "middle"), 2, "rotary"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--precision", "float16"), 2, "bfloat16"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--epochs", "inf"), 2, "epochs"),
        (
            ("train", "--data", "{log}", "--registry", "{tmp}/r", "--preset", "gru4rec+", "--positions", "end"),
            2,
            "no pos",
        ),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--min-support", "0"), 2, "min-support"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--time-unit", "min"), 2, "ms, s, us, ns"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--init-from", "{tmp}/none"), 2, "init-from"),
        (("train", "--data", "{log}", "--registry", "{tmp}/r", "--session-gap-minutes", "-1"), 2, "session gap"),
        (("recommend", "--bundle", "file://{tmp}/none/1", "--items", "a"), 1, "no registry"),
        (("simulate", "{tmp}/none/log.csv", "--sessions", "5"), 2, "can't be written"),
        (("train", "--registry", "{tmp}/r"), 2, "--data"),
        (("no-such-command",), 2, "no-such-command"),
    ],
)
def test_wrong_use_ends_with_its_code_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    log: Path,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    filled = [argument.format(log=log, tmp=tmp_path) for argument in arguments]
    assert run(monkeypatch, *filled) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.slow
@pytest.mark.usefixtures("translations")
def test_train_again_goes_on_from_its_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path
) -> None:
    small = PRESETS["tron-fast"]().override(hidden=16, feed_forward=16, layers=1)
    monkeypatch.setitem(PRESETS, "tron-fast", lambda: small)
    where = ("--data", str(log), "--registry", str(tmp_path / "r"))
    arguments = ("train", *where, "--preset", "tron-fast", "--threads", "1")

    def train() -> dict[str, Any]:
        assert run(monkeypatch, *arguments, "--epochs", "1.5", "--json") == 0
        summary: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return summary

    first, again = train(), train()
    assert (first["version"], again["version"]) == ("1", "2")
    assert first["epochs"] == 2.0  # one step an epoch: a half is rounded
    assert first["seconds"] == again["seconds"]
    assert first["checkpoint_dir"] == again["checkpoint_dir"]


def test_train_of_a_process_that_does_not_publish_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, log: Path
) -> None:
    monkeypatch.setattr("model.training_run.train_to_registry", lambda *_: None)
    assert run(monkeypatch, "train", "--data", str(log), "--registry", str(tmp_path / "r"), "--json") == 0
    assert capsys.readouterr().out == ""


def test_simulate_other_shoppers_of_the_same_shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, same, other = (str(tmp_path / f"{name}.csv") for name in ("first", "same", "other"))
    for words in ([first], [same, "--shopper-seed", "0"], [other, "--shopper-seed", "1"]):
        assert run(monkeypatch, "simulate", *words, "--sessions", "20") == 0
    assert Path(first).read_bytes() == Path(same).read_bytes() != Path(other).read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "{tmp}/x.csv", "--seed", "-1"),
        ("simulate", "{tmp}/x.csv", "--shopper-seed", "-1"),
        ("demo", "--seed", "-1"),
        ("train", "--data", "{tmp}", "--registry", "{tmp}", "--seed", "-1"),
    ],
)
def test_negative_seed_is_refused_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *(word.format(tmp=tmp_path) for word in words)) == 2
    assert f"Invalid value for '{words[-2]}'" in capsys.readouterr().err


def test_models_list_shows_what_is_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from export.registry.registry import Registry

    Registry(str(tmp_path / "registry")).create()
    assert run(monkeypatch, "models", "list", "--registry", str(tmp_path / "registry"), "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"live": None, "models": []}


def test_models_list_says_when_and_on_what_a_version_was_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    training = TrainingWindow(first_ts=0, last_ts=1, sessions=2, clicks=12_345)
    for version, created in (("1", 1_700_000_000_000), ("2", 2**62)):
        manifest = Manifest(
            created_ts=created, preset="toy", config={}, items=3, window=5, k_max=3, training=training,
            valid={"recall@20": 0.5, "mrr@20": 0.3, "coverage@20": 0.9, "predictions": 1234},
            baselines={}, parity={}, libraries={},
        )  # fmt: skip
        (tmp_path / version).mkdir()
        (tmp_path / version / "manifest.json").write_bytes(manifest.to_bytes())
    assert run(monkeypatch, "models", "list", "--registry", str(tmp_path)) == 0
    shown = capsys.readouterr().out
    for text in ("2023-11-14 22:13", "12,345 clicks", "recall@20 0.5000", "1,234 predictions"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100, "also in a pipe, where nothing is folded"
    assert run(monkeypatch, "models", "list", "--registry", str(tmp_path), "--json") == 0
    [first, _] = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert first["manifest"]["valid"]["coverage@20"] == 0.9


def test_models_list_names_a_version_that_cannot_be_read_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "manifest.json").write_text('{"format_version": 9}')
    assert run(monkeypatch, "models", "list", "--registry", str(tmp_path), "--json") == 0
    [model] = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert (model["version"], "format 9" in model["error"]) == ("1", True)
    assert run(monkeypatch, "models", "list", "--registry", str(tmp_path)) == 0
    assert "unreadable" in capsys.readouterr().out


def test_worker_follows_the_variant_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    configs: list[Any] = []

    def run_worker(config: Any) -> int:
        configs.append(config)
        return 0

    monkeypatch.setattr("stream.worker.run_worker", run_worker)
    options = ("--bootstrap-servers", "host:1", "--registry", "r")
    assert run(monkeypatch, "worker", *options, "--variant", "b") == 0
    assert run(monkeypatch, "worker", *options) == 0
    assert [config.variant for config in configs] == ["b", "default"]
