"""The errors of the model side, under `export.errors.NextclickError`.

    NextclickError
    ├── DataError               exit code 2: the click log can't be used
    │   └── BadLines            exit code 2: too large a share of its lines is bad
    ├── TrainingError           exit code 1: training can't go on
    ├── LeadLost                exit code 1: another trainer leads now, nothing is published
    ├── CheckpointError         exit code 1: a checkpoint can't be used
    └── Interrupted             exit code 130 or 143: the training was ended by Ctrl-C or SIGTERM

Each message is for the person who runs the command.
"""

from export.errors import NextclickError

__all__ = ["BadLines", "CheckpointError", "DataError", "Interrupted", "LeadLost", "TrainingError"]


class DataError(NextclickError):
    """The click log can't be used: no model is made; the message names the file and what is wrong with it."""

    exit_code = 2


class BadLines(DataError):
    """Too large a share of a click log's lines is bad: correct the file, or raise the share that is allowed."""


class TrainingError(NextclickError):
    """Training can't go on (the loss isn't finite, the data hold nothing to learn from): nothing is published."""


class LeadLost(NextclickError):
    """Another trainer leads now: what this one was about to publish is its to decide."""


class CheckpointError(NextclickError):
    """A checkpoint can't be used (truncated, altered, of another run): remove it, or train without resuming."""


class Interrupted(NextclickError):
    """The training was ended by a signal: nothing is published; the message says what is kept, and how to go on."""

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
