"""The errors of the read API; each becomes an answer, none ends the server.

NextclickError (export.errors)
|- BadBody       400   a body is no click and no array of clicks
|- HubFull       503   as many requests wait for updates as may
|- SourceAway    503   Redis does not answer, or refuses
"""

from export.errors import NextclickError

__all__ = ["BadBody", "HubFull", "SourceAway"]


class BadBody(NextclickError):
    """A body that is no click and no array of clicks."""


class HubFull(NextclickError):
    """As many requests wait for updates as may."""


class SourceAway(NextclickError):
    """Redis does not answer, or refuses."""
