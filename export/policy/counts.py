"""What lists were like: whatever of the policy could not be kept as it stands is counted."""

from dataclasses import dataclass

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """What the lists made so far were like."""

    lists: int = 0
    again: int = 0  # left open by the first ranking
    short: int = 0  # shorter than K: nothing else may be shown
    filled: int = 0  # with items that do not pass their filter
    unfiltered: int = 0  # as the last item has no value of the attribute that the filter compares
    hidden: int = 0  # items of the model that may not be shown, of the first placement
