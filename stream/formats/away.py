"""Which topics this process reads no further, as a schema registry does not answer: for `/health` and metrics."""

__all__ = ["REMEDY", "read_on", "reading_waits", "waits_for_schema"]

REMEDY = "see to the schema registry; it is asked again every second"

_waiting: dict[str, str] = {}  # what is wrong, by topic; written in the readers' threads


def waits_for_schema(topic: str, what: str) -> None:
    """A topic is read no further from now on."""
    _waiting[topic] = what


def read_on(topic: str) -> None:
    """It is, or is read by nobody any more."""
    _waiting.pop(topic, None)


def reading_waits() -> str:
    """What is wrong, of all topics; empty where nothing is."""
    return "; ".join(list(_waiting.values()))
