"""What a trainer decided and why: a line a cycle for people in the log, and one of JSON for machines."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from model.trainer.child import Ended
from model.trainer.kept.journal import OpenCycle

__all__ = ["Decisions", "outcome_of"]

log = logging.getLogger(__name__)

_FILE = "decisions.jsonl"


class Decisions:
    """`decisions.jsonl` in a local folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE

    def note(self, cycle: OpenCycle, ended: Ended, missing: str = "") -> None:
        """One cycle is over. missing: what is said where there is still no model to be served."""
        outcome = outcome_of(cycle, ended)
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "ts": time.time_ns() // 1_000_000,
            "cycle": cycle.cycle,
            "mode": cycle.mode,
            "why": cycle.why,
            "clicks": cycle.total,
            "outcome": outcome,
            **({"no_model": missing} if missing else {}),
            **{name: value for name, value in msgspec.to_builtins(ended).items() if name not in ("code", "kind")},
        }
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
        reasons = "; ".join(ended.gate.get("reasons", ())) or ended.error
        what = {
            "published": f"version {ended.version}" + (", refitted" if ended.refitted else ""),
            "refused": "nothing is published",
            "skipped": "too little is new, it waits for more",
            "failed": "nothing is published",
        }[outcome]
        level = logging.WARNING if outcome == "failed" else logging.INFO
        log.log(level, "cycle %s (%s, as %s) %s: %s. %s", cycle.cycle, cycle.mode, cycle.why, outcome, what, reasons)
        if missing:
            log.warning("cycle %s: %s", cycle.cycle, missing)
        if ended.why_not_refitted:
            log.warning("cycle %s was not refitted: %s", cycle.cycle, ended.why_not_refitted)


def outcome_of(cycle: OpenCycle, ended: Ended) -> str:
    """published, refused (by the gate), skipped (too little was new for a fresh version: no fault) or failed."""
    if ended.error:
        return "skipped" if cycle.mode == "fresh" and ended.kind == "DataError" else "failed"
    return "published" if ended.version else "refused"
