"""Training of a preset: one encoder, or a committee of several that rank together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from model.codes.make import training_codes
from model.config import Preset
from model.data.known_items import ItemFeatures
from model.data.log import SessionLog
from model.learn import checkpoint
from model.learn.distributed import ALONE, Team
from model.learn.needs import require_room
from model.learn.train import train
from model.learn.trained import Trained
from model.learn.validation import validate
from model.machine.memory import release_memory
from model.reports.progress import OnProgress, Progress, ignore

__all__ = ["MEMBER", "checkpoints", "train_preset"]

MEMBER = "member-{}"  # folder of one encoder's checkpoint, from 1


def train_preset(
    log: SessionLog,
    valid: SessionLog,
    preset: Preset,
    *,
    run: str = "",
    directory: Path | None = None,
    resume: bool = True,
    init_from: Path | None = None,
    on_progress: OnProgress = ignore,
    team: Team = ALONE,
    items: ItemFeatures | None = None,
) -> Trained:
    """Train every encoder of `preset`, one after the other, and return them together.

    The time limit is shared out among the encoders. Arguments and errors are those of `model.learn.train.train`, and
    ConfigError where memory or disk won't do; the checkpoints of a committee lie in folders of their own, for
    `init_from` likewise.
    """
    require_room(preset, log, directory, on_progress)
    members = preset.members()
    alone, trained = len(members) == 1, []
    first = None if init_from is None else init_from / ("" if alone else MEMBER.format(1))
    kept = alone and resume and directory is not None and checkpoint.exists(directory)
    codes = training_codes(log, preset, team, on_progress, init_from=first, kept=kept)
    for number, member in enumerate(members, start=1):
        folder = "" if alone else MEMBER.format(number)
        release_memory()  # of the log's reading, or of the member before
        trained.append(
            train(
                log,
                valid,
                _share_of_time(member, len(members)),
                run=run if alone else f"{run}/{number}",
                directory=directory / folder if directory is not None else None,
                resume=resume,
                init_from=init_from / folder if init_from is not None else None,
                on_progress=on_progress if alone else _Named(on_progress, f"{number}/{len(members)}"),
                team=team,
                items=items,
                codes=codes,
            )
        )
    if alone:
        return trained[0]
    return _together(trained, valid.thinned(preset.train.valid_sessions), preset, on_progress, team)


def checkpoints(directory: Path) -> Iterator[Path]:
    """Yield the folders of the checkpoints that a training kept in `directory`: its own, or one for each encoder."""
    members = sorted(directory.glob(MEMBER.format("*")))
    yield from members or [directory]


def _share_of_time(member: Preset, members: int) -> Preset:
    limit = member.train.max_seconds
    if limit is None:
        return member
    return replace(member, train=replace(member.train, max_seconds=limit / members))


def _together(
    trained: list[Trained], valid: SessionLog, preset: Preset, on_progress: OnProgress, team: Team
) -> Trained:
    encoders = tuple(encoder for one in trained for encoder in one.encoders)
    figures = validate(encoders, valid, row=preset.train.row) if team.leads else {}
    on_progress(Progress(stage="validate", message=f"{len(encoders)} encoders together", metrics=figures))
    seconds = sum(one.seconds for one in trained)
    return Trained(
        encoders=encoders,
        epochs=max(one.epochs for one in trained),
        limited=all(one.limited for one in trained),
        seconds=seconds,
        spent=sum(one.spent for one in trained),
        sessions_per_s=sum(one.sessions_per_s * one.seconds for one in trained) / max(seconds, 1e-9),
        valid=figures,
        history=[entry for one in trained for entry in one.history],
    )


class _Named:
    """Passes reports on, saying which encoder of how many they are about."""

    def __init__(self, on_progress: OnProgress, name: str) -> None:
        self._on_progress, self._name = on_progress, name

    def __call__(self, report: Progress) -> None:
        self._on_progress(replace(report, member=self._name))
