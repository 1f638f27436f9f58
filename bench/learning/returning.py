"""Shoppers who come back: sessions keyed by user with a time-out of days, against visits cut at 30 minutes.

    python -m bench.learning.returning [--data-dir DIR] [--seeds 0 1] [--epochs N] [--states] [--json]

Kuairand's likes by user over two weeks. The same model learns from whole users, or from their visits, and both are
asked for the same likes of the same held-out users: all but the first of each visit. `of all likes` has those that
begin a visit too, where visits know nothing. State: what a worker keeps (stream/partition/session.py), 50 events at
most, in bytes of its MessagePack; open at once: the most states that a worker would hold, and their mean over time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.learning.feedback import FILES, USUAL_DATA, ranks_of
from export.events import CLICK
from model.data.log import SessionLog
from model.data.readers import RawLog, build_log, read_log
from model.data.readers.gaps import cut_at_gaps
from model.data.split import hold_out
from model.learn.train import train
from model.machine.openmp import spin_briefly
from model.presets import preset
from stream.messages.contract import Click
from stream.partition.session import SessionConfig, SessionState, encode_state, fold_click

GAP_MS = 1_800_000
DAYS_MS = 14 * 86_400_000

Row = dict[str, Any]


def main() -> None:
    spin_briefly()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=USUAL_DATA)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--states", action="store_true", help="what a worker keeps, and no training")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    raw = read_log(args.data_dir / FILES["kuairand"])
    if args.states:
        print(json.dumps({name: states(raw, timeout) for name, timeout in (("user", DAYS_MS), ("visit", GAP_MS))}))
        return
    rows = [row for seed in args.seeds for row in measure(raw, seed, args)]
    for row, timeout in zip(rows, (DAYS_MS, GAP_MS), strict=False):
        row |= states(raw, timeout)
    if args.json:
        print(json.dumps({"rows": rows}))
    else:
        Console(width=140).print(table(rows))


def measure(raw: RawLog, seed: int, args: argparse.Namespace) -> list[Row]:
    """Return the quality by user and by visit."""
    rest, test = hold_out(raw)
    older, newer = hold_out(rest)
    by_user = build_log(older)
    held = build_log(test, by_user.vocabulary)
    visits = build_log(cut_at_gaps(test, GAP_MS), by_user.vocabulary, min_length=1)
    sizes = {"hidden": args.hidden, "feed_forward": args.hidden, "epochs": args.epochs, "threads": args.threads}
    drawn = {"uniform": 2_048, "batch": 32, "lr": 1e-3, "dropout": 0.2, "seed": seed}
    chosen = preset("tron").override(**sizes, **drawn)
    rows = []
    for name, gap in (("user, 14 days", 0), ("visit, 30 minutes", GAP_MS)):
        parts = [cut_at_gaps(part, gap) if gap else part for part in (older, newer)]
        log, valid = (build_log(part, by_user.vocabulary) for part in parts)
        trained = train(log, valid, chosen)
        encoder = trained.encoders[0]
        inside = within_visits(held)
        found = ranks_of(encoder, typed(held if not gap else visits))[0] <= 20
        every = len(held.predicted)
        hits = found[inside] if not gap else found
        row = {
            "sessions": name,
            "seed": seed,
            "trained_on": log.sessions,
            "recall": round(float(hits.mean()), 4),
            "predictions": len(hits),
            "recall_all": round(float(found.sum() / every), 4),
            "of": every,
        }
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    return rows


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
    found = Table("session", "seeds", "sessions learned", "Recall@20 inside visits", "of all likes")
    for name in ("state bytes", "p95", "open at once, most", "mean"):
        found.add_column(name)
    for name in dict.fromkeys(row["sessions"] for row in rows):
        group = [row for row in rows if row["sessions"] == name]
        one = group[0]
        recall, every = (statistics.mean(row[what] for row in group) for what in ("recall", "recall_all"))
        cells = [name, str(len(group)), f"{one['trained_on']:,}", f"{recall:.4f} of {one['predictions']:,}"]
        cells += [f"{every:.4f} of {one['of']:,}", str(one["bytes"]), str(one["bytes_p95"])]
        found.add_row(*cells, str(one["open_most"]), str(one["open_mean"]))
    return found


if __name__ == "__main__":
    main()
