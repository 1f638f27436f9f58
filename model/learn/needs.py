"""What a training needs of memory and disk, told before it starts, and refused where it would end in the middle.

The item table counts: its weights, what the optimizer keeps of them, their average, and the best weights so far, each
as large as the table itself; then the copies that gradients, validation and export make. A table of codes
(export/codes/codes.py) has books in its place, whose size no catalogue changes.
Legend: V catalogue, H hidden, m codes an item, b bits a code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from export.errors import ConfigError
from model.codes.config import CodesConfig
from model.config import Preset
from model.data.log import SessionLog
from model.learn.optimizer import is_lazy
from model.machine.room import disk_left, memory_left
from model.nets.config import EncoderConfig
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["Needs", "needs_of", "require_room"]

_FLOAT = 4  # bytes
_BESIDE = 400 * 2**20  # what PyTorch, its exporter and ONNX Runtime take beside weights and batches
_STATES = 14  # activations that a layer keeps of each click for its gradient, of H numbers each
_STEP_COPIES = 3  # of a table in which every row moves: its gradient, and two while that is summed
_EXPORT_COPIES = 4  # of all tables: the graph, its message, its bytes, the session that is compared with PyTorch
_TABLE_IN_GRAPH = 1.3  # the table and its int8 copy
_VECTORS = 0.5  # of a table, for similar items: float16
_ID = 20  # bytes of an item id and its share of the popularity, about
_FEWER = 5  # clicks that an item needs, in the remedy
_MANY = 100_000  # items, from which on who trains a row each is told what codes would save


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Bytes, about."""

    table: int  # all item tables
    memory: int  # beyond what the process has taken by now
    checkpoint: int  # and once more while it is replaced
    bundle: int

    @property
    def disk(self) -> int:
        """What is written until the bundle stands: two checkpoints, two bundles."""
        return 2 * (self.checkpoint + self.bundle)


def needs_of(preset: Preset, *, items: int, clicks_per_session: float) -> Needs:
    """Return what a training of `preset` on so many items needs."""
    tables, kept_by_members, most_in_step, checkpoint = 0, 0, 0, 0
    for member in preset.members():
        rows = _table(member.encoder, preset.codes, items)
        weights = rows + _layers(member.encoder)
        positions = round(min(clicks_per_session, member.encoder.window) * member.train.batch)
        dense = preset.codes is None and not is_lazy(member.train, catalogue=items, touched=_touched(member, positions))
        copies = (
            2 + (1 if member.train.rule == "adagrad" else 2) + (member.train.ema > 0)
        )  # weights, best, moments, mean
        catalogue = 0 if preset.codes is not None else rows  # its copy while a validation ranks it
        step = max(_STEP_COPIES * rows if dense else 0, catalogue) + _activations(member, positions)
        most_in_step = max(most_in_step, kept_by_members + copies * weights + step)
        kept_by_members += weights  # while those after it are trained
        tables, checkpoint = tables + rows, checkpoint + copies * weights
    codes = 0 if preset.codes is None else items * preset.codes.splits
    export = kept_by_members + _EXPORT_COPIES * tables
    in_graph = tables if preset.codes is not None else round((_TABLE_IN_GRAPH + _VECTORS) * tables)
    layers = kept_by_members - tables
    return Needs(
        table=tables + codes,
        memory=_BESIDE + 3 * codes + max(most_in_step, export),
        checkpoint=checkpoint + 2 * codes,
        bundle=in_graph + layers + codes + _ID * items,
    )


