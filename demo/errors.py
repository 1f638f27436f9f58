"""The errors of the demo.

NextclickError (export.errors)
|- DemoError       1   a part of the demo failed; everything it started has been stopped
"""

from export.errors import NextclickError

__all__ = ["DemoError"]


class DemoError(NextclickError):
    """The cluster, the trainer or the worker failed: the message ends with the last lines it printed."""
