"""A card as people read it: `card.md`, made of the values of `card.json` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from model.after.record import described
from model.evaluate.metrics import MAIN, SECOND, label

__all__ = ["markdown", "sparkline"]

MEASURES = (MAIN, SECOND, "ndcg@20", "coverage@20", "novelty@20", "popularity_share@20", "diversity@20")
TITLES = {"popularity_share@20": "Popularity share@20", "novelty@20": "Novelty@20", "diversity@20": "Diversity@20"}
WORDS = {
    "clicks_per_session": "clicks a session",
    "longest_session": "longest session",
    "repeats_share": "consecutive repeats, share of the clicks",
    "clicks_per_item": "clicks an item",
    "items_clicked_once": "items clicked once",
    "head_items": "head items (half of the clicks)",
    "skips_and_dislikes": "skips and dislikes",
}
_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDE = 60  # signs of a sparkline


def markdown(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    parts = [_head(card), _data(card), _figures(card), _groups(card), _curves(card), _settings(card), _limits(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def sparkline(values: Sequence[float]) -> str:
    """Return a curve as one line of text, thinned to 60 signs; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    shown = values[:: -(-len(values) // _WIDE)]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int((value - low) / span * len(_BLOCKS)))] for value in shown)


def _head(card: Mapping[str, Any]) -> str:
    model, figures = card["model"], card["figures"]
    made = f"{_moment(model['created_ts'])} UTC, nextclick {model['code'] or '?'}"
    made += f" ({model['commit'][:12]})" if model["commit"] else ""
    lines = [
        f"# Model card: {model['preset']}",
        "",
        f"Made {made}. Ranks {model['items']:,} items by a session's newest {model['window']} clicks.",
    ]
    if figures["verdict"]:
        lines += ["", f"**{figures['verdict'][0].upper()}{figures['verdict'][1:]}.**"]
    return "\n".join(lines)


def _data(card: Mapping[str, Any]) -> str:
    learned, held_out = card["data"]["learned"], card["data"]["held_out"]
    rows = [["sessions", _count(learned["sessions"]), _count(held_out["sessions"])]]
    rows += [[name, _count(learned[name]), _count(held_out[name])] for name in ("clicks", "items")]
    rows += [[f"{name} click (UTC)", *(_moment(one[f"{name}_ts"]) for one in (learned, held_out))] for name in _ENDS]
    rows += [[words, _count(learned[name]), _count(held_out[name])] for name, words in WORDS.items()]
    table = _table(["", "learned", "held out"], rows)
    return f"## Data\n\n{table}\n\nHeld out: {card['data']['held_out_share']:.1%} of the sessions, the newest."


_ENDS = ("first", "last")


def _figures(card: Mapping[str, Any]) -> str:
    figures = card["figures"]
    systems = {"**this model**": figures["model"], **figures["baselines"]}
    measures = [name for name in MEASURES if any(name in of for of in systems.values())]
    rows = [[name, *(f"{of[one]:.4f}" if one in of else "-" for one in measures)] for name, of in systems.items()]
    text = f"## Figures\n\n{_table(['', *(TITLES.get(name, label(name)) for name in measures)], rows)}"
    if between := figures["intervals"]:
        said = "; ".join(f"{label(name)} {low:.4f} to {high:.4f}" for name, (low, high) in between.items())
        text += f"\n\n95 % intervals of this model, by bootstrap over sessions: {said}."
    for name, why in figures["baselines_left_out"].items():
        text += f"\n\n{name} was not asked: {why}."
    return text


def _groups(card: Mapping[str, Any]) -> str:
    rows = [
        [kind, group, _count(of["predictions"]), f"{of['share']:.1%}", *(f"{of[name]:.4f}" for name in (MAIN, SECOND))]
        for kind, groups in card["groups"].items()
        for group, of in groups.items()
    ]
    if not rows:
        return ""
    titles = ["by", "group", "predictions", "share", label(MAIN), label(SECOND)]
    return f"## By repeats, clicks given, and an item's frequency\n\n{_table(titles, rows)}"


def _curves(card: Mapping[str, Any]) -> str:
    curves, lines = card["curves"], []
    for member, points in curves["loss"].items():
        losses = [loss for _, loss in points]
        if shown := sparkline(losses):
            who = f" of encoder {member}" if member else ""
            lines.append(f"loss{who}, {losses[0]:.3f} to {losses[-1]:.3f}: `{shown}`")
    if curves["validations"]:
        rows = [
            [
                str(one.get("member") or ("all" if len(curves["loss"]) > 1 else "")),
                f"{one['epoch']:g}" if one.get("epoch") else "",
                "-" if one["loss"] is None else f"{one['loss']:.4f}",
                *(f"{one[name]:.4f}" if name in one else "-" for name in (MAIN, SECOND)),
            ]
            for one in curves["validations"]
        ]
        lines.append(_table(["encoder", "epoch", "loss", label(MAIN), label(SECOND)], rows))
    return "## Learning curves\n\n" + "\n\n".join(lines) if lines else ""


def _settings(card: Mapping[str, Any]) -> str:
    changed, training = card["settings"]["changed"], card["training"]
    said = ", ".join(f"`{name}` = {value}" for name, value in changed.items()) or "nothing"
    lines = [f"## Settings\n\nPreset `{card['settings']['preset']}`; changed of it: {said}. All of them: `card.json`."]
    if training:
        lines.append(
            "Training: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in training.items()) + "."
        )
    if card.get("afterwards"):
        lines.append(f"Behind the network: {described(card['afterwards'])}.")
    return "\n\n".join(lines)


def _limits(card: Mapping[str, Any]) -> str:
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in card["limits"])


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join([*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)])


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _moment(ts: int) -> str:
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return str(ts)
