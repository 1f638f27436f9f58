"""What a trainer must not forget when it is killed, or another takes over: the open cycle, and what came of the last.

One small file beside the clicks, replaced atomically; only who leads writes it.
"""

from __future__ import annotations

import msgspec

from export.errors import RegistryError
from model.cycle.config import Mode
from model.trainer.kept.files import Files

__all__ = ["Journal", "OpenCycle", "State"]

_NAME = "journal.json"


class OpenCycle(msgspec.Struct, frozen=True, kw_only=True):
    """A cycle that was begun: the same clicks and settings until it is over, whoever goes on with it."""

    cycle: str
    mode: Mode
    why: str  # it was begun, for people
    parts: list[str]  # of the store
    until_ts: int  # newest click in them, ms since the epoch
    total: int  # clicks stored until then
    next_offsets: dict[str, int] = {}
    parent: str = ""  # name of the cycle whose checkpoints it starts with; empty: from scratch
    parent_version: str = ""
    since_ts: int = 0  # fresh: what is newer was not learned yet


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The journal's content."""

    number: int = 0  # of cycles begun
    open: OpenCycle | None = None
    parent: str = ""  # the cycle whose weights were published last
    parent_version: str = ""
    learned_ts: int = 0  # newest click that version has seen
    last_total: int = 0  # clicks stored when the last cycle began
    last_ms: int = 0  # when it ended, ms since the epoch
    last_full_ms: int = 0  # the same of the last full one
    last_version: str = ""
    last_passed: bool | None = None  # the last gate
    last_reasons: list[str] = []


class Journal:
    """The file. RegistryError where it can't be read; OSError of the storage passes through."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.state = self._read()

    def refresh(self) -> State:
        """See what another trainer has written."""
        self.state = self._read()
        return self.state

    def write(self, **changes: object) -> State:
        """Change fields of the state, durably."""
        self.state = msgspec.structs.replace(self.state, **changes)
        self._files.replace(_NAME, msgspec.json.encode(self.state))
        return self.state

    def _read(self) -> State:
        try:
            return msgspec.json.decode(self._files.read(_NAME), type=State)
        except FileNotFoundError:
            return State()
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RegistryError(
                f"the trainer's {_NAME} can't be read: {error}. Move it away: the next cycle then trains from scratch"
            ) from error
