"""What a manifest records of a layer, and how people are told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from export.afterwards import BARRED, config_of
from model.after.fit import Fit

__all__ = ["described", "leading", "recorded"]

_LEADS = 2.0  # from such a bias on, what a session holds stands before most of the rest


def recorded(found: Fit) -> dict[str, Any]:
    """Return a fit as plain values."""
    measured = {name: value for name, value in asdict(found).items() if name != "config"}
    return {**asdict(found.config), **measured}


def described(record: Mapping[str, Any]) -> str:
    """Return a record in words."""
    if "left_out" in record:
        return f"the network alone: {record['left_out']}"
    config, parts = config_of(record), []
    if config.biased:
        gain = f" ({record['bias_gain']:+.4f})" if record["bias_gain"] else ""
        told = [f"last item {_bias(config.last)}, the session's others {_bias(config.seen)}"]
        if config.again:
            told.append(f"{config.again:+g} times the log of how often it has them")
        if config.fade:
            told.append(f"{config.fade:+g} times that of the clicks since")
        parts.append(f"{', '.join(told)}{gain}")
    if config.counts:
        parts.append(
            f"counts of {config.newest} click{'s' if config.newest > 1 else ''} weigh {config.share:g} "
            f"({record['counts_gain']:+.4f})"
        )
    of = f"Recall@20 + MRR@20 of {record['before']:.4f} on {record['predictions']:,} held-out predictions"
    return f"{'; '.join(parts) or 'the network alone: nothing gains enough'}; {of}"


def leading(record: Mapping[str, Any]) -> str:
    """Return what to do where lists begin with what their sessions hold; empty where they do not."""
    config = config_of(record)
    if "left_out" in record or max(config.last, config.seen, config.again, config.fade) < _LEADS:
        return ""
    return (
        "lists begin with what their sessions hold, as those of this log come back to it; where a shop wants other "
        "items, leave it out (`worker --exclude seen`, or a policy), or train with --set most_bias=0"
    )


def _bias(value: float) -> str:
    return "barred" if value == BARRED else f"{value:+g}"
