"""The command line: `cli` has the commands; here an error becomes one line and an exit code.

`--json` on any command makes the last line of stdout one JSON object; progress and logs go to stderr. Exit codes: 0
done, 1 failed, 2 wrong usage or input, 3 a worker that was stuck, 130 interrupted. The environment (NEXTCLICK_*) is
read by the options only. Parts are imported inside the commands: a worker's machine has no torch.
"""

import contextlib
import logging
import sys
from typing import Any

from cli.app import app
from cli.output import finish, say
from export.errors import NextclickError

__all__ = ["app", "main"]

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def main() -> None:
    """Run a command; an error raised on purpose, or by the system, becomes one line on stderr and its exit code."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    sys.exit(_run())


def _run() -> Any:
    """The exit code of the command."""
    try:
        try:
            app(prog_name="nextclick")
        except SystemExit as ended:
            finish()
            return ended.code
    except NextclickError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:  # a full disk, a folder that is not ours: nothing that a traceback would explain
        logging.getLogger(__name__).debug("the whole error", exc_info=True)
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _fail(text: str, code: int) -> int:
    with contextlib.suppress(OSError):  # stderr may be as full
        say(text if code >= INTERRUPTED else f"error: {text}", "ERROR")
    return code


if __name__ == "__main__":
    main()
