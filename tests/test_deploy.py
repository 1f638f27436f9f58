"""What deploy/ says is true of the code: options, ports, paths, metrics, versions and times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import nextclick
from bench.rig.brokers.base import KAFKA_VERSION
from bench.rig.registries import registries
from deploy.grafana.dashboards import FOLDER, dashboard, rows_of
from deploy.grafana.panels import BOARDS
from model.trainer.child import _TERM_S
from stream.config import StreamConfig
from stream.items.figures import ItemsHealth, ItemsMetrics
from stream.ops.lookout import _NOTICED_S
from stream.ops.metrics import Metrics
from stream.worker import _STOP_S

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SCRAPED = ("worker", "trainer", "scoreboard", "similar", "feedback", "serve")  # of the compose file
DEPLOYED = tuple(f"nextclick-{service}" for service in SCRAPED)  # on Kubernetes
RANKING = DEPLOYED[:2]  # and training: they take threads, and the registry
RESORT_S = 10  # after which a worker that does not end orderly ends at once
FUNCTIONS = {
    "absent", "and", "by", "changes", "count", "deriv", "histogram_quantile", "increase", "m", "max", "max_over_time",
    "min_over_time", "offset", "on", "or", "predict_linear", "rate", "scalar", "sum", "unless", "up",
}  # fmt: skip


def load(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def compose() -> dict[str, Any]:
    return dict(load("compose.yaml")[0]["services"])


@cache
def kubernetes(kind: str) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted(DEPLOY.glob("kubernetes/**/*.yaml"))]
    return [part for text in texts for part in yaml.safe_load_all(text) if part["kind"] == kind]


def deployment(name: str = "nextclick-worker") -> dict[str, Any]:
    return next(part for part in kubernetes("Deployment") if part["metadata"]["name"] == name)


def container(name: str = "nextclick-worker") -> dict[str, Any]:
    return dict(deployment(name)["spec"]["template"]["spec"]["containers"][0])


def rules() -> list[dict[str, Any]]:
    return [rule for group in load("alerts.yaml")[0]["groups"] for rule in group["rules"]]


def metric_names() -> set[str]:
    """Every name under which /metrics shows samples, those with labels that did not occur yet too."""
    names = set()
    for family in (family for registry in registries().values() for family in registry.collect()):
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
    yield from (compose()[name]["command"] for name in ("topics", *SCRAPED))
    yield from (container(name)["args"] for name in DEPLOYED)
    yield from (job["spec"]["template"]["spec"]["containers"][0]["args"] for job in kubernetes("Job"))


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.name))
def test_yaml_is_sound(path: Path) -> None:
    assert all(part for part in yaml.safe_load_all(path.read_text()))


def test_commands_use_options_that_exist() -> None:
    for words in commands():
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used, words
        assert used <= options_of(words), words


def test_alerts_use_metrics_that_exist() -> None:
    known, labels = metric_names(), {"job", "stage", "reason", "le", "kind", "instance", "outcome", "key"}
    assert {"nextclick_lag_clicks", "process_start_time_seconds", "nextclick_latency_seconds_bucket"} <= known
    for rule in rules():
        text = re.sub(r'"[^"]*"|\[[^\]]*\]', "", rule["expr"])
        words = set(re.findall(r"[a-z][a-z_]{1,}", text)) - FUNCTIONS - labels
        assert words <= known, (rule["alert"], words - known)
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]
    for text in (rule["annotations"]["description"] for rule in rules()):
        assert set(re.findall(r"nextclick_[a-z_]+", text)) <= known | {"nextclick_latency_seconds"}


def test_no_name_stands_twice() -> None:
    groups = load("alerts.yaml")[0]["groups"]
    for names in ([group["name"] for group in groups], [rule["alert"] for rule in rules()]):
        assert len(names) == len(set(names)), "Prometheus refuses the file"


def test_alerts_cover_lag_readiness_models_and_crash_loops() -> None:
    names = {rule["alert"] for rule in rules()}
    assert {"NextclickLagGrowing", "NextclickNotReady", "NextclickModelRefused", "NextclickCrashLoop"} <= names
    assert {"NextclickVariantNotServed", "NextclickVariantFails"} <= names


def test_alerts_of_the_trainer_hold_of_the_one_that_leads_where_the_others_do_not_look() -> None:
    found = {rule["alert"]: rule["expr"] for rule in rules()}
    assert {"NextclickNoTrainer", "NextclickTrainerNoLeader", "NextclickTrainerProblem"} <= set(found)
    for name in ("NextclickModelOld", "NextclickTrainerDiskFull"):
        assert found[name].endswith("and nextclick_trainer_leads == 1")


def test_alerts_tell_of_changed_topics_and_lost_clicks_and_not_of_a_worker_that_stands_by() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert "nextclick_topic_trouble" in found["NextclickTopicsChanged"]["expr"]
    assert "for" not in found["NextclickTopicsChanged"], "the worker is gone in seconds"
    assert "nextclick_clicks_lost_to_retention_total" in found["NextclickClicksLost"]["expr"]
    assert "for" not in found["NextclickClicksLost"]
    assert found["NextclickNotReady"]["expr"] == "nextclick_ready + nextclick_standby == 0"
    scrape_s = int(load("prometheus.yaml")[0]["global"]["scrape_interval"].removesuffix("s"))
    assert 2 * scrape_s <= min(_NOTICED_S, StreamConfig(bootstrap_servers="a:1", registry="r").topics_look_s)


def test_alerts_tell_of_refused_and_late_items_and_of_problems_of_every_service() -> None:
    found = {rule["alert"]: rule["expr"] for rule in rules()}
    assert "nextclick_items_refused_total" in found["NextclickItemsRefused"]
    late = found["NextclickItemsLate"]
    assert {"nextclick_items_lag", "nextclick_items_restored", "nextclick_items_topic"} <= set(re.findall(r"\w+", late))
    metrics = Metrics()
    ItemsMetrics(metrics.registry).show(ItemsHealth(topic=False, restored=False))
    assert metrics.registry.get_sample_value("nextclick_items_topic") == 0, "a shop without the topic gets no alert"
    for service in ("similar", "feedback", "scoreboard", "trainer", "serve"):
        assert any(f"nextclick_{service}_problem" in expr for expr in found.values())


def test_termination_grace_lies_above_the_time_a_worker_gives_itself() -> None:
    needed = _STOP_S + RESORT_S
    assert deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    assert int(compose()["worker"]["stop_grace_period"].removesuffix("s")) > needed


def test_termination_grace_of_a_trainer_lies_above_the_time_of_a_last_checkpoint() -> None:
    needed = _TERM_S + RESORT_S
    assert deployment("nextclick-trainer")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > needed
    assert int(compose()["trainer"]["stop_grace_period"].removesuffix("s")) > needed


@pytest.mark.parametrize("name", DEPLOYED)
def test_probes_ask_paths_and_ports_that_are_served(name: str) -> None:
    served = (ROOT / "stream" / "ops" / "web.py").read_text()
    found = container(name)
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert f'"{found[probe]["httpGet"]["path"]}"' in served
        assert ports[found[probe]["httpGet"]["port"]] == 8080
    ready = "/health/ready" if name == "nextclick-worker" else "/health"  # one that stands by holds up no rollout
    assert found["readinessProbe"]["httpGet"]["path"] == ready
    assert found["livenessProbe"]["httpGet"]["path"] == "/health/live", "a worker that recovers must not be killed"
    assert "--web-port=8080" in found["args"]
    assert "--web-host=0.0.0.0" in found["args"], "the default is loopback, which no probe reaches"


def test_prometheus_scrapes_every_service_by_the_jobs_of_the_alerts() -> None:
    scrapes = load("prometheus.yaml")[0]["scrape_configs"]
    jobs = [scraped["job_name"] for scraped in scrapes]
    assert jobs == ["nextclick", *(f"nextclick-{service}" for service in SCRAPED[1:])]
    for scraped, service in zip(scrapes, SCRAPED, strict=True):
        assert scraped["dns_sd_configs"][0]["names"] == [service]
        assert scraped["dns_sd_configs"][0]["port"] == 8080, "where the health check of the image looks, too"
    for service in SCRAPED[1:]:
        assert {"--web-port=8080", "--web-host=0.0.0.0"} <= set(compose()[service]["command"])
    named = {job for rule in rules() for job in re.findall(r'job="([^"]*)"', rule["expr"])}
    assert named == set(jobs) - {"nextclick-feedback"}, "which runs by a profile only"


@pytest.mark.parametrize("name", RANKING)
def test_threads_are_as_many_as_the_cores_that_are_allowed(name: str) -> None:
    service = compose()[name.removeprefix("nextclick-")]
    assert f"--threads={container(name)['resources']['limits']['cpu']}" in container(name)["args"]
    assert f"--threads={service['cpus']}" in service["command"]


def test_trainer_writes_the_registry_that_workers_read_and_weighs_less_than_they() -> None:
    kept = "${REGISTRY:?an absolute path}:/registry"
    assert (compose()["worker"]["volumes"], compose()["trainer"]["volumes"]) == ([f"{kept}:ro"], [kept])
    volumes = {name: deployment(name)["spec"]["template"]["spec"]["volumes"][0] for name in RANKING}
    claims = [volumes[name]["persistentVolumeClaim"] for name in RANKING]
    assert claims[0]["claimName"] == claims[1]["claimName"]
    assert [claim.get("readOnly", False) for claim in claims] == [True, False]
    [mounted] = [one for one in container("nextclick-trainer")["volumeMounts"] if one["name"] == "registry"]
    assert mounted == {"name": "registry", "mountPath": "/registry"}
    assert compose()["trainer"]["cpu_shares"] < 1024 / 8, "nice counts within a container only"
    assert container("nextclick-trainer")["resources"]["requests"]["cpu"] == "200m"


def test_state_of_the_scoreboard_lies_on_a_volume_that_its_user_may_write() -> None:
    assert "--state=/state" in compose()["scoreboard"]["command"]
    assert compose()["scoreboard"]["volumes"] == ["scoreboard:/state"]
    assert "install -d -o nextclick /state" in stages()["worker"]
    [mounted] = [one for one in container("nextclick-scoreboard")["volumeMounts"] if one["name"] == "state"]
    assert mounted == {"name": "state", "mountPath": "/state"}
    assert "--state=/state" in container("nextclick-scoreboard")["args"]
    claim = deployment("nextclick-scoreboard")["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]
    claims = [part["metadata"]["name"] for part in kubernetes("PersistentVolumeClaim")]
    assert claim["claimName"] in claims


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for service in compose().values() for port in service.get("ports", [])]
    assert len(ports) >= 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_dashboards_are_those_that_the_metrics_give_and_grafana_finds_them() -> None:
    for board in BOARDS:
        written = (FOLDER / f"{board.service}.json").read_text()
        assert written == dashboard(board), "run: python -m deploy.grafana.dashboards"
    assert {path.stem for path in FOLDER.iterdir()} == {board.service for board in BOARDS} == set(registries())
    mounts = dict(mount.split(":")[:2] for mount in compose()["grafana"]["volumes"])
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/nextclick.yaml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./grafana/boards"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_panels_ask_for_metrics_and_jobs_that_exist() -> None:
    jobs = {scraped["job_name"] for scraped in load("prometheus.yaml")[0]["scrape_configs"]}
    for board in BOARDS:
        assert board.job in jobs
        queries = [query.expr for _, panels in rows_of(board) for panel in panels for query in panel.queries]
        asked = set(re.findall(r"nextclick_[a-z0-9_]+", " ".join(queries)))
        assert asked <= metric_names() | {"nextclick_batch_clicks_sum", "nextclick_batch_clicks_count"}
        told = {family.name for family in registries()[board.service].collect() if family.name.startswith("nextclick")}
        assert all(any(name.startswith(metric) for name in asked) for metric in told), "every metric has a panel"


def test_redis_is_bounded_and_evicts() -> None:
    words = compose()["redis"]["command"]
    assert words[words.index("--maxmemory") + 1] == "256mb"
    assert words[words.index("--maxmemory-policy") + 1].startswith(("volatile", "allkeys"))


def test_images_are_pinned_and_kafka_is_the_one_that_is_tested() -> None:
    images = {name: service["image"] for name, service in compose().items()}
    assert images["kafka"] == f"apache/kafka:{KAFKA_VERSION}"
    assert all(":" in image for name, image in images.items() if name not in ("topics", *SCRAPED))


def stages() -> dict[str, str]:
    """The text of each named stage of the container file; the last one under the empty name."""
    text = (DEPLOY / "Containerfile").read_text()
    parts = re.split(r"^(?=FROM )", text, flags=re.M)[1:]
    return {(re.match(r"FROM \S+ AS (\w+)", part) or [""] * 2)[1]: part for part in parts}


def test_trainer_is_the_worker_with_what_training_needs_and_what_is_built_by_default_has_none_of_it() -> None:
    found = stages()
    assert list(found) == ["worker", "trainer", ""]
    assert found["trainer"].startswith("FROM worker ")
    assert "'.[train]'" in found["trainer"]
    assert "-c constraints.txt" in found["trainer"]
    assert found["trainer"].rindex("USER 10001") > found["trainer"].rindex("RUN ")
    assert found[""].strip() == "FROM worker"
    targets = {name: compose()[name]["build"]["target"] for name in ("topics", "worker", "trainer")}
    assert targets == {"topics": "worker", "worker": "worker", "trainer": "trainer"}
    assert compose()["trainer"]["image"] == container("nextclick-trainer")["image"] != compose()["worker"]["image"]


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
