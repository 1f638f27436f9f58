"""How long a model takes to rank, comparable between models that rank different numbers of sessions.

A run costs a few milliseconds by itself and some more for each session, so that the mean time of two variants says
nothing where one has more sessions. Here runs of like size are compared: of each power of two sessions a mean is kept,
and what one variant took is set against what the other one would have taken for the same runs (direct
standardisation).
"""

__all__ = ["Pace"]

_MEMORY = 200  # runs of a size that a mean looks back on


class Pace:
    """Of one variant. Written by the inference thread; read by others, who may see a run half counted."""

    def __init__(self) -> None:
        self._runs: dict[int, int] = {}
        self._mean_s: dict[int, float] = {}

    def add(self, sessions: int, seconds: float) -> None:
        """A run of so many sessions took so long."""
        size = sessions.bit_length()
        runs = self._runs[size] = min(self._runs.get(size, 0) + 1, _MEMORY)
        mean_s = self._mean_s.get(size, 0.0)
        self._mean_s[size] = mean_s + (seconds - mean_s) / runs

    def against(self, other: "Pace") -> tuple[int, float, float]:
        """Runs of sizes that both had, the mean time of these in seconds, and what `other` would have taken."""
        sizes = [size for size in list(self._mean_s) if size in other._mean_s]
        runs = sum(self._runs[size] for size in sizes)
        if not runs:
            return 0, 0.0, 0.0
        own, others = (sum(self._runs[s] * pace._mean_s[s] for s in sizes) / runs for pace in (self, other))
        return runs, own, others
