"""The errors of the stream.

NextclickError (export.errors)      exit code
|- BadClick                         1   one message is wrong: it goes to the rejected topic, the worker goes on
|- BadState                         1   a row of the state changelog cannot be read: the worker stops
|- BrokerUnavailable                1   no broker answered within the deadline: nothing was acknowledged
|  |- AccessRefused                 2   a password or a certificate was refused
|- SchemaRegistryAway               1   the schema registry does not answer: what needs a schema waits
|  |- SchemaRegistryRefused         2   it knows neither us nor our password
|- TopicError                       2   a topic is missing, could not be made, or has the wrong shape
|- PublishFailed                    1   the broker did not confirm a message: nothing was acknowledged
|  |- Fenced                        1   another worker took over, or a transaction is undecided: nothing more is written
|- AnnouncementError                1   an announcement cannot be read: it is ignored, what is in force stays
"""

from export.errors import NextclickError

__all__ = [
    "AccessRefused",
    "AnnouncementError",
    "BadClick",
    "BadState",
    "BrokerUnavailable",
    "Fenced",
    "PublishFailed",
    "SchemaRegistryAway",
    "SchemaRegistryRefused",
    "TopicError",
]


class BadClick(NextclickError):
    """A message that is not a usable click: it is copied to the rejected topic with `reason`, then acknowledged.

    `reason` is one of `stream.messages.contract.REASONS`, `detail` a short sentence that never repeats the
    shopper's data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class BadState(NextclickError):
    """A stored session cannot be decoded. No click of it is acknowledged; restore or reset the changelog topic."""


class BrokerUnavailable(NextclickError):
    """No broker answered within the deadline. Nothing was acknowledged; check the address and start again."""


class AccessRefused(BrokerUnavailable):
    """The broker refused the password, or its certificate is not trusted. Nothing was acknowledged; check both."""

    exit_code = 2


class SchemaRegistryAway(NextclickError):
    """The schema registry does not answer. Messages whose schema is not known yet wait, and it is asked again."""


class SchemaRegistryRefused(SchemaRegistryAway):
    """The schema registry refuses who asks. At the start that ends the program; later it is asked again."""

    exit_code = 2


class TopicError(NextclickError):
    """A topic is missing or has another shape than it must have; the message says what to do about it."""

    exit_code = 2


class PublishFailed(NextclickError):
    """The broker did not confirm a message. The clicks behind it stay unacknowledged and are read again."""


class Fenced(PublishFailed):
    """A partition's transactions are refused, as a newer producer has its place, or the outcome of one is not known.

    As after every failed transaction, the worker joins its group again and reads in the changelog what was committed.
    """


class AnnouncementError(NextclickError):
    """A message of the models topic is unusable. It is ignored and reported; the current model, or what was said of the
    experiment before, stays."""
