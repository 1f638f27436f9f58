"""When a cycle is due, and of which kind."""

from __future__ import annotations

from model.cycle.config import Mode
from model.trainer.config import TrainerConfig
from model.trainer.kept.journal import State

__all__ = ["due"]

_BACK_MS = (30_000, 3_600_000)  # first and longest pause after a failure


def due(
    config: TrainerConfig,
    state: State,
    *,
    total: int,
    now_ms: int,
    failures: int,
    has_parent: bool,
    stored: bool,
    asked: bool = False,
) -> tuple[Mode, str] | None:
    """The kind of cycle that is due, and why; None where nothing is.

    total: clicks stored so far; failures: cycles that failed in a row, last at state.last_ms; has_parent: the weights
    of the last version are here; stored: there are enough sessions to learn from; asked: somebody wants one now.
    """
    if not stored:
        return None
    new = total - state.last_total
    waited_ms = now_ms - state.last_ms
    if asked:
        fresh = config.fresh_every_s is not None and has_parent and new > 0
        return "fresh" if fresh else "full", "asked for"
    if failures and waited_ms < min(_BACK_MS[0] * 2 ** (failures - 1), _BACK_MS[1]):
        return None
    if not state.number:
        return "full", "there is no version of this trainer yet"
    if new <= 0 and not failures:
        return None
    if config.after_clicks is not None and new >= config.after_clicks:
        return "full", f"{new:,} clicks are new"
    if now_ms - state.last_full_ms >= config.every_s * 1000:
        return "full", f"the last one was {(now_ms - state.last_full_ms) / 60_000:.0f} minutes ago"
    if config.fresh_every_s is not None and has_parent and waited_ms >= config.fresh_every_s * 1000:
        return "fresh", f"{new:,} clicks are new"
    return None
