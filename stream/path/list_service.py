"""All that makes lists in a worker: the items as the topic has them, the policy's file, and who makes lists of both.

service.start()      reads the items, in a thread
service.restore()    returns once they are there, or were waited for long enough; before the first click is read
service.on_model     a model is to be served: what takes long is done before it is
"""

from export.bundle.vocabulary import Vocabulary
from export.policy.catalogue import Embedded
from export.policy.config import ListsConfig
from export.ranking.popularity import PopularityRanker
from export.ranking.ranker import Ranker
from stream.config import StreamConfig
from stream.items.follower import ItemsFollower
from stream.ops.metrics import Metrics
from stream.ops.problems import Problems
from stream.path.lists import ShopLists
from stream.path.lists_file import ListsFile
from stream.path.upkeep import Upkeep

__all__ = ["ListService"]

_NAMED = 3  # placements with lists that are too short, which a problem names


class ListService:
    """`lists` is the inference thread's; the rest is for the worker's loop."""

    def __init__(self, config: StreamConfig, metrics: Metrics, problems: Problems) -> None:
        """ConfigError where the policy cannot be used."""
        self._metrics, self._problems, self._wait_s = metrics, problems, config.items_wait_s
        self._max_embedded = config.max_embedded
        policy = config.policy.read(config.k)
        self.items = ItemsFollower.of(config, problems, metrics)
        self.lists = ShopLists(
            policy,
            self.items.table,
            on_counts=metrics.count_lists,
            on_embedded=self._say_embedded,
            await_current=self.items.await_current,
            max_embedded=config.max_embedded,
        )
        file = ListsFile(config.policy.file, config.k, policy, self.lists.use, problems)
        self._known: tuple[Vocabulary, str] | None = None  # the items of the newest model, and its version
        self._counted: tuple[ListsConfig, Vocabulary] | None = None
        steps = [file.look, self.lists.grow, self._look_at_attributes, self._look_at_ids, self._look_at_lengths]
        self._upkeep = Upkeep(steps, problems)

    def placements(self) -> list[str]:
        """The names of those that lists are made for now."""
        return [one.name for one in self.lists.config.placements]

    def _look_at_attributes(self) -> None:
        if what := self.lists.say_attributes():
            remedy = "spell them as the items do (nextclick items show ID), or say them of the items"
            self._problems.raise_("policy_attributes", what, remedy)
        else:
            self._problems.clear("policy_attributes")

    def _say_embedded(self, found: Embedded) -> None:
        self._metrics.count_embedded(found)
        if not found.left_out and not found.kept:
            self._problems.clear("items_left_out")
            return
        self._problems.raise_(
            "items_left_out",
            f"{found.left_out:,} items newer than the model are in no list, and {found.kept:,} that changed since are "
            f"ranked by what they were: more than {self._max_embedded:,} are new or changed (--max-embedded)",
            "train a new model, with the items as the topic has them; or raise --max-embedded, which slows rankings",
        )

    def _look_at_lengths(self) -> None:
        short = self.lists.shortages()
        if not short:
            self._problems.clear("lists_short")
            return
        more = f"; and {len(short) - _NAMED} more" if len(short) > _NAMED else ""
        self._problems.raise_("lists_short", "; ".join(map(str, short[:_NAMED])) + more, short[0].remedy)

    def _look_at_ids(self) -> None:
        """Say, once for each model and each policy, which of the items that are named nobody knows."""
        if self._known is None:
            return
        vocabulary, version = self._known
        if self._counted is None or self._counted[0] is not self.lists.config or self._counted[1] is not vocabulary:
            self._counted = self.lists.config, vocabulary
            self._metrics.blocked_unknown.set(self.lists.count_unknown(vocabulary, version))

    def start(self) -> None:
        """Follow the items and the policy's file."""
        self.items.start()
        self._upkeep.start()

    def look(self) -> None:
        """Do once what is done twice a second."""
        self._upkeep.look()

    def restore(self) -> None:
        """Wait for the items, and take them up: a million of them take a second. Blocks."""
        self.items.wait(self._wait_s)
        self.lists.warm()

    def stop(self, timeout_s: float) -> None:
        """End the threads. Blocks, for `timeout_s` at most."""
        self._upkeep.stop()
        self.items.stop(timeout_s)

    def on_model(self, ranker: Ranker | PopularityRanker) -> None:
        """In the follower's thread: be ready for a model before it is in service."""
        self.lists.prepare(ranker)
        self._known = ranker.bundle.vocabulary, ranker.version
        self._look_at_ids()
