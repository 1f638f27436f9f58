"""Open files and connections of the process, against what it may have: said before the last one is gone."""

import errno
import os
import resource
from pathlib import Path

from stream.ops.problems import Problems

__all__ = ["check_descriptors"]

_OPEN = Path("/proc/self/fd")  # Linux; elsewhere nothing is checked
_NEAR = 0.9  # of the limit
_REMEDY = "raise the limit (ulimit -n, LimitNOFILE of the service) and start the worker again"


def check_descriptors(problems: Problems) -> None:
    """Raise or clear the problem `file_descriptors`."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        used = len(os.listdir(_OPEN))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            return
        used = limit
    if limit != resource.RLIM_INFINITY and used >= _NEAR * limit:
        problems.raise_("file_descriptors", f"{used} of {limit} file descriptors are in use", _REMEDY)
    else:
        problems.clear("file_descriptors")
