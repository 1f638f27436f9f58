"""What is wrong with the read API is told, with a remedy, and taken back."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stream.formats.away import read_on, waits_for_schema
from stream.ops.problems import Problems
from stream.serve.http.keys import ApiKeys
from stream.serve.lookout import Lookout
from stream.topic_names import Topics


class Looked:
    """A lookout over parts whose figures a test sets."""

    def __init__(self, keys: ApiKeys | None = None) -> None:
        self.problems = Problems()
        self.feed = SimpleNamespace(bad=0, lag=0, missing=False, trouble="", caught_up=True, behind_since=None)
        self.clicks, self.store = SimpleNamespace(trouble=""), SimpleNamespace(evicted=0)
        self.similar, self.redis = SimpleNamespace(evicted=0), SimpleNamespace(trouble="", remedy="")
        parts: Any = (self.clicks, self.store, self.similar)
        self._lookout, self._keys = Lookout(self.problems, Topics(), *parts), keys

    def keys(self) -> dict[str, bool]:
        """The problems there are after a look, and whether each makes the server unready."""
        feed: Any = self.feed
        redis: Any = self.redis
        self._lookout.look(feed, None, redis, self._keys)
        return {problem.key: problem.unready for problem in self.problems.lasting()}


def test_topic_gone_makes_it_unready_and_a_broker_away_does_not() -> None:
    looked = Looked()
    assert looked.keys() == {}
    looked.feed.trouble, looked.clicks.trouble, looked.redis.trouble = "no answer", "no answer", "away"
    assert looked.keys() == {"not_read": False, "redis_away": False, "clicks_unconfirmed": False}
    looked.feed.trouble = looked.clicks.trouble = looked.redis.trouble = ""
    looked.feed.missing = True
    assert looked.keys() == {"no_topic": True}


def test_schema_registry_that_is_away_is_told_until_lists_are_read_on() -> None:
    looked = Looked()
    waits_for_schema("lists", "lists are read no further")
    assert looked.keys() == {"schema_registry": False}
    read_on("lists")
    assert looked.keys() == {}


def test_lists_late_are_told_after_a_while_and_not_before_the_first_end() -> None:
    looked = Looked()
    looked.feed.lag, looked.feed.behind_since = 5, time.monotonic() - 5
    assert looked.keys() == {}
    looked.feed.behind_since = time.monotonic() - 60
    looked.feed.caught_up = False
    assert looked.keys() == {}
    looked.feed.caught_up = True
    assert looked.keys() == {"lists_behind": False}


def test_lists_lost_to_memory_and_foreign_messages_are_told() -> None:
    looked = Looked()
    looked.store.evicted, looked.similar.evicted, looked.feed.bad = 3, 4, 5
    assert set(looked.keys()) == {"evicts", "similar_evicts", "bad_messages"}


def test_file_of_keys_that_breaks_is_told_until_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("shop read key-of-who-only-reads\n")
    looked = Looked(ApiKeys(file))
    file.unlink()
    assert looked.keys() == {"keys_file": False}
    file.write_text("shop read another-key-of-a-reader\n")
    assert looked.keys() == {}