def require_room(preset: Preset, log: SessionLog, directory: Path | None, on_progress: OnProgress = ignore) -> None:
    """Say what a training will need; ConfigError where that is not there, with the options that need less.

    directory: of the checkpoints; None: none are written.
    """
    items, clicks = len(log.vocabulary), log.clicks / max(log.sessions, 1)
    needs = needs_of(preset, items=items, clicks_per_session=clicks)
    memory, disk = memory_left(), None if directory is None else disk_left(directory)
    on_progress(Progress(stage="needs", message=_said(needs, memory, disk) + _saved(preset, items, clicks)))
    less = _remedies(preset, items, clicks, needs)
    what = f"{items:,} items {'with a row each' if preset.codes is None else 'as codes'} take {_size(needs.table)}"
    if memory is not None and needs.memory > memory:
        raise ConfigError(
            f"this training needs about {_size(needs.memory)} of memory, and {_size(memory)} are free: {what}, and "
            f"several copies of that are kept. {less}"
        )
    if disk is not None and needs.disk > disk:
        raise ConfigError(
            f"this training writes about {_size(needs.disk)} (two checkpoints, two bundles), and {_size(disk)} are "
            f"free at {directory}: {what}. Make room, or choose another --checkpoint-dir. {less}"
        )


def _said(needs: Needs, memory: int | None, disk: int | None) -> str:
    of_memory = "" if memory is None else f" of {_size(memory)} free"
    of_disk = "" if disk is None else f" of {_size(disk)} free"
    return (
        f"about {_size(needs.memory)} more of memory{of_memory}; {_size(needs.disk)} of disk{of_disk}; a bundle of "
        f"{_size(needs.bundle)}"
    )


def _saved(preset: Preset, items: int, clicks: float) -> str:
    """Return what codes would need in place of a row an item, where there are many."""
    coded = _coded(preset, items, clicks) if items >= _MANY else None
    if coded is None:
        return ""
    return f"; with --items-as svd {_size(coded.memory)} of memory, a bundle of {_size(coded.bundle)}"


def _coded(preset: Preset, items: int, clicks: float) -> Needs | None:
    """Return what `preset` would need with codes; None where it has them, or can't."""
    if preset.codes is not None or any(one.interests for one in (preset.encoder, *preset.committee)):
        return None
    return needs_of(replace(preset, codes=_codes_for(preset)), items=items, clicks_per_session=clicks)


def _remedies(preset: Preset, items: int, clicks: float, needs: Needs) -> str:
    found = []
    coded = _coded(preset, items, clicks)
    if coded is not None and coded.memory < needs.memory:
        found.append(f"--items-as svd needs about {_size(coded.memory)} of memory, {_size(coded.disk)} of disk")
    if preset.committee:
        found.append("--preset tron-fast trains one encoder")
    found.append(f"--min-support {_FEWER} leaves rare items out")
    return "; ".join(found)


def _codes_for(preset: Preset) -> CodesConfig:
    """Codes that fit the preset's width: as published where they do."""
    widths = [one.hidden for one in (preset.encoder, *preset.committee)]
    splits = next(count for count in (8, 4, 2, 1) if all(width % count == 0 for width in widths))
    return CodesConfig(splits=splits)


def _table(encoder: EncoderConfig, codes: CodesConfig | None, items: int) -> int:
    return (items + 1 if codes is None else 1 << codes.bits) * encoder.hidden * _FLOAT


def _layers(encoder: EncoderConfig) -> int:
    width, inner = encoder.hidden, encoder.feed_forward
    return (encoder.layers * (6 * width * width + 3 * width * inner) + encoder.window * width) * _FLOAT


def _touched(member: Preset, positions: int) -> int:
    """About the rows that a step reaches, as `model.learn.batches.draws` counts them; all of them without sampling."""
    drawn = member.negatives
    if drawn.everything:
        return 1 << 62
    shared = drawn.uniform + max(drawn.popular, drawn.popular_at_end) + drawn.in_batch
    return positions + shared + drawn.each * positions


def _activations(member: Preset, positions: int) -> int:
    """What a batch keeps for its gradient; scores are made and used a chunk at a time."""
    encoder, drawn = member.encoder, member.negatives
    width = encoder.hidden + encoder.feed_forward
    states = positions * encoder.layers * _STATES * width
    attention = positions * encoder.layers * encoder.heads * member.train.row
    own = 2 * positions * drawn.each * encoder.hidden
    shared = 3 * (drawn.uniform + max(drawn.popular, drawn.popular_at_end)) * encoder.hidden
    return (states + attention + own + shared) * _FLOAT


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
