"""What a trainer counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

__all__ = ["TrainerMetrics"]


class TrainerMetrics:
    """Figures of one trainer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "nextclick_trainer_{}".format
        self.leads = Gauge(name("leads"), "1: this trainer trains; 0: it stands by.", registry=self.registry)
        self.lag = Gauge(name("lag_clicks"), "Clicks of the topic that are not stored yet.", registry=self.registry)
        self.clicks = Counter(name("clicks"), "Clicks stored.", registry=self.registry)
        self.rejected = Counter(
            name("rejected"), "Messages that are no clicks, by reason.", ("reason",), registry=self.registry
        )
        self.skipped = Counter(
            name("skipped_imported"), "Clicks not newer than the log that was imported.", registry=self.registry
        )
        self.lost = Gauge(
            name("lost_clicks"), "Clicks removed by retention before they were read.", registry=self.registry
        )
        self.removed = Counter(
            name("removed"), "Stored clicks that were removed, by why.", ("why",), registry=self.registry
        )
        self.store_bytes = Gauge(name("store_bytes"), "Size of the stored clicks.", registry=self.registry)
        self.store_clicks = Gauge(name("store_clicks"), "Clicks that are stored now.", registry=self.registry)
        self.since = Gauge(name("clicks_since"), "Clicks stored since the last cycle began.", registry=self.registry)
        self.age = Gauge(
            name("model_age_seconds"), "Since the newest click that the last version learned.", registry=self.registry
        )
        self.gate = Gauge(name("gate_passed"), "1: the last candidate passed; 0: it did not.", registry=self.registry)
        self.cycles = Counter(
            name("cycles"), "Cycles, by what came of them.", ("mode", "outcome"), registry=self.registry
        )
        self.seconds = Gauge(name("cycle_seconds"), "Of the last cycle.", ("mode",), registry=self.registry)
        self.problem = Gauge(
            name("problem"), "1 while something is wrong, by what it is.", ("key",), registry=self.registry
        )
        self.mlflow_lost = Counter(
            name("mlflow_lost"), "Records of trainings that MLflow did not keep.", registry=self.registry
        )
        self.free_bytes = Gauge(name("disk_free_bytes"), "Where the checkpoints are.", registry=self.registry)

    def render(self) -> bytes:
        """The figures as text."""
        return generate_latest(self.registry)
