"""The command line: `cli` has the commands; here an error becomes one line and an exit code.

`--json` on any command makes the last line of stdout one JSON object; progress and logs go to stderr. Exit codes: 0
done, 1 failed, 2 wrong usage or input. The environment (NEXTCLICK_*) is read by the options only. Parts are imported
inside the commands: a worker's machine has no torch.
"""

import logging
import sys

from cli.app import app
from cli.output import stderr
from export.errors import NextclickError

__all__ = ["app", "main"]


def main() -> None:
    """Run a command; an error raised on purpose becomes one line on stderr and its exit code."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        app()
    except NextclickError as error:
        stderr.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
