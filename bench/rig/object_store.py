"""A folder over HTTP, for tests: an object store that can be read, refuses who asks, fails, or is away."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["ObjectStore"]


class ObjectStore:
    """Answers at `url` until `stop`. `status`: what every request gets instead of its file; 0: the file."""

    def __init__(self, folder: Path) -> None:
        self.status = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_handler(self), directory=str(folder)))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _handler(store: ObjectStore) -> type[SimpleHTTPRequestHandler]:
    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if store.status:
                self.send_error(store.status)
            else:
                super().do_GET()

        def do_HEAD(self) -> None:
            if store.status:
                self.send_error(store.status)
            else:
                super().do_HEAD()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
