"""The commit path of one micro-batch, step by step. At least once, in this order:

    1. decode and validate; what is unusable becomes a message for the rejected topic
    2. apply each click to its session's state; an offset applied before changes nothing, but is answered again
    3. one ranking for each distinct session of the batch, by the live model or by its variant's
    4. what the policy excludes is excluded inside the ranking, so that a list still has k items
    5. publish state rows, recommendations and rejected clicks through one producer
    6. wait until the broker has acknowledged all of them
    7. only then confirm the clicks: the committed offset never runs ahead of the output

`prepare` is 1 and 2, `rank` is 3 and 4 (in the inference thread, several batches in one run), `messages` says what 5
publishes; 6 and 7 are `pipeline.py`'s. A crash anywhere replays from the last commit: a replayed click changes no
state, but its row and its list are published again, as the crash may have come before they were. Exactly once, 5 is
one transaction with the offset that is read next, and 6 its commit: nothing that was answered is replayed.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stream.config import StreamConfig
from stream.errors import BadClick
from stream.guarantee.publisher import Outgoing
from stream.messages.contract import (
    RANKING_FAILED,
    Recommendation,
    Source,
    decode_click,
    encode,
    recommended,
    rejection_headers,
)
from stream.messages.record_time import sane_record_time_ms
from stream.partition.expiry import Expired, Expiry, tombstone_headers
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record
from stream.partition.session import SessionState, decode_state, encode_state, fold_click
from stream.partition.split import SplitSessions
from stream.path.answers import Answer, ItemRanker, Listed
from stream.path.batcher import Batch
from stream.path.lists import ShopLists

__all__ = ["CommitPath", "Experimenting", "Prepared", "RankStates", "WithPosition", "Work"]

log = logging.getLogger(__name__)


class WithPosition(Protocol):
    """What a guarantee adds to the rows of a batch, of how far its partition is answered."""

    def with_position(
        self, partition: OwnedPartition, rows: Sequence[tuple[bytes, bytes]], next_offset: int
    ) -> list[tuple[bytes, bytes | None]]: ...


@dataclass(slots=True)
class Work:
    """One session of a batch: its state after the batch, and the clicks it has to answer."""

    state: SessionState
    records: list[Record]


# The answers to sessions by one ranker, in order; who can't be ranked gets an error, and nothing is raised
RankStates = Callable[[Sequence[SessionState], ItemRanker | None], list[Answer]]


class Experimenting(Protocol):
    """What runs in experiments; `stream.experiments.plan.Plan` is one."""

    def answers(
        self, sessions: Sequence[tuple[str, SessionState]], live: ItemRanker | None, rank: RankStates
    ) -> list[Answer]: ...


@dataclass(slots=True)
class Prepared:
    """A batch after step 2. `sessions` is in the order of each session's first click."""

    batch: Batch
    sessions: dict[str, Work] = field(default_factory=dict)
    rows: list[tuple[bytes, bytes]] = field(default_factory=list)
    before: list[tuple[bytes, bytes | None]] = field(default_factory=list)  # the rows it replaced; None: there was none
    rejected: list[tuple[Record, BadClick]] = field(default_factory=list)
    repeats: int = 0  # clicks whose offsets had been applied before
    split: int = 0  # sessions new in this partition that another one has, too
    expired: list[Expired] = field(default_factory=list)  # idle sessions, forgotten with this batch


