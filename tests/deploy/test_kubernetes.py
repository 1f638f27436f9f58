"""What deploy/kubernetes sends to a cluster: by Kubernetes' schemas, safe, and complete."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.kustomize import KUBERNETES, MODULES, OVERLAYS, build, custom_schema

pytestmark = pytest.mark.slow


OLDEST, NEWEST = "1.30", "1.37"
Resource = dict[str, Any]
MADE_BY_HAND = {"nextclick-api-keys"}  # a key that everybody knows is none
SERVICES = {"worker", "trainer", "serve", "similar", "scoreboard", "feedback"}


@pytest.fixture(scope="module", params=OVERLAYS)
def sent(request: pytest.FixtureRequest) -> list[Resource]:
    return build(KUBERNETES / "overlays" / request.param)


@pytest.fixture(scope="module")
def full() -> list[Resource]:
    return build(KUBERNETES / "overlays" / "full")


def of(kind: str, resources: list[Resource]) -> dict[str, Resource]:
    return {one["metadata"]["name"]: one for one in resources if one["kind"] == kind}


def pods(resources: list[Resource]) -> Iterator[tuple[str, Resource]]:
    """Name and template of each Deployment and Job."""
    for kind in ("Deployment", "Job"):
        yield from ((name, one["spec"]["template"]) for name, one in of(kind, resources).items())


def is_own(resource: Resource) -> bool:
    return resource["apiVersion"].partition("/")[0] not in MODULES


def check(resource: Resource, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize(("overlay", "version"), [("full", NEWEST), ("small", OLDEST)])
def test_what_kubernetes_knows_is_by_its_schemas(overlay: str, version: str) -> None:
    sent = build(KUBERNETES / "overlays" / overlay)
    kinds = {one["kind"] for one in sent}
    assert {"Deployment", "Job", "Service", "NetworkPolicy", "PodDisruptionBudget", "Secret", "ConfigMap"} <= kinds
    for resource in filter(is_own, sent):
        check(resource, version)


def test_schemas_refuse_what_is_wrong(full: list[Resource]) -> None:
    worker = copy.deepcopy(of("Deployment", full)["nextclick-worker"])
    worker["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(jsonschema.ValidationError, match="readynessProbe"):
        check(worker, NEWEST)


def test_what_operators_know_is_by_their_schemas(full: list[Resource]) -> None:
    found = [one for one in full if not is_own(one)]
    assert sorted(one["kind"] for one in found) == ["PodMonitor", "ScaledObject", "TriggerAuthentication"]
    for resource in found:
        schema = jsonschema.Draft202012Validator(custom_schema(resource["apiVersion"], resource["kind"]))
        schema.validate(resource)
        wrong = {**resource, "spec": {**resource["spec"], "maxReplicas": 3}}
        with pytest.raises(jsonschema.ValidationError, match="maxReplicas"):
            schema.validate(wrong)


def test_alerts_are_a_rule_of_the_operator_of_prometheus() -> None:
    spec = yaml.safe_load((KUBERNETES.parent / "alerts.yaml").read_text())
    rule = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "nextclick"}}
    schema = jsonschema.Draft202012Validator(custom_schema("monitoring.coreos.com/v1", "PrometheusRule"))
    schema.validate(rule | {"spec": spec})


def test_pods_have_no_rights_that_they_do_not_need(sent: list[Resource]) -> None:
    for name, template in pods(sent):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, "a service's variables look like options"
        allowed = spec["securityContext"]
        assert allowed["runAsNonRoot"], name
        assert (allowed["runAsUser"], allowed["seccompProfile"]) == (10001, {"type": "RuntimeDefault"})
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }, name  # fmt: skip
            assert set(container["resources"]) == {"requests", "limits"}
            assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp", "/etc/nextclick"}
    assert (
        of("Namespace", sent)["nextclick"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    )


def test_what_pods_name_is_sent_with_them(sent: list[Resource]) -> None:
    secrets, maps = set(of("Secret", sent)) | MADE_BY_HAND, set(of("ConfigMap", sent))
    for name, template in pods(sent):
        volumes = template["spec"]["volumes"]
        assert {one["secret"]["secretName"] for one in volumes if "secret" in one} <= secrets, name
        claims = {one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one}
        assert claims <= set(of("PersistentVolumeClaim", sent)), name
        for container in template["spec"]["containers"]:
            assert {one["configMapRef"]["name"] for one in container["envFrom"]} <= maps
            assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in volumes}
            assert container["image"].startswith("registry.example/"), "an overlay puts in its own"


def test_brokers_of_an_overlay_reach_every_pod_and_passwords_stand_in_secrets(full: list[Resource]) -> None:
    [settings] = of("ConfigMap", full).values()
    assert settings["data"]["NEXTCLICK_BOOTSTRAP_SERVERS"].startswith("kafka-0.example:9093,")
    assert settings["data"]["NEXTCLICK_KAFKA_CONFIG"] == "/etc/nextclick/kafka.properties"
    assert all("password" not in str(template) for _, template in pods(full))
    [kafka] = [one for name, one in of("Secret", full).items() if name.startswith("nextclick-kafka")]
    assert set(kafka["data"]) == {"kafka.properties"}
    login = of("TriggerAuthentication", full)["nextclick-kafka"]["spec"]["secretTargetRef"]
    assert {one["key"] for one in login} == set(of("Secret", full)["nextclick-keda"]["data"])


def test_selectors_find_their_pods(sent: list[Resource]) -> None:
    labels = [template["metadata"]["labels"] for _, template in pods(sent)]
    selectors = [one["spec"]["selector"]["matchLabels"] for one in of("PodDisruptionBudget", sent).values()]
    selectors += [one["spec"]["selector"] for one in of("Service", sent).values()]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of("NetworkPolicy", sent).values()]
    assert len(selectors) >= 5
    for selector in selectors:
        assert any(selector.items() <= pod.items() for pod in labels), selector
    everyone = of("NetworkPolicy", sent)["nextclick"]["spec"]["podSelector"]["matchLabels"]
    assert all(everyone.items() <= pod.items() for pod in labels)


def test_scaling_ends_at_the_partitions_and_nobody_else_says_how_many_workers_there_are(full: list[Resource]) -> None:
    scaled = of("ScaledObject", full)["nextclick-worker"]["spec"]
    [trigger] = scaled["triggers"]
    arguments = of("Job", full)["nextclick-topics"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--partitions={scaled['maxReplicaCount']}" in arguments
    assert trigger["metadata"]["allowIdleConsumers"] == "false"
    assert trigger["metadata"]["bootstrapServersFromEnv"] == "NEXTCLICK_BOOTSTRAP_SERVERS"
    assert trigger["authenticationRef"]["name"] in of("TriggerAuthentication", full)
    worker = of("Deployment", full)[scaled["scaleTargetRef"]["name"]]["spec"]
    assert "replicas" not in worker, "kubectl apply would set it back"
    assert scaled["minReplicaCount"] <= scaled["fallback"]["replicas"] <= scaled["maxReplicaCount"]


def test_a_rollout_takes_one_worker_at_a_time_and_those_with_state_of_their_own_end_first(full: list[Resource]) -> None:
    found = {name.removeprefix("nextclick-"): one["spec"] for name, one in of("Deployment", full).items()}
    assert set(found) == SERVICES
    assert found["worker"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert found["serve"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    for name in SERVICES - {"worker", "serve"}:
        assert (found[name]["replicas"], found[name]["strategy"]) == (1, {"type": "Recreate"}), name


def test_whoever_is_told_of_the_registry_has_it_mounted(sent: list[Resource]) -> None:
    asks = {name for name, template in pods(sent) if "=/registry" in str(template["spec"]["containers"][0]["args"])}
    mounted = {name for name, template in pods(sent) if "nextclick-registry" in str(template["spec"]["volumes"])}
    assert asks == mounted
    assert asks >= {"nextclick-worker", "nextclick-trainer"}


def test_jobs_of_the_operator_of_prometheus_are_those_of_the_alerts(full: list[Resource]) -> None:
    [endpoint] = of("PodMonitor", full)["nextclick"]["spec"]["podMetricsEndpoints"]
    first, second = endpoint["relabelings"]
    assert (first["sourceLabels"], first["targetLabel"]) == (["__meta_kubernetes_pod_label_app"], "job")
    assert (second["regex"], second["replacement"]) == ("nextclick-worker", "nextclick")
    for name, template in pods(full):
        if not name.endswith("topics"):
            [port] = template["spec"]["containers"][0]["ports"]
            assert (template["metadata"]["labels"]["app"], port["name"]) == (name, endpoint["port"])
