"""A training that MLflow keeps: parameters, curves, figures, the bundle. Its own work never waits for that.

All of it is done by a thread, which collects and sends every few seconds. A server that is away is tried again now and
then; what waits for it is bounded. At the end a little time is given to what is still to be sent, and then none: what
got lost is counted and told, with why, and the training is as good as without.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.reports.mlflow_store import MlflowStore, Point, Store, without_password
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["REMEDY", "Tracked", "Tracker", "metric_name"]

REMEDY = "start the MLflow server, correct --mlflow, or leave it out"
_EVERY_S = 5.0  # between two sendings
_BACK_S = 30.0  # after one that failed
_MOST = 20_000  # points that wait
_FINISH_S = 30.0  # for the rest, the bundle among it, at the end
_DOWN_S = 5.0  # the same, where the server was away the last time, or a signal ends the process

NewStore = Callable[[str, str, str], Store]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What came of it."""

    lost: int = 0  # points, parameters, tags and files that are not kept
    error: str = ""  # why; empty where nothing is lost


class Tracker:
    """An OnProgress that passes every report on, and has curves kept. A run begins with the first of them."""

    def __init__(
        self, uri: str, name: str, on_progress: OnProgress = ignore, *, key: str = "", new_store: NewStore = MlflowStore
    ) -> None:
        """`uri` as `check_uri` returns it. key: names the run; one that was begun before is gone on with."""
        self._uri, self._name, self._key = uri, name, key
        self._on_progress, self._new_store = on_progress, new_store
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._points: list[Point] = []
        self._params: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._bundle: Path | None = None
        self._status = ""  # of the run, once it is over
        self._lost, self._error, self._is_told = 0, "", False
        self._refits = ""
        self._thread: threading.Thread | None = None

    def __call__(self, report: Progress) -> None:
        """Pass `report` on, and note what it measures."""
        self._on_progress(report)
        if report.stage in ("gate", "evaluate", "refit"):
            self._refits = "refit/"  # a training after that is no longer the one that is judged
        if report.stage == "validate" or (report.stage == "train" and report.steps):
            step = max(0, report.epoch - 1) * report.steps + report.step
            member = f"member-{report.member.partition('/')[0]}/" if report.member else ""
            figures = {"loss": report.loss, "epoch": float(report.epoch), **report.metrics}
            self.points(
                {f"{self._refits}{member}{report.stage}/{name}": value for name, value in figures.items()}, step
            )
        if self._error and not self._is_told:
            self._is_told = True
            self._on_progress(Progress(stage=report.stage, message=f"warning: {self._error}; the training goes on"))

    @property
    def has_begun(self) -> bool:
        """Whether anything was measured: a training that was refused before leaves no run behind."""
        return self._thread is not None

    def about(self, params: Mapping[str, object], tags: Mapping[str, str]) -> None:
        """Parameters of the run, and tags; empty ones are left out. They are sent once the run has begun."""
        with self._lock:
            self._params |= {name: str(value) for name, value in params.items()}
            self._tags |= {name: value for name, value in tags.items() if value}

    def points(self, figures: Mapping[str, float], step: int = 0) -> None:
        """Figures at a step; those that are no numbers are left out."""
        now = time.time_ns() // 1_000_000
        new = [(metric_name(name), float(value), now, step) for name, value in figures.items() if math.isfinite(value)]
        with self._lock:
            self._points += new
            many = len(self._points) - _MOST
            if many > 0:
                del self._points[:many]
                self._lost += many
        self._begin()

    def finish(self, status: str = "FINISHED", *, bundle: Path | None = None) -> Tracked:
        """End the run: FINISHED, FAILED or KILLED. Takes half a minute at most, a few seconds where nobody answers, or
        where the process is asked to end."""
        self._begin()
        self._bundle, self._status = bundle, status
        seconds = _DOWN_S if self._error or status == "KILLED" else _FINISH_S
        self._wake.set()
        assert self._thread is not None, "it was begun"
        self._thread.join(seconds)
        with self._lock:
            waiting = len(self._points) + len(self._params) + len(self._tags) + (self._bundle is not None)
            lost = self._lost + waiting
            if self._thread.is_alive():
                self._error = self._error or self._said(f"no answer within {seconds:.0f} s")
            return Tracked(lost=lost, error=self._error if lost or self._thread.is_alive() else "")

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        store: Store | None = None
        next_try = 0.0
        while True:
            self._wake.wait(_EVERY_S)
            status = self._status  # before the sending: what is noted after it is sent by the last one
            if not status and time.monotonic() < next_try:
                continue
            try:
                store = store or self._new_store(self._uri, self._name, self._key)
                self._send(store, status)
                self._error = ""
            except Exception as error:  # a client of many libraries; none of their faults is worth a training
                self._error = self._said(str(error) or type(error).__name__)
                next_try = time.monotonic() + _BACK_S
            if status:
                return

    def _send(self, store: Store, status: str) -> None:
        with self._lock:
            points, params, tags = list(self._points), dict(self._params), dict(self._tags)
        if points or params or tags:
            store.log(points, params, tags)
        with self._lock:
            sent = set(points)
            self._points = [point for point in self._points if point not in sent]
            self._params = {name: value for name, value in self._params.items() if params.get(name) != value}
            self._tags = {name: value for name, value in self._tags.items() if tags.get(name) != value}
        if not status:
            return
        if self._bundle is not None:
            store.upload(self._bundle)
            self._bundle = None
        store.end(status)

    def _said(self, error: str) -> str:
        """What went wrong, on one line, without a password."""
        user = self._uri.partition("://")[2].rpartition("@")[0]
        text = " ".join(error.split()).replace(f"{user}@", "") if user else " ".join(error.split())
        short = text if len(text) <= 300 else f"{text[:80]} ... {text[-200:]}"  # what it was comes last
        return f"MLflow at {without_password(self._uri)} keeps nothing at present: {short}"


def metric_name(name: str) -> str:
    """A name as MLflow takes it: recall_at_20 for recall@20."""
    return "".join(sign if sign.isalnum() or sign in "_-./ " else "_" for sign in name.replace("@", "_at_"))