class CommitPath:
    """Steps 1 to 5 as functions of a batch; all state is its partition's."""

    def __init__(
        self,
        config: StreamConfig,
        guarantee: WithPosition,
        lists: ShopLists,
        expiry: Expiry | None = None,
        split: SplitSessions | None = None,
    ) -> None:
        self._config = config
        self._guarantee = guarantee
        self._lists = lists
        self._expiry, self._split = expiry, split

    def prepare(self, batch: Batch) -> Prepared:
        """Steps 1 and 2. Raises BadState where a stored session cannot be read; a bad click never raises."""
        prepared = Prepared(batch)
        stored, session = batch.partition.rows, self._config.session
        for record in batch.records:
            try:
                click = decode_click(record.value, record.key, record.timestamp)  # 1.
            except BadClick as error:
                prepared.rejected.append((record, error))
                continue
            work = prepared.sessions.get(click.session_id)
            if work is None:
                key = click.session_id.encode()
                row = stored.get(key)
                prepared.before.append((key, row))
                before = decode_state(row) if row else None
                state = fold_click(before, click, record.offset, session, record.timestamp)  # 2.
                work = prepared.sessions[click.session_id] = Work(state, [record])
            else:
                before = work.state
                work.state = fold_click(before, click, record.offset, session, record.timestamp)
                work.records.append(record)
            prepared.repeats += before is work.state
        for (key, _), work in zip(prepared.before, prepared.sessions.values(), strict=True):
            row = encode_state(work.state)
            stored[key] = row
            prepared.rows.append((key, row))
        if self._split is not None:
            prepared.split = self._split.look(batch.partition, [key for key, row in prepared.before if row is None])
        if self._expiry is not None:
            newest = max((work.state.last_ts for work in prepared.sessions.values()), default=0)
            keys = [key for key, _ in prepared.rows]
            prepared.expired = self._expiry.turn(
                batch.partition, keys, newest, sane_record_time_ms(batch.records[-1].timestamp)
            )
        return prepared

    def undo(self, prepared: Prepared) -> None:
        """Put the rows back that the batch replaced. Where several batches are undone, the newest comes first."""
        partition = prepared.batch.partition
        for key, row in reversed(prepared.before):
            if row is None:
                partition.rows.discard(key)
            else:
                partition.rows[key] = row
        if self._expiry is not None:
            self._expiry.undo(partition, prepared.expired)

    def rank(
        self, batches: Sequence[Prepared], ranker: ItemRanker | None, plan: Experimenting | None = None
    ) -> list[list[Answer]]:
        """Steps 3 and 4, of several batches in one run: for each of them an answer for each session, in order.

        `ranker` is what is live, `plan` says who is ranked by something else. Never raises: who cannot be ranked gets
        an `error`.
        """
        if plan is None:
            states = [work.state for prepared in batches for work in prepared.sessions.values()]
            answers = iter(self._answers(states, ranker))
        else:
            named = [(name, work.state) for prepared in batches for name, work in prepared.sessions.items()]
            answers = iter(plan.answers(named, ranker, self._answers))
        return [[next(answers) for _ in prepared.sessions] for prepared in batches]

    def messages(self, prepared: Prepared, answers: Sequence[Answer], model: str) -> list[Outgoing]:
        """Step 5: state rows first, then lists, then what is rejected; what the guarantee says of the position is among
        the rows."""
        topics, partition = self._config.topics, prepared.batch.partition
        changelog = self._config.changelog_topic
        next_offset = prepared.batch.records[-1].offset + 1
        rows = self._guarantee.with_position(partition, prepared.rows, next_offset)
        number = partition.number
        out = [Outgoing(changelog, key, row, None, number, True) for key, row in rows]
        out += [Outgoing(changelog, x.key, None, tombstone_headers(x), number, True) for x in prepared.expired]
        failed: list[tuple[Record, BadClick]] = []
        now = int(time.time() * 1000)
        for (session_id, work), (key, _), answer in zip(prepared.sessions.items(), prepared.rows, answers, strict=True):
            if answer.error:
                failed += [(record, BadClick(RANKING_FAILED, answer.error)) for record in work.records]
                continue
            for one in answer.lists:
                list_ = self._recommendation(session_id, work.state, answer, one, model, partition, now)
                out.append(Outgoing(topics.recommendations, key, encode(list_), beside=one.placement))
        for record, error in (*prepared.rejected, *failed):
            headers = [*record.headers, *rejection_headers(error, partition.topic, number, record.offset)]
            out.append(Outgoing(topics.rejected, record.key, record.value, headers, shrinkable=True))
        return out

    def _answers(self, states: Sequence[SessionState], ranker: ItemRanker | None) -> list[Answer]:
        if not states:
            return []
        try:
            return self._lists.answers(states, ranker)
        except Exception:
            log.exception("ranking %d sessions failed; each of them is tried alone", len(states))
            return [self._rank_alone(state, ranker) for state in states]

    def _rank_alone(self, state: SessionState, ranker: ItemRanker | None) -> Answer:
        try:
            return self._lists.answers([state], ranker)[0]
        except Exception as error:
            return Answer((), fallback=False, error=f"{type(error).__name__}: {error}"[:200])

    def _recommendation(
        self,
        session_id: str,
        state: SessionState,
        answer: Answer,
        listed: Listed,
        model: str,
        partition: OwnedPartition,
        now: int,
    ) -> Recommendation:
        by = answer.by
        return Recommendation(
            session_id=session_id,
            items=recommended(listed.items),
            model=model if by is None else by.model,
            variant=self._config.variant if by is None else by.variant,
            fallback=listed.fallback,
            source=Source(partition.topic, partition.number, state.offset),
            event_ts=state.start_ts + state.times[-1],
            published_ts=now,
            experiment="" if by is None else by.experiment,
            teams=list(listed.teams),
            placement=listed.placement,
            interests=list(listed.interests),
        )
