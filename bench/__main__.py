"""The benchmarks of the main path in short form, one after another: `python -m bench`."""

import subprocess
import sys

SHORT = (
    ("bench.simulator",),
    ("bench.learning.training", "--preset", "tron", "--seconds", "15"),
    ("bench.stream", "--clicks", "60000", "--repeats", "1", "--peer-seconds", "8", "--rates", "1000", "--seconds", "8"),
    ("bench.faults", "--rounds", "6", "--seed", "0"),
)


def main() -> int:
    """Run each in a process of its own; the exit code is that of the first that failed."""
    for command in SHORT:
        print(" ".join(command), flush=True)
        code = subprocess.run([sys.executable, "-m", *command]).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
