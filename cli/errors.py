"""The errors of the command line, under the root of `export.errors`.

NextclickError                  exit code
└── OutputLost                  1   what was found could not be written to stdout
"""

from export.errors import NextclickError

__all__ = ["OutputLost"]


class OutputLost(NextclickError):
    """Stdout takes no more: its reader has gone, or its disk is full. What the command did before stays done."""
