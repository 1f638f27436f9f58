"""The files of a storage that fsspec addresses, each request within a time limit.

Servers that answer a few bytes a second keep every client of theirs content: each wait of it ends. So a request runs in
a thread, and who asked waits for as long as its work can take.
"""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fsspec.callbacks import Callback

from export.bundle.files import UnusableFile

__all__ = ["RemoteFiles", "patient"]

ANSWER_S = 60.0  # for what is small: a listing, a manifest, a name taken
SLOWEST = 128 * 1024  # bytes a second; a transfer that is slower is given up
_REFUSED = (401, 403)  # statuses of HTTP
AT_ONCE = 8  # requests, those included that were given up and have not ended

_T = TypeVar("_T")


class RemoteFiles:
    """What a registry asks of an fsspec filesystem. Safe to use from several threads.

    Every OSError passes through; TimeoutError, one of them, where the storage is too slow. What else a client library
    raises becomes one, PermissionError where the server refuses who asks.
    """

    def __init__(self, filesystem: Any, *, answer_s: float = ANSWER_S, slowest: int = SLOWEST) -> None:
        """Take a filesystem (untyped in fsspec), the seconds for an answer, and the fewest bytes a second."""
        self._fs, self._answer_s, self._slowest = filesystem, answer_s, slowest
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def names(self, folder: str) -> list[str]:
        """Return the paths in a folder, asked anew."""
        self._fs.invalidate_cache()
        return self._ask(lambda: [str(path) for path in self._fs.ls(folder, detail=False)])

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""
        return self._ask(lambda: bytes(self._fs.cat_file(path)))

    def write(self, path: str, content: bytes) -> None:
        """Write a small file in one request, and the folder above it."""

        def request() -> None:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(path, content)

        self._ask(request)

    def take(self, path: str, content: bytes) -> bool:
        """Write a file that must not be there yet; False if it is."""

        def request() -> bool:
            try:
                self._fs.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
            return True

        return self._ask(request)

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is removed."""

        def request() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(path)

        self._ask(request)

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder, where the storage has folders."""

        def request() -> None:
            with contextlib.suppress(OSError, NotImplementedError):
                self._fs.rmdir(path)

        self._ask(request)

    def make_folder(self, path: str) -> None:
        """Make a folder where the storage knows such things."""
        self._ask(lambda: self._fs.makedirs(path, exist_ok=True))

    def upload(self, source: Path, path: str) -> None:
        """Copy a local file there."""
        self._ask(lambda: self._fs.put_file(str(source), path), source.stat().st_size)

    def download(self, path: str, target: Path, size: int) -> None:
        """Copy a file of `size` bytes from there; UnusableFile as soon as more of it has come."""
        self._ask(lambda: self._fs.get_file(path, str(target), callback=_AtMost(size, path)), size)

    def _ask(self, request: Callable[[], _T], size: int = 0) -> _T:
        try:
            return patient(request, self._answer_s + size / self._slowest, self._places)
        except (OSError, NotImplementedError):
            raise
        except Exception as error:  # aiohttp's and botocore's are none
            status = error.status if hasattr(error, "status") else getattr(error, "code", None)
            refused = status in _REFUSED
            raise (PermissionError if refused else OSError)(f"{type(error).__name__}: {error}") from error


class _AtMost(Callback):  # type: ignore[misc]  # fsspec has no types
    """Ends a transfer that brings more than it should."""

    def __init__(self, most: int, path: str) -> None:
        super().__init__()
        self._most, self._path = most, path

    def call(self, hook_name: str | None = None, **kwargs: Any) -> None:
        """Hear of a part that came, or of the size that the server states."""
        if max(self.value, self.size or 0) > self._most:
            raise UnusableFile(f"{self._path} is larger than the {self._most:,} bytes that its manifest says")


def patient(request: Callable[[], _T], limit_s: float, places: threading.BoundedSemaphore) -> _T:
    """Return what `request` returns or raise what it raises; TimeoutError after `limit_s` without either.

    A request that is given up keeps its place until it ends, so that stuck ones do not add up without end.
    """
    too_slow = f"no complete answer within {limit_s:.0f} s: the storage does not answer, or too slowly"
    if not places.acquire(timeout=limit_s):
        raise TimeoutError(f"{too_slow} (earlier requests have not ended)")
    outcome: list[_T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(request())
        except BaseException as error:  # handed to who asked
            failure.append(error)
        finally:
            places.release()

    thread = threading.Thread(target=run, name="registry-request", daemon=True)
    thread.start()
    thread.join(limit_s)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(too_slow)
    return outcome[0]
