"""What a model's card says, as plain values: `card.json`.

`figures.model` and `groups` are of the weights that were judged; where a refit followed, `limits` says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from export.bundle.bundle import TOWER
from export.bundle.manifest import Manifest
from export.errors import ConfigError
from model.after.record import leading
from model.cards.measure import Measured
from model.data.log import SessionLog
from model.evaluate.lists import bands_by_clicks
from model.evaluate.metrics import MAIN, SECOND
from model.presets import preset as named
from model.reports.beside import verdict
from model.reports.summary import UNTRAINED
from model.settings import changed

__all__ = ["CARD_FORMAT", "curves_of", "described", "model_card"]

CARD_FORMAT = 1
MOST_POINTS = 200  # of a curve
LONGER = 1.3  # times as long: a refit that may well be better than what was judged, newest clicks or not

Values = dict[str, Any]


def described(log: SessionLog) -> Values:
    """Return what a log holds, in numbers; skips and dislikes are left out, and counted."""
    wanted = log.wanted()
    lengths, predicted = wanted.lengths, np.ones(wanted.clicks, np.bool_)
    predicted[wanted.offsets[:-1][lengths > 0]] = False  # the first click of each session
    repeats = int(np.count_nonzero(predicted[1:] & (wanted.items[1:] == wanted.items[:-1])))
    popularity = wanted.popularity()
    clicked = popularity[popularity > 0]
    return {
        "sessions": wanted.sessions,
        "clicks": wanted.clicks,
        "items": len(clicked),
        "first_ts": log.first_ts,
        "last_ts": log.last_ts,
        "clicks_per_session": round(wanted.clicks / max(1, wanted.sessions), 3),
        "longest_session": int(lengths.max(initial=0)),
        "repeats_share": round(repeats / max(1, int(np.count_nonzero(predicted))), 4),
        "clicks_per_item": round(wanted.clicks / max(1, len(clicked)), 3),
        "items_clicked_once": int(np.count_nonzero(clicked == 1)),
        "head_items": int(np.count_nonzero(bands_by_clicks(popularity) == 0)),
        "skips_and_dislikes": log.clicks - wanted.clicks,
    }


def curves_of(entries: Sequence[Mapping[str, Any]]) -> Values:
    """Return the learning curves of lines of a metrics file, or of a training's history, which has validations alone.

    `loss` and `validations` by encoder ("" for an only one, "all" for a committee together).
    """
    loss: dict[str, list[list[float]]] = {}
    validations: list[Values] = []
    for entry in entries:
        if entry.get("stage", "validate") == "validate":
            figures = {name: entry[name] for name in (MAIN, SECOND) if entry.get(name) is not None}
            where = {name: entry[name] for name in ("member", "epoch", "step") if entry.get(name) is not None}
            validations.append({**where, "loss": _number(entry.get("loss")), **figures})
        elif _number(entry.get("loss")) is not None:
            loss.setdefault(entry.get("member", ""), []).append([entry["step"], round(entry["loss"], 5)])
    return {"loss": {member: _thinned(points) for member, points in loss.items()}, "validations": validations}


def model_card(
    manifest: Manifest,
    *,
    learned: Values,
    held_out: Values,
    measured: Measured,
    curves: Values,
    left_out: Mapping[str, str] | None = None,
    unknown_clicks: int | None = None,
    training: Values | None = None,
    min_support: int = 1,
) -> Values:
    """Return the card of a bundle that is about to be published, by its manifest with lineage.

    learned, held_out: `described`, before a refit, if there is one. left_out: baselines that were not asked, and why.
    unknown_clicks: of the held-out sessions, that no figure is of. training: seconds and the like.
    """
    lineage = manifest.lineage
    return {
        "card_format": CARD_FORMAT,
        "model": {
            "preset": manifest.preset,
            "created_ts": manifest.created_ts,
            "code": lineage.code if lineage else "",
            "commit": lineage.commit if lineage else "",
            "items": manifest.items,
            "window": manifest.window,
            "k_max": manifest.k_max,
            "cycle": lineage.cycle if lineage else "",
            "parent": lineage.parent if lineage else "",
        },
        "data": {
            "learned": learned,
            "held_out": held_out,
            "held_out_share": round(held_out["sessions"] / max(1, learned["sessions"] + held_out["sessions"]), 4),
            "clicks_left_out": unknown_clicks,
        },
        "settings": {"preset": manifest.preset, "changed": _changed(manifest), "config": manifest.config},
        "training": training or {},
        "afterwards": manifest.afterwards,
        "figures": {
            "model": measured.figures,
            "intervals": {name: list(bounds) for name, bounds in measured.intervals.items()},
            "sessions": measured.sessions,
            "baselines": manifest.baselines,
            "baselines_left_out": dict(left_out or {}),
            "verdict": verdict(measured.figures, manifest.baselines, left_out),
        },
        "groups": measured.groups,
        "curves": curves,
        "limits": [*_untrained(training), *_limits(manifest, measured, unknown_clicks, min_support)],
        "libraries": manifest.libraries,
    }


def _untrained(training: Values | None) -> list[str]:
    if training is None or training.get("epochs") != 0.0:
        return []
    return [f"{UNTRAINED[0].upper()}{UNTRAINED[1:]}."]


def _limits(manifest: Manifest, measured: Measured, unknown_clicks: int | None, min_support: int) -> list[str]:
    refit = manifest.lineage.refit if manifest.lineage else None
    found = [
        f"Figures are of {measured.figures['predictions']:,.0f} predictions in {measured.sessions:,} held-out "
        "sessions: the next click at every position after the first, the whole catalogue ranked, nothing excluded.",
        "They are offline: the clicks were made on what the shop showed then, and do not tell what shoppers would have "
        "done with these lists. An experiment does (`nextclick experiment`).",
    ]
    if MAIN in measured.intervals:
        low, high = measured.intervals[MAIN]
        found.append(f"Of other sessions like these Recall@20 would lie between {low:.4f} and {high:.4f} (95 %).")
    if manifest.lineage is not None and manifest.lineage.cycle:
        found.append(
            "The figures are the gate's: a click on an item that was not learned counts as not found. Groups are of "
            "clicks on known items, in some of the sessions."
        )
    if unknown_clicks is not None:
        found.append(
            f"{unknown_clicks:,} held-out clicks are in no figure: on items that were not learned, or in sessions of "
            "fewer than two known ones."
        )
    if min_support > 1:
        found.append(f"Items with fewer than {min_support} clicks are not in the catalogue.")
    found.append(
        f"The catalogue is closed at {manifest.items:,} items: one that is new is in no list until the next version"
        + (", or its attributes are known (`worker --max-embedded`)." if TOWER in manifest.files else ".")
    )
    if told := leading(manifest.afterwards):
        found.append(f"{told[0].upper()}{told[1:]}.")
    if refit is None:
        found.append("The held-out sessions, the newest, were not learned: the published weights are those judged.")
    elif refit.refitted:
        found.append(
            f"The published weights learned the held-out sessions too ({refit.how}); the figures, groups and curves "
            "are of the weights before that, as nothing is left to judge the published ones by"
            + (f". Their lists have {refit.overlap:.0%} of the items in common." if refit.overlap is not None else ".")
            + (f" They learned {refit.longer:.1f} times as long as those." if (refit.longer or 0) >= LONGER else "")
        )
    else:
        found.append(f"A refit was tried and not published: {refit.why}. The figures are of the published weights.")
    return found


def _changed(manifest: Manifest) -> Values:
    """What differs from the named preset; nothing is said of a preset that has no name here."""
    try:
        own, before = (msgspec.to_builtins(one) for one in (manifest.config, named(manifest.preset).to_dict()))
    except ConfigError:
        return {}
    found = changed(own, before)
    return {name: value for name, value in found.items() if name not in ("train.threads", "train.device")}


def _thinned(points: list[list[float]]) -> list[list[float]]:
    return points[:: -(-len(points) // MOST_POINTS)] if points else []


def _number(value: Any) -> float | None:
    return round(float(value), 5) if isinstance(value, int | float) and math.isfinite(value) else None
