"""A program that says what a process finds when it starts; it ends with exit code 7."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading


def main() -> int:
    found = {
        "argv": sys.argv,
        "original": sys.orig_argv,
        "main": __name__,
        "path": sys.path,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "files": sorted(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "parent": os.getppid(),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "handled": [str(one) for one in signal.valid_signals() if callable(signal.getsignal(one))],
        "temporary": tempfile.gettempdir(),
        "stdin": sys.stdin.read(),
        "streams": [sys.stdout.encoding, sys.stdout.line_buffering, sys.stderr.line_buffering],
    }
    print(json.dumps(found))
    return 7


if __name__ == "__main__":
    sys.exit(main())
