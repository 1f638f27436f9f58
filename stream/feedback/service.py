"""The feedback service: reads clicks and lists, and puts what was passed over on the clicks' topic as skips.

It joins as the scoreboard does, in no group, and its state says how far it is. A state is written once all skips
before it are confirmed: after a kill what was read since is read again, and its skips come again (at least once), with
the same content. A skip more changes little: it names an item that the session was known to have passed over.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from confluent_kafka import KafkaException, Producer
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from stream.erasure.teller import ErasureTeller
from stream.errors import BadState
from stream.feedback.shown import ImpressionReader, ShownLists
from stream.feedback.skips import SkipConfig, Skips
from stream.formats.away import REMEDY, reading_waits
from stream.kafka.clients import build_client, prepare_format, producer_options
from stream.messages.contract import Click, Erase, encode
from stream.ops.problems import Problems
from stream.ops.web import WebServer
from stream.scoreboard.config import ScoreboardConfig
from stream.scoreboard.join import Judged
from stream.scoreboard.reader import Scoreboard
from stream.scoreboard.state import StateFolder
from stream.scoreboard.visit import Visit
from stream.topic_names import Topics

__all__ = ["FeedbackHealth", "FeedbackMetrics", "FeedbackService", "SkipWriter"]

log = logging.getLogger(__name__)

_FLUSH_S = 10.0  # for the broker to confirm what was published
_TICK_S = 0.5
_LOOK_S = 5.0
_SAID_S = 600.0  # how long /health speaks of what happened once
_FILE = "skips.state"


class FeedbackHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /health says: 503 while messages can't be read or skips not be written."""

    ready: bool
    behind: dict[str, int]  # messages that were not joined yet, by topic
    clicks: int  # judged by a list
    skips: int  # told
    left_out: dict[str, int]  # why clicks and items gave no skip -> how many
    impressions: dict[str, int]  # lists that storefronts said they showed, and rejected ones by reason
    unpublished: int  # skips that the broker refused or never confirmed
    reasons: list[str]  # what is wrong, with the remedy


