"""The metrics of every service, without the service."""

from prometheus_client import CollectorRegistry

from export.experiments.sequence import SequenceConfig
from model.trainer.metrics import TrainerMetrics
from stream.feedback.service import FeedbackMetrics
from stream.items.figures import ItemsMetrics
from stream.ops.metrics import Metrics
from stream.scoreboard.board import Board
from stream.scoreboard.figures import figures
from stream.scoreboard.join import Counts
from stream.scoreboard.lanes import Dropped
from stream.scoreboard.metrics import ScoreboardMetrics
from stream.serve.figures import ServeMetrics
from stream.similar.figures import SimilarMetrics

__all__ = ["registries"]


def registries() -> dict[str, CollectorRegistry]:
    """Return what /metrics of each service shows, by the service's command."""
    worker = Metrics()
    ItemsMetrics(worker.registry)
    scores = ScoreboardMetrics(lambda: figures(Board(), (), Counts(), Dropped(), {}, SequenceConfig()))
    return {
        "worker": worker.registry,
        "trainer": TrainerMetrics().registry,
        "scoreboard": scores.registry,
        "similar": SimilarMetrics().registry,
        "feedback": FeedbackMetrics().registry,
        "serve": ServeMetrics().registry,
    }
