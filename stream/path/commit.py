"""The commit path of one micro-batch, step by step. At least once, in this order:

    1. decode and validate; what is unusable becomes a message for the rejected topic
    2. apply each click to its session's state; an offset applied before changes nothing, but is answered again. Where
       a session is to be erased, its state goes, and its clicks before that are answered no more
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
from typing import NamedTuple, Protocol

from stream.config import StreamConfig
from stream.errors import BadClick, BadState
from stream.guarantee.publisher import Outgoing
from stream.messages.contract import (
    RANKING_FAILED,
    Click,
    Erase,
    Recommendation,
    Source,
    decode_event,
    encode,
    recommended,
    rejection_headers,
)
from stream.messages.erasures import ErasedLists, erased_headers
from stream.messages.record_time import sane_record_time_ms
from stream.partition.erased import Mark, mark_headers
from stream.partition.expiry import Expired, Expiry, tombstone_headers
from stream.partition.owned import OwnedPartition
from stream.partition.reading import Record
from stream.partition.session import SessionState, decode_state, encode_state, fold_click
from stream.partition.split import SplitSessions
from stream.path.answers import Answer, ItemRanker, Listed
from stream.path.batcher import Batch
from stream.path.lists import ShopLists

__all__ = ["CommitPath", "DecodeEvent", "Erased", "Experimenting", "Prepared", "RankStates", "WithPosition", "Work"]

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
    key: bytes = b""


class Erased(NamedTuple):
    """A session that was erased in a batch."""

    key: bytes
    mark: Mark
    clicks: int  # that its state had
    is_repeat: bool  # its state is of later clicks: it was erased before


# As `contract.decode_event`: value, key and the record's timestamp -> what the message is, or BadClick
DecodeEvent = Callable[[bytes | None, bytes | None, int], Click | Erase]

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
    erased: dict[str, Erased] = field(default_factory=dict)
    erasures: int = 0  # messages that asked for it
    left_out: int = 0  # clicks before them, which are answered no more


class CommitPath:
    """Steps 1 to 5 as functions of a batch; all state is its partition's."""

    def __init__(
        self,
        config: StreamConfig,
        guarantee: WithPosition,
        lists: ShopLists,
        expiry: Expiry | None = None,
        split: SplitSessions | None = None,
        decode: DecodeEvent = decode_event,
    ) -> None:
        """decode: of the clicks; their topic may have another format than JSON."""
        self._config = config
        self._guarantee = guarantee
        self._lists = lists
        self._expiry, self._split, self._decode = expiry, split, decode

    def prepare(self, batch: Batch) -> Prepared:
        """Steps 1 and 2. Raises BadState where a stored session cannot be read; a bad click never raises."""
        prepared = Prepared(batch)
        stored, marks, session = batch.partition.rows, batch.partition.erased, self._config.session
        for record in batch.records:
            try:
                click = self._decode(record.value, record.key, record.timestamp)  # 1.
            except BadClick as error:
                prepared.rejected.append((record, error))
                continue
            if isinstance(click, Erase):
                _erase(prepared, click, record.offset)
                continue
            if marks and (mark := marks.get(click.session_id.encode())) and mark.covers(click, record.offset):
                prepared.left_out += 1
                continue
            work = prepared.sessions.get(click.session_id)
            if work is None:
                key = click.session_id.encode()
                row = None if _is_gone(prepared, click.session_id) else stored.get(key)
                prepared.before.append((key, row))
                before = decode_state(row) if row else None
                state = fold_click(before, click, record.offset, session, record.timestamp)  # 2.
                work = prepared.sessions[click.session_id] = Work(state, [record], key)
            else:
                before = work.state
                work.state = fold_click(before, click, record.offset, session, record.timestamp)
                work.records.append(record)
            prepared.repeats += before is work.state
        for gone in prepared.erased.values():
            if not gone.is_repeat:
                stored.discard(gone.key)
        for work in prepared.sessions.values():
            row = encode_state(work.state)
            stored[work.key] = row
            prepared.rows.append((work.key, row))
        if prepared.erased:
            marks.sweep(batch.partition.committed_offset)
        if self._split is not None:
            new = [key for key, row in prepared.before if row is None and key in stored]
            prepared.split = self._split.look(batch.partition, new)
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
        gone = prepared.erased.values()
        out = [
            Outgoing(changelog, one.key, None, mark_headers(one.mark), number, True)
            for one in gone
            if not one.is_repeat
        ]
        out += [Outgoing(changelog, key, row, None, number, True) for key, row in rows]
        out += [Outgoing(changelog, x.key, None, tombstone_headers(x), number, True) for x in prepared.expired]
        failed: list[tuple[Record, BadClick]] = []
        for one in gone:
            source = Source(partition.topic, number, one.mark.offset)
            out.append(Outgoing(topics.recommendations, one.key, None, erased_headers(ErasedLists(source, one.clicks))))
        now = int(time.time() * 1000)
        for (session_id, work), (key, _), answer in zip(prepared.sessions.items(), prepared.rows, answers, strict=True):
            if answer.error:
                failed += [(record, BadClick(RANKING_FAILED, answer.error)) for record in work.records]
                continue
            for listed in answer.lists:
                list_ = self._recommendation(session_id, work.state, answer, listed, model, partition, now)
                out.append(Outgoing(topics.recommendations, key, encode(list_), beside=listed.placement))
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


def _erase(prepared: Prepared, erase: Erase, offset: int) -> None:
    """Forget what a session did up to here. Where its state is of later clicks, the clicks are read again, and this was
    done before; only its lists are taken back again, as the crash may have come before they were."""
    name, partition = erase.session_id, prepared.batch.partition
    key, mark = name.encode(), Mark(offset, erase.ts)
    before, work = prepared.erased.get(name), prepared.sessions.get(name)
    row = None if _is_gone(prepared, name) else partition.rows.get(key)
    newest, clicks = _size(row) if work is None else (work.state.offset, len(work.state.items))
    prepared.erasures += 1
    partition.erased.note(key, mark)
    is_repeat = newest > offset
    if not is_repeat:
        prepared.before.append((key, row))
        if work is not None:
            prepared.left_out += len(prepared.sessions.pop(name).records)
    known = 0 if before is None else before.clicks
    prepared.erased[name] = Erased(key, mark, known if is_repeat else known + clicks, is_repeat)


def _is_gone(prepared: Prepared, name: str) -> bool:
    """Whether the row that is still there was erased in this batch."""
    return name in prepared.erased and not prepared.erased[name].is_repeat


def _size(row: bytes | None) -> tuple[int, int]:
    """The newest click of a row, and how many it has; one that can't be read goes like any other."""
    try:
        state = decode_state(row) if row else None
    except BadState:
        state = None
    return (-1, 0) if state is None else (state.offset, len(state.items))
