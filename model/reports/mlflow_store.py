"""MLflow, as far as a training needs it. It is imported when a run is opened, by nobody before: that takes seconds."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from export.errors import ConfigError

__all__ = ["EXPERIMENT", "MlflowStore", "Point", "Store", "check_uri", "without_password"]

EXPERIMENT = "nextclick"
RUN_TAG = "nextclick.run"
_DEFAULTS = {  # what is set already counts
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; its own is two minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # who calls tries again, later
    "MLFLOW_ALLOW_FILE_STORE": "true",  # a folder that was asked for by name
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_METRICS, _OTHERS = 1_000, 100  # of one request, at most: limits of MLflow
_LONGEST = 500  # characters of a parameter's value, of a tag's ten times as many
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

Point = tuple[str, float, int, int]  # name, value, ms since the epoch, step


class Store(Protocol):
    """Where one run is kept. Every method may raise anything, and take its time."""

    def log(self, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None: ...
    def upload(self, path: Path) -> None: ...
    def end(self, status: str) -> None: ...


def check_uri(uri: str) -> str:
    """Return the address in full. ConfigError, with the remedy, where it can't be one or mlflow is not installed."""
    if find_spec("mlflow") is None:
        raise ConfigError("--mlflow needs MLflow's client, which is not installed: pip install 'nextclick[mlflow]'")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"--mlflow {without_password(uri)} is no address: {error}") from None
    if parts.scheme in ("http", "https") and host:
        return uri
    if parts.scheme == "databricks" or uri == "databricks":
        return uri
    if parts.scheme in ("", "file") and not host and parts.path.strip():
        folder = Path(parts.path if parts.scheme else uri).absolute()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"--mlflow {uri} is a file: name a folder, or the address of a server")
        return folder.as_uri()
    if parts.scheme.partition("+")[0] in _DATABASES:
        if find_spec("sqlalchemy") is not None:
            return uri
        raise ConfigError(
            f"--mlflow {parts.scheme}: a database is written by the whole of MLflow only. Install it (pip install "
            "mlflow), or name the server in front of the database (http://...)"
        )
    raise ConfigError(
        f"--mlflow {without_password(uri)!r} is no tracking address: http://HOST:PORT of a server, or a folder"
    )


def without_password(uri: str) -> str:
    """The address as it may be shown."""
    head, at, tail = uri.rpartition("@")
    return f"{head.partition('://')[0]}://{tail}" if at and "://" in head else uri


class MlflowStore:
    """A run in an MLflow server or folder."""

    def __init__(self, uri: str, name: str, key: str) -> None:
        """Open the run that `key` names, or make it; an empty key: make it. Imports mlflow."""
        for variable, value in _DEFAULTS.items():
            os.environ.setdefault(variable, value)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        known = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = known.experiment_id if known is not None else self._client.create_experiment(EXPERIMENT)
        found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{key}'", max_results=1) if key else []
        self._known: dict[str, str] = dict(found[0].data.params) if found else {}
        run = found[0] if found else self._client.create_run(experiment, run_name=name, tags={RUN_TAG: key})
        self.run_id: str = run.info.run_id

    def log(self, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Add points of curves, parameters that the run does not have, and tags."""
        from mlflow.entities import Metric, Param, RunTag

        metrics = [Metric(name, value, ts, step) for name, value, ts, step in points]
        new = [Param(name, value[:_LONGEST]) for name, value in params.items() if name not in self._known]
        labels = [RunTag(name, value[: 10 * _LONGEST]) for name, value in tags.items()]
        for part in _chunks(metrics, _METRICS):
            self._client.log_batch(self.run_id, metrics=part)
        for part in _chunks(new, _OTHERS):
            self._client.log_batch(self.run_id, params=part)
        for part in _chunks(labels, _OTHERS):
            self._client.log_batch(self.run_id, tags=part)
        self._known |= params

    def upload(self, path: Path) -> None:
        """Keep a file, or those of a folder, as the run's `bundle`."""
        keep = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        keep(self.run_id, str(path), "bundle")

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.run_id, status, int(time.time() * 1000))


def _chunks(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
