"""Shoppers who come back: sessions keyed by user with a time-out of days, against visits cut at 30 minutes.

    python -m bench.learning.returning [--data-dir DIR] [--seeds 0 1] [--epochs N | --steps N] [--out FILE] [--json]
    python -m bench.learning.returning --states

Kuairand's likes by user over two weeks. The same model learns from whole users, or from their visits, and both are
asked for the same likes of the same held-out users: all but the first of each visit. `of all likes` has those that
begin a visit too, where visits know nothing. There are more visits than users, so equal epochs are not equal steps:
`--steps` gives both as many. State: what a worker keeps (stream/partition/session.py), 50 events at most, in bytes of
its MessagePack; open at once: the most states that a worker would hold, and their mean over time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from bench.learning.prefixes import ranks_of, share
from bench.learning.small import Row, ended, file_of, kept, options, rounded, sized
from export.errors import NextclickError
from export.events import CLICK
from model.data.log import SessionLog
from model.data.readers import RawLog, build_log, read_log
from model.data.readers.gaps import cut_at_gaps
from model.data.split import hold_out
from model.learn.train import train
from stream.messages.contract import Click
from stream.partition.session import SessionConfig, SessionState, encode_state, fold_click

DATASET = "kuairand"
GAP_MS = 1_800_000
DAYS_MS = 14 * 86_400_000
BY_USER, BY_VISIT = "user, 14 days", "visit, 30 minutes"
TIMEOUTS = {BY_USER: DAYS_MS, BY_VISIT: GAP_MS}


def main() -> None:
    parser = options(__doc__, 40)
    parser.add_argument("--steps", type=int, help="of each training, instead of --epochs")
    parser.add_argument("--states", action="store_true", help="what a worker keeps, and no training")
    args = parser.parse_args()
    if args.states:
        try:
            raw = read_log(file_of(args.data_dir, DATASET))
        except NextclickError as error:
            sys.exit(f"error: {error}")
        print(json.dumps({name: states(raw, timeout) for name, timeout in TIMEOUTS.items()}))
        return
    ended(args, partial(measure, args), table)


def measure(args: argparse.Namespace) -> list[Row]:
    """Return the quality by user and by visit, and what a worker keeps of either."""
    raw = read_log(file_of(args.data_dir, DATASET))
    rows = []
    for seed in args.seeds:
        for name in TIMEOUTS:
            job = {"sessions": name, "seed": seed, "hidden": args.hidden}
            job |= {"asked": args.steps} if args.steps else {"epochs": args.epochs}
            rows.append(kept(args.out, job, partial(trained, raw, name, seed, args)))
    return [{**row, **states(raw, TIMEOUTS[row["sessions"]])} for row in rows]


def trained(raw: RawLog, name: str, seed: int, args: argparse.Namespace) -> Row:
    """Return the figures of one training."""
    rest, test = hold_out(raw)
    older, newer = hold_out(rest)
    users = build_log(older)
    held = build_log(test, users.vocabulary)
    visits = build_log(cut_at_gaps(test, GAP_MS), users.vocabulary, min_length=1)
    by_visit = name == BY_VISIT
    parts = [cut_at_gaps(part, GAP_MS) if by_visit else part for part in (older, newer)]
    log, valid = (build_log(part, users.vocabulary) for part in parts)
    chosen = sized("tron", DATASET, args, uniform=2_048, epochs=args.epochs, seed=seed)
    if args.steps:
        chosen = chosen.override(epochs=args.steps / chosen.train.steps(log.sessions)[0])
    done = train(log, valid, chosen)
    found = ranks_of(done.encoders[0], typed(visits if by_visit else held))[0]
    inside = found if by_visit else found[within_visits(held)]
    row = {
        "trained_on": log.sessions,
        "steps": chosen.train.steps(log.sessions)[1],
        "seconds": round(done.seconds, 1),
        "recall": share(inside),
        "predictions": len(inside),
        "recall_all": share(found) * len(found) / len(held.predicted),
        "of": len(held.predicted),
    }
    return rounded(row)


def typed(log: SessionLog) -> SessionLog:
    """Return the log, saying that all events are clicks."""
    return SessionLog(log.items, log.offsets, log.ts, log.vocabulary, np.full(log.clicks, CLICK, np.int8))


def within_visits(log: SessionLog) -> NDArray[np.bool_]:
    """Return which predictions (P,) of a log by user stand inside a visit, not at its beginning."""
    rows = log.predicted
    inside: NDArray[np.bool_] = log.ts[rows] - log.ts[rows - 1] <= GAP_MS
    return inside


def states(raw: RawLog, timeout_ms: int) -> Row:
    """Return what a worker keeps of these shoppers."""
    config = SessionConfig(timeout_ms=timeout_ms, grace_ms=600_000)
    order = np.argsort(raw.ts, kind="stable")
    names, users = raw.item_names(), raw.session_ids.cast("string").to_pylist()
    kept: dict[str, SessionState] = {}
    for offset, row in enumerate(order.tolist()):
        user = users[int(raw.sessions[row])]
        click = Click(user, names[int(raw.items[row])], int(raw.ts[row]))
        kept[user] = fold_click(kept.get(user), click, offset, config)
    sizes = [len(encode_state(state)) for state in kept.values()]
    starts, ends = spans(raw, timeout_ms + config.grace_ms)
    moments = np.sort(starts)
    open_now = np.searchsorted(np.sort(starts), moments, side="right") - np.searchsorted(np.sort(ends), moments)
    whole = max(1, int(raw.ts.max() - raw.ts.min()))
    lasting = np.minimum(ends, raw.ts.max()) - starts
    return {
        "bytes": round(statistics.mean(sizes)),
        "bytes_p95": int(np.percentile(sizes, 95)),
        "open_most": int(open_now.max()),
        "open_mean": round(float(lasting.sum()) / whole, 1),
    }


def spans(raw: RawLog, timeout_ms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each session begins, and when it is forgotten, ms since the epoch."""
    cut = cut_at_gaps(raw, timeout_ms)
    first = np.full(len(cut.session_ids), np.iinfo(np.int64).max)
    last = np.zeros(len(cut.session_ids), np.int64)
    np.minimum.at(first, cut.sessions, cut.ts)
    np.maximum.at(last, cut.sessions, cut.ts)
    return first, last + timeout_ms


def table(rows: list[Row]) -> Table:
    """Return means over seeds."""
    found = Table("session", "seeds", "learned", "steps", "train s", "Recall@20 inside visits", "of all likes")
    for name in ("state bytes", "p95", "open at once, most", "mean"):
        found.add_column(name)
    for name in dict.fromkeys(row["sessions"] for row in rows):
        group = [row for row in rows if row["sessions"] == name]
        one = group[0]
        seconds = statistics.mean(row["seconds"] for row in group)
        cells = [name, str(len(group)), f"{one['trained_on']:,}", f"{one['steps']:,}", f"{seconds:.0f}"]
        for what, of in (("recall", "predictions"), ("recall_all", "of")):
            values = [row[what] for row in group]
            spread = f" ±{statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread} of {one[of]:,}")
        found.add_row(*cells, *(str(one[what]) for what in ("bytes", "bytes_p95", "open_most", "open_mean")))
    return found


if __name__ == "__main__":
    main()
