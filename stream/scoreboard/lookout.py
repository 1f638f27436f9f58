"""What is wrong around a scoreboard: looked for from time to time, and said with the remedy."""

from stream.errors import BrokerUnavailable
from stream.formats.away import REMEDY, reading_waits
from stream.ops.problems import Problems
from stream.scoreboard.experiments import FollowedExperiments
from stream.scoreboard.figures import is_sample_ratio_ok
from stream.scoreboard.metrics import ScoreboardMetrics
from stream.scoreboard.reader import Scoreboard
from stream.topic_names import Topics

__all__ = ["Lookout"]

_LATE_OF = 1_000  # judged and late clicks, of which it is asked how many are late
_LATE = 0.2  # share of them, above which something is wrong with the clocks


class Lookout:
    """For one thread."""

    def __init__(
        self,
        scores: Scoreboard,
        experiments: FollowedExperiments,
        topics: Topics,
        problems: Problems,
        metrics: ScoreboardMetrics,
    ) -> None:
        self._scores, self._experiments, self._topics = scores, experiments, topics
        self._problems, self._metrics = problems, metrics

    def look(self) -> None:
        """At what is read and kept."""
        scores, models = self._scores, self._topics.models
        for topic, left in list(scores.behind.items()):
            self._metrics.behind.labels(topic).set(left)
        self._tell("schema_registry", reading_waits(), REMEDY)
        self._tell("not_read", scores.trouble, "it is tried again; see to the brokers", unready=True)
        self._tell("not_saved", scores.unsaved and f"the state can't be written: {scores.unsaved}", "make room")
        missing = f"there is no topic {models}: no experiment is known, and none can be stopped"
        remedy = f"make it by `nextclick topics create --bootstrap-servers HOST{self._topics.as_options()}`"
        self._tell("no_announcements", missing if self._experiments.missing else "", remedy)
        counts, lost = scores.join.counts, scores.lanes.dropped.lost
        crowded = f"{counts.crowded:,} sessions were ended early, as too many were open at a time"
        remedy = "give the scoreboard more --max-sessions, or fewer --idle-minutes"
        self._tell("crowded", crowded if counts.crowded else "", remedy)
        removed = f"{lost:,} messages were removed by retention before they were counted"
        self._tell(
            "lost", removed if lost else "", "run the scoreboard without such long breaks, or raise retention.ms"
        )
        timed = counts.judged + counts.late
        late = counts.late / timed if timed >= _LATE_OF else 0.0
        what = f"{late:.0%} of the clicks came before the list that they would be judged by"
        remedy = "lists come too slowly, or the clocks of workers and brokers differ: see to p99_ms, and to NTP"
        self._tell("late", what if late > _LATE else "", remedy)

    def look_at_topics(self) -> None:
        """Whether they are there, and the same. TopicError where they are not."""
        try:
            self._scores.look()
        except BrokerUnavailable as error:
            self._tell("no_broker", str(error), "it is tried again; see to the brokers", unready=True)
        else:
            self._tell("no_broker", "", "")

    def look_at_shares(self) -> None:
        """Of the experiments that run; it takes longer."""
        running = [one for one in self._experiments.known.values() if one.state == "running"]
        with self._scores.lock:
            wrong = [one.experiment for one in running if is_sample_ratio_ok(self._scores.board, one) is False]
        what = f"sessions are not in the promised shares: {', '.join(wrong)}; no comparison of them is sound"
        self._tell(
            "sample_ratio", what if wrong else "", "see /health of the workers for variants that they can't serve"
        )

    def _tell(self, key: str, what: str, remedy: str, *, unready: bool = False) -> None:
        if what:
            self._problems.raise_(key, what, remedy, unready=unready)
        else:
            self._problems.clear(key)
