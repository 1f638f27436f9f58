"""Storage that answers slowly, never, or with more than it should."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from export.bundle.bundle import MODEL, Bundle
from export.bundle.files import UnusableFile
from export.errors import BundleError
from export.registry.registry import Registry
from export.registry.remote_files import AT_ONCE, RemoteFiles, patient

LIMIT_S = 1.0


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a server that sends a byte now and then, without end."""
    ended = threading.Event()

    class Drip(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # the name is the library's
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            while not ended.wait(0.05):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.waits
@pytest.mark.timeout(60)
def test_dripping_server_has_a_time_limit(dripping: str, tmp_path: Path) -> None:
    files = RemoteFiles(fsspec.filesystem("http"), answer_s=LIMIT_S, slowest=100_000)
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="within 1 s"):
        files.read(f"{dripping}/manifest.json")
    with pytest.raises(TimeoutError, match="within 2 s"):
        files.download(f"{dripping}/model.onnx", tmp_path / "model.onnx", 100_000)
    assert time.monotonic() - begun < 30


@pytest.mark.timeout(60)
def test_download_ends_with_the_first_byte_too_many(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/large-file-of-a-test", b"x" * 1000)
    with pytest.raises(UnusableFile, match="larger than the 999 bytes"):
        RemoteFiles(memory).download("/large-file-of-a-test", tmp_path / "it", 999)
    memory.rm("/large-file-of-a-test")


def test_version_elsewhere_with_a_file_larger_than_its_manifest_says_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    registry = Registry("memory://shop-of-large-files", cache=tmp_path)
    registry.create()
    registry.publish(bundle.path)
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/shop-of-large-files/1/{MODEL}", b"x" * 50_000_000)
    with pytest.raises(BundleError, match=f"{MODEL} is larger than"):
        registry.fetch("1")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 1_000_000
    memory.rm("/shop-of-large-files", recursive=True)


def test_requests_that_never_end_do_not_add_up() -> None:
    places, ended = threading.BoundedSemaphore(AT_ONCE), threading.Event()
    before = threading.active_count()
    for _ in range(AT_ONCE + 4):
        with pytest.raises(TimeoutError):
            patient(ended.wait, 0.01, places)
    assert threading.active_count() - before <= AT_ONCE
    ended.set()
    assert patient(lambda: 7, 30.0, places) == 7


def test_what_a_request_raises_comes_to_who_asked() -> None:
    with pytest.raises(FileNotFoundError):
        RemoteFiles(fsspec.filesystem("memory")).read("/no-such-file-of-a-test")
