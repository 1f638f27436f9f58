"""A click log cut by time, as a trainer meets it: what a version has learned, what came since, what comes next.

    base [ .75 ]   new [ .10 ]   next [ .15 ]      of the sessions, by their last click

One session in twenty of `base` is learned by nobody: on those it is measured what a model forgets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.readers.build import usable
from model.data.readers.raw import RawLog
from model.errors import DataError

__all__ = ["LEAST", "Slices", "cut", "first_clicked", "thinned"]

BASE, NEW = 0.75, 0.10
OLD_EVERY = 20
LEAST = 400  # sessions; of fewer, slices are too small to say anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The parts, each with whole sessions of two clicks or more."""

    base: RawLog
    new: RawLog
    whole: RawLog  # base and new: what a full training learns then
    next: RawLog
    old: RawLog  # of the time of `base`, learned by nobody
    starts: tuple[int, ...]  # ms since the epoch: the first is where `new` begins, each next one a quarter of it later


def thinned(raw: RawLog, sessions: int) -> RawLog:
    """So many sessions of two clicks or more, evenly over the log's time, or all."""
    long, order, _ = _by_time(raw)
    if len(order) <= sessions:
        return long
    return _sessions(long, order[np.linspace(0, len(order) - 1, sessions).round().astype(np.int64)])


def cut(raw: RawLog) -> Slices:
    """The slices of a log. DataError where it has too few sessions."""
    long, order, last = _by_time(raw)
    if len(order) < LEAST:
        raise DataError(f"{len(order)} sessions have two clicks or more, and {LEAST} are needed to cut them by time")
    begin, end = round(BASE * len(order)), round((BASE + NEW) * len(order))
    is_old = np.arange(begin) % OLD_EVERY == OLD_EVERY // 2
    learned, new = order[:begin][~is_old], order[begin:end]
    quarters = [int(last[new[round(at * len(new) / 4)]]) for at in range(4)]
    return Slices(
        base=_sessions(long, learned),
        new=_sessions(long, new),
        whole=_sessions(long, np.concatenate((learned, new))),
        next=_sessions(long, order[end:]),
        old=_sessions(long, order[:begin][is_old]),
        starts=tuple(quarters),
    )


def first_clicked(later: RawLog, *earlier: RawLog) -> set[str]:
    """The items of one part that occur in none of the others."""
    names = later.item_names()
    before = np.unique(np.concatenate([part.items for part in earlier]))
    return {names[code] for code in np.setdiff1d(later.items, before).tolist()}


def _by_time(raw: RawLog) -> tuple[RawLog, NDArray[np.int64], NDArray[np.int64]]:
    """The usable lines, the codes of their sessions by last click, and the time of that for every code."""
    long = usable(raw)
    last = np.full(len(raw.session_ids), -1, np.int64)  # (S,) ms, -1: no line of that session
    np.maximum.at(last, long.sessions, long.ts)
    there = np.flatnonzero(last >= 0)
    return long, there[np.argsort(last[there], kind="stable")], last


def _sessions(raw: RawLog, codes: NDArray[np.int64]) -> RawLog:
    chosen = np.zeros(len(raw.session_ids), bool)
    chosen[codes] = True
    return raw.select(chosen[raw.sessions])
