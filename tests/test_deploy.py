"""What deploy/ says is true of the code: options, ports, paths, metrics, versions and times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import nextclick
from bench.rig.brokers.base import KAFKA_VERSION
from stream.config import StreamConfig
from stream.ops.lookout import _NOTICED_S
from stream.ops.metrics import Metrics
from stream.worker import _STOP_S

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
RESORT_S = 10  # after which a worker that does not end orderly ends at once
FUNCTIONS = {
    "absent", "and", "by", "changes", "count", "deriv", "histogram_quantile", "increase", "m", "max", "max_over_time",
    "offset", "or", "predict_linear", "rate", "scalar", "sum", "up",
}  # fmt: skip


def load(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def compose() -> dict[str, Any]:
    return dict(load("compose.yaml")[0]["services"])


def deployment() -> dict[str, Any]:
    return dict(next(part for part in load("kubernetes.yaml") if part["kind"] == "Deployment"))


def container() -> dict[str, Any]:
    return dict(deployment()["spec"]["template"]["spec"]["containers"][0])


def rules() -> list[dict[str, Any]]:
    return [rule for group in load("alerts.yaml")[0]["groups"] for rule in group["rules"]]


def metric_names() -> set[str]:
    """Every name under which /metrics shows samples, those with labels that did not occur yet too."""
    names = set()
    for family in Metrics().registry.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, [""])}
    return names


def options_of(words: list[str]) -> set[str]:
    """The options of the command that these words call."""
    command: Any = typer.main.get_command(nextclick.app)
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    return {name for parameter in command.params for name in parameter.opts}


def commands() -> Iterator[list[str]]:
    yield from (compose()[name]["command"] for name in ("topics", "worker"))
    yield container()["args"]


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.yaml")), ids=lambda path: str(path.name))
def test_yaml_is_sound(path: Path) -> None:
    assert all(part for part in yaml.safe_load_all(path.read_text()))


def test_commands_use_options_that_exist() -> None:
    for words in commands():
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used, words
        assert used <= options_of(words), words


def test_alerts_use_metrics_that_exist() -> None:
    known, labels = metric_names(), {"job", "stage", "reason", "le", "kind"}
    assert {"nextclick_lag_clicks", "process_start_time_seconds", "nextclick_latency_seconds_bucket"} <= known
    for rule in rules():
        text = re.sub(r'"[^"]*"|\[[^\]]*\]', "", rule["expr"])
        words = set(re.findall(r"[a-z][a-z_]{1,}", text)) - FUNCTIONS - labels
        assert words <= known, (rule["alert"], words - known)
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
    for text in (rule["annotations"]["description"] for rule in rules()):
        assert set(re.findall(r"nextclick_[a-z_]+", text)) <= known | {"nextclick_latency_seconds"}


def test_alerts_cover_lag_readiness_models_and_crash_loops() -> None:
    names = {rule["alert"] for rule in rules()}
    assert {"NextclickLagGrowing", "NextclickNotReady", "NextclickModelRefused", "NextclickCrashLoop"} <= names
    assert {"NextclickVariantNotServed", "NextclickVariantFails"} <= names


def test_alerts_tell_of_changed_topics_and_lost_clicks_and_not_of_a_worker_that_stands_by() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert "nextclick_topic_trouble" in found["NextclickTopicsChanged"]["expr"]
    assert "for" not in found["NextclickTopicsChanged"], "the worker is gone in seconds"
    assert "nextclick_clicks_lost_to_retention_total" in found["NextclickClicksLost"]["expr"]
    assert "for" not in found["NextclickClicksLost"]
    assert found["NextclickNotReady"]["expr"] == "nextclick_ready + nextclick_standby == 0"
    scrape_s = int(load("prometheus.yaml")[0]["global"]["scrape_interval"].removesuffix("s"))
    assert 2 * scrape_s <= min(_NOTICED_S, StreamConfig(bootstrap_servers="a:1", registry="r").topics_look_s)


def test_termination_grace_lies_above_the_time_a_worker_gives_itself() -> None:
    needed = _STOP_S + RESORT_S
    assert deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    assert int(compose()["worker"]["stop_grace_period"].removesuffix("s")) > needed


def test_probes_ask_paths_and_ports_that_are_served() -> None:
    served = (ROOT / "stream" / "ops" / "web.py").read_text()
    found = container()
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert f'"{found[probe]["httpGet"]["path"]}"' in served
        assert ports[found[probe]["httpGet"]["port"]] == 8080
    assert found["readinessProbe"]["httpGet"]["path"] == "/health"
    assert found["livenessProbe"]["httpGet"]["path"] == "/health/live", "a worker that recovers must not be killed"
    assert "--web-port=8080" in found["args"]
    assert "--web-host=0.0.0.0" in found["args"], "the default is loopback, which no probe reaches"
    assert load("prometheus.yaml")[0]["scrape_configs"][0]["dns_sd_configs"][0]["port"] == 8080
    assert load("prometheus.yaml")[0]["scrape_configs"][0]["job_name"] == "nextclick"


def test_threads_are_as_many_as_the_cores_that_are_allowed() -> None:
    assert f"--threads={container()['resources']['limits']['cpu']}" in container()["args"]
    assert f"--threads={compose()['worker']['cpus']}" in compose()["worker"]["command"]


def test_redis_is_bounded_and_evicts() -> None:
    words = compose()["redis"]["command"]
    assert words[words.index("--maxmemory") + 1] == "256mb"
    assert words[words.index("--maxmemory-policy") + 1].startswith(("volatile", "allkeys"))


def test_images_are_pinned_and_kafka_is_the_one_that_is_tested() -> None:
    images = {name: service["image"] for name, service in compose().items()}
    assert images["kafka"] == f"apache/kafka:{KAFKA_VERSION}"
    assert all(":" in image for name, image in images.items() if name not in ("worker", "topics"))


def test_container_has_the_worker_and_neither_torch_nor_root() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    install = next(line for line in text.splitlines() if "pip install" in line)
    assert "[" not in install, "extras bring torch"
    assert "constraints.txt" in install
    copied = {word.strip("./") for line in re.findall(r"^COPY (.*)$", text, re.M) for word in line.split()[:-1]}
    assert copied >= {"pyproject.toml", "nextclick.py", "stream", "export", "model"}
    assert all((ROOT / name).exists() for name in copied)
    assert re.search(r"^USER \d+$", text, re.M)
    assert deployment()["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 10001


def test_alert_on_memory_lies_below_the_limit() -> None:
    rule = next(rule for rule in rules() if rule["alert"] == "NextclickStateGrowing")
    assert float(rule["expr"].rpartition(">")[2]) < 2 * 1024**3
    assert container()["resources"]["limits"]["memory"] == "2Gi"