class FeedbackMetrics:
    """Of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "nextclick_feedback_{}".format
        self.behind = Gauge(
            name("behind_messages"), "Messages that were not joined yet.", ["topic"], registry=self.registry
        )
        self.counts = Gauge(
            name("counts"), "Judged clicks, skips, and why others gave none.", ["what"], registry=self.registry
        )
        self.unpublished = Gauge(
            name("unpublished"), "Skips the broker refused or never confirmed.", registry=self.registry
        )
        self.problem = Gauge(
            name("problem"), "1 while something is wrong, by what it is.", ["key"], registry=self.registry
        )

    def render(self) -> bytes:
        """The figures as text."""
        return generate_latest(self.registry)


class SkipWriter:
    """Puts skips on the clicks' topic. `lost` counts those that were not confirmed."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer, self._topic, self.lost = producer, topic, 0

    def publish(self, skips: Sequence[Click]) -> None:
        """Hand them over; waits where the client's queue is full."""
        for skip in skips:
            while True:
                try:
                    self._producer.produce(
                        self._topic, encode(skip), skip.session_id.encode(), on_delivery=self._delivered
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
                except KafkaException:
                    self.lost += 1
                    break
        self._producer.poll(0)

    def confirm(self, timeout_s: float = _FLUSH_S) -> None:
        """Return once all are confirmed or lost; OSError where the broker does not say."""
        if left := self._producer.flush(timeout_s):
            raise OSError(f"{left:,} skips were not confirmed within {timeout_s:g} s")

    def _delivered(self, error: object, _message: object) -> None:
        self.lost += error is not None


class _Folder(StateFolder):
    """The state of the join, and of what sessions skipped; written once all skips before it are confirmed."""

    def __init__(self, folder: Path, skips: Skips, writer: SkipWriter) -> None:
        super().__init__(folder)
        self._path, self._skips, self._writer = folder / _FILE, skips, writer

    def write(self, content: bytes) -> None:
        self._writer.confirm()
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(self._skips.stored())
        partial.replace(self._path)
        super().write(content)

    def restore(self) -> None:
        """Give the skips what the file remembers, if there is one."""
        if not self._path.exists():
            return
        try:
            self._skips.restore(self._path.read_bytes())
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadState(f"{self._path} can't be read ({error}): remove it, what it holds is a help only") from error


class FeedbackService:
    """One service. `run` belongs to one thread; `health` to any."""

    def __init__(
        self,
        bootstrap_servers: str,
        state: Path,
        topics: Topics = Topics(),
        extra: Mapping[str, str] | None = None,
        *,
        joining: ScoreboardConfig | None = None,
        config: SkipConfig | None = None,
        impressions: bool = False,
    ) -> None:
        """state: folder of what was read and skipped. ConfigError where another one has it, or skips have no format.

        impressions: clicks are judged by the topic of lists that storefronts showed, and not by ours.
        """
        config = config or SkipConfig()
        self.skips, self.metrics, self._max_age_s = Skips(config), FeedbackMetrics(), config.max_age_s
        self._shown = ShownLists(config.max_sessions)
        self._impressions: ImpressionReader | None = None
        if impressions:
            self._impressions = ImpressionReader(bootstrap_servers, topics, self._shown, extra)
        prepare_format(extra, topics.clicks)
        producer: Producer = build_client(Producer, producer_options(bootstrap_servers, extra))
        self._writer = SkipWriter(producer, topics.clicks)
        self._folder = _Folder(state, self.skips, self._writer)
        self._join = Scoreboard(
            bootstrap_servers,
            topics,
            extra,
            config=joining,
            state=self._folder,
            on_judged=self._judged,
            on_click=self._heard,
            on_erase=self._erase,
            teller=ErasureTeller("feedback", bootstrap_servers, topics.erasures, extra),
        )
        self._problems = Problems(self.metrics.problem)
        self._looked_at = 0.0
        self._told: dict[str, int] = {}  # counts that were said

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. TopicError, BadState; BrokerUnavailable where no broker answers at the start."""
        try:
            self._folder.restore()
            if self._impressions is not None:
                self._impressions.start(int((time.time() - self._max_age_s) * 1000))
            self._join.start()
            while not stop.wait(_TICK_S):
                self._join.check()
                self._look()
        finally:
            self._join.close()
            if self._impressions is not None:
                self._impressions.close()

    def web(self, host: str, port: int) -> WebServer:
        """A server of /health and /metrics; it does not listen yet."""
        return WebServer(host, port, self.health, self.metrics)

    def health(self) -> FeedbackHealth:
        """What /health says."""
        counts, lasting = msgspec.structs.asdict(self.skips.counts), self._problems.lasting()
        return FeedbackHealth(
            ready=not any(problem.unready for problem in lasting),
            behind=dict(self._join.behind),
            clicks=counts.pop("clicks"),
            skips=counts.pop("skips"),
            left_out=counts,
            impressions=dict(self._impressions.counts) if self._impressions is not None else {},
            unpublished=self._writer.lost,
            reasons=[str(problem) for problem in lasting],
        )

    def _heard(self, click: Click, visit: Visit) -> None:
        self.skips.heard(click, visit)
        if self._impressions is not None:
            seen = self._shown.before(click.session_id, click.ts)
            now_ms = time.time_ns() // 1_000_000
            self._writer.publish(self.skips.shown(click, visit, None if seen is None else seen.items, now_ms))

    def _erase(self, erase: Erase) -> dict[str, int]:
        return {"items": self.skips.erase(erase.session_id), "shown lists": self._shown.erase(erase.session_id)}

    def _judged(self, found: Sequence[Judged]) -> None:
        if self._impressions is not None:
            return
        names = self._join.join.names()
        now_ms = time.time_ns() // 1_000_000
        self._writer.publish([skip for judged in found for skip in self.skips.of(judged, names, now_ms)])

    def _look(self) -> None:
        metrics, join = self.metrics, self._join
        for topic, left in list(join.behind.items()):
            metrics.behind.labels(topic).set(left)
        for what, number in msgspec.structs.asdict(self.skips.counts).items():
            metrics.counts.labels(what).set(number)
        metrics.unpublished.set(self._writer.lost)
        self._tell("schema_registry", reading_waits(), REMEDY)
        self._tell("not_read", join.trouble, "it is tried again; see to the brokers", unready=True)
        self._tell("not_saved", join.unsaved, "it is tried again; see to the disk, and to the brokers", unready=True)
        if self._impressions is not None:
            trouble, rejected = self._impressions.trouble, self._impressions.counts
            self._tell("no_impressions", trouble, "it is tried again; see to the brokers", unready=True)
            bad = sum(number for what, number in rejected.items() if what != "lists")
            what = f"{bad:,} impressions were rejected"
            self._tell_of("bad_impressions", bad, what, "`impressions` of /health has the reasons (docs/feedback.md)")
            for what, number in rejected.items():
                metrics.counts.labels(f"impressions_{what}").set(number)
        lost = self._writer.lost
        what, remedy = f"{lost:,} skips were not confirmed by the broker", "see to the brokers; these are gone"
        self._tell_of("unpublished", lost, what, remedy)
        if time.monotonic() - self._looked_at > _LOOK_S:
            self._looked_at = time.monotonic()
            join.look()

    def _tell_of(self, key: str, number: int, what: str, remedy: str) -> None:
        """Say what happened once more, for a while: a count never goes back, and what is over is no problem."""
        if number > self._told.get(key, 0):
            self._told[key] = number
            self._problems.raise_(key, what, remedy, for_s=_SAID_S)

    def _tell(self, key: str, what: str, remedy: str, *, unready: bool = False) -> None:
        if what:
            self._problems.raise_(key, what, remedy, unready=unready)
        else:
            self._problems.clear(key)
