"""Each alert fires by its fault, and not before: the rules as they stand, asked by promtool.

A case is what a service shows before the fault and after it, by the names and labels that its metrics have in the code.
tests/integration/services/test_alerts.py causes faults on real processes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from bench.rig.registries import registries

ALERTS = Path(__file__).parents[2] / "deploy" / "alerts.yaml"
BEFORE_MIN = 60  # of health
OF_PROCESSES = ("up", "process_start_time_seconds", "process_resident_memory_bytes")  # without labels of ours


class Fault(NamedTuple):
    """Of faults.yaml; `series` by name and labels."""

    alert: str
    minutes: int
    series: dict[str, str]


FAULTS = tuple(Fault(**one) for one in yaml.safe_load(Path(__file__).with_name("faults.yaml").read_text()))


@cache
def told() -> list[dict[str, Any]]:
    return list(yaml.safe_load(ALERTS.read_text())["groups"])


def groups() -> dict[str, str]:
    """The group of each alert, which is called as the job of its service."""
    return {rule["alert"]: group["name"] for group in told() for rule in group["rules"]}


def rules() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in told() for rule in group["rules"]}


def labels_of() -> dict[str, set[str]]:
    """The labels of each series that the services may show."""
    found: dict[str, set[str]] = {name: set() for name in OF_PROCESSES}
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    for registry in registries().values():
        for collector in list(registry._collector_to_names):
            told = getattr(collector, "_labelnames", None)
            for family in collector.collect():
                names = told if told is not None else getattr(family, "_labelnames", ())
                for suffix in suffixes.get(family.type, ("",)):
                    found[family.name + suffix] = {*names, *(("le",) if suffix == "_bucket" else ())}
    return found


def notation(told: str, minutes: int) -> str:
    """As promtool has it, a value a minute."""
    before, after = (side.strip() for side in told.split("|"))
    reached = 0.0 if before == "_" else float(before) * (BEFORE_MIN if before.startswith("+") else 1)
    first = f"0{before}x{BEFORE_MIN}" if before.startswith("+") else f"{before}x{BEFORE_MIN + (before == '_')}"
    second = f"{reached:.0f}{after}x{minutes}" if after.startswith("+") else f"{after}x{minutes}"
    return f"{first} {second}"


def case(fault: Fault) -> dict[str, Any]:
    """A test of promtool's: silent until the fault, firing after it."""
    job = groups()[fault.alert]

    def placed(series: str) -> str:
        name, _, labels = series.rstrip("}").partition("{")
        instance = "" if "instance=" in labels else ',instance="a"'
        return f'{name}{{job="{job}"{instance}{"," if labels else ""}{labels}}}'

    firing = f'count(ALERTS{{alertname="{fault.alert}",alertstate="firing"}}) or vector(0)'
    asked = {"expr": f"({firing}) > bool 0"}
    return {
        "name": fault.alert,
        "interval": "1m",
        "input_series": [
            {"series": placed(name), "values": notation(told, fault.minutes)} for name, told in fault.series.items()
        ],
        "promql_expr_test": [
            asked | {"eval_time": f"{BEFORE_MIN}m", "exp_samples": [{"labels": "{}", "value": 0}]},
            asked | {"eval_time": f"{BEFORE_MIN + fault.minutes}m", "exp_samples": [{"labels": "{}", "value": 1}]},
        ],
    }


def written(folder: Path, alert: str) -> str:
    """A file of promtool's with the cases of one alert, beside a file of that rule alone: all of them take a minute."""
    (folder / f"{alert}-rule.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rules()[alert]]}]}))
    asked = {
        "rule_files": [f"{alert}-rule.yaml"],
        "evaluation_interval": "1m",
        "tests": [case(fault) for fault in FAULTS if fault.alert == alert],
    }
    file = folder / f"{alert}.yaml"
    file.write_text(yaml.safe_dump(asked, sort_keys=False))
    return str(file)


def test_every_alert_has_its_fault() -> None:
    assert {fault.alert for fault in FAULTS} == set(groups())


def test_faults_are_told_by_metrics_and_labels_that_services_show() -> None:
    known = labels_of()
    for fault in FAULTS:
        for series in fault.series:
            name, _, labels = series.partition("{")
            assert name in known, f"{fault.alert}: {name}"
            assert set(re.findall(r"(\w+)=", labels)) - {"instance"} == known[name], f"{fault.alert}: {series}"


def test_counters_with_labels_count_from_their_first_value() -> None:
    """One begins with its first event, of which rate() and increase() know nothing."""
    labels = labels_of()
    for alert, rule in rules().items():
        for counter in re.findall(r"\b(?:rate|increase)\((\w+_total)", rule["expr"]):
            first_is_asked = re.search(rf"{counter}(?: > 0)? unless {counter} offset", rule["expr"])
            assert first_is_asked or not labels[counter], f"{alert}: {counter}"


@pytest.mark.slow
@pytest.mark.program
def test_alerts_fire_by_their_faults_and_not_before(tmp_path: Path) -> None:
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("there is no promtool (Debian: apt-get install prometheus)")
    files = [written(tmp_path, alert) for alert in groups()]
    done = subprocess.run([promtool, "test", "rules", *files], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(files)
