"""What a training may take: time, of the whole command, or steps, which repeat by their seed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from export.errors import ConfigError

__all__ = ["LEAST_S", "QUICK_S", "Budget", "Spending"]

LEAST_S = 10.0  # a bundle that is checked and judged takes as long by itself
LEAST_STEPS = 50
QUICK_S = 300.0  # a shorter budget judges on less
UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|d|steps?)\s*")


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds of the whole command, or steps of the optimizer; the other is None."""

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for less than anything can be done with."""
        if (self.seconds is None) == (self.steps is None):
            raise ConfigError("a budget is a time or a number of steps")
        if self.seconds is not None and not LEAST_S <= self.seconds < float("inf"):
            raise ConfigError(f"--budget {self.seconds:g}s: at least {LEAST_S:g}s, to train, export and judge a model")
        if self.steps is not None and self.steps < LEAST_STEPS:
            raise ConfigError(f"--budget {self.steps}steps: at least {LEAST_STEPS} steps")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `60s`, `10m`, `1.5h` or `2000steps`. ConfigError for anything else."""
        found = _FORM.fullmatch(text.lower())
        if found is None:
            raise ConfigError(f"--budget {text}: a time such as 60s, 10m or 2h, or steps such as 5000steps")
        number, unit = float(found[1]), found[2]
        if unit.startswith("step"):
            if number != int(number):
                raise ConfigError(f"--budget {text}: steps are a whole number")
            return cls(steps=int(number))
        return cls(seconds=number * UNITS[unit])

    def __str__(self) -> str:
        if self.steps is not None:
            return f"{self.steps:,} steps"
        return f"{self.seconds:g} s"


class Spending:
    """How much of a time budget is left, and for what it is kept.

    Export, parity and judging of a model take a time that follows from the model and the machine more than from the
    budget; it is kept for them, once for the judged model and once more for a refit.
    """

    EXPORT_S = 12.0  # of one bundle with its judgement, and of the last validation, on a processor of a few years
    ITEMS_S = 1.6e-4  # and so much more for each item of the catalogue
    AGAIN = 0.75  # of that for the refitted one: what was found once is not looked for again
    SHARE = 0.08  # and of a long budget so much
    LATE_S, LATE = 5.0, 0.05  # over the budget by more than both is worth a word

    def __init__(
        self, budget: Budget | None, clock: Callable[[], float] = time.monotonic, *, over_s: float = 0.0
    ) -> None:
        """over_s: what the command has taken before, to begin."""
        self.budget, self._clock = budget, clock
        self._began = clock() - over_s
        self._ahead: list[float] = []  # of the bundles that are to come
        self.expect(items=0)

    @property
    def seconds(self) -> float | None:
        """The time of the whole command, None where there is no limit."""
        return None if self.budget is None else self.budget.seconds

    @property
    def quick(self) -> bool:
        """Whether there is little time."""
        return self.seconds is not None and self.seconds < QUICK_S

    def spent(self) -> float:
        """Return the seconds since the command began."""
        return self._clock() - self._began

    def left(self) -> float | None:
        """Return the seconds that are left, 0 at least; None where there is no limit."""
        return None if self.seconds is None else max(0.0, self.seconds - self.spent())

    def over(self, *, bundles: int) -> bool:
        """Return whether no time is left but what is kept for so many bundles."""
        left = self.left()
        return left is not None and left <= self.kept(bundles)

    def overdrawn(self) -> str:
        """Return what to say where the command has taken clearly more than its time; "" where it has not."""
        if self.seconds is None or (over := self.spent() - self.seconds) <= max(self.LATE_S, self.LATE * self.seconds):
            return ""
        told = f"warning: {self.spent():,.0f} s, {over:,.0f} s more than --budget"
        return f"{told}: the machine is slower or busier than was planned; give it more time, or less else to do"

    def expect(self, items: int) -> None:
        """Take in how large the catalogue is."""
        export_s = self.EXPORT_S + self.ITEMS_S * items
        self._ahead = [export_s, self.AGAIN * export_s]

    def exported(self, seconds: float) -> None:
        """Take in how long it really took to export and judge a bundle here."""
        self._ahead = [self.AGAIN * seconds]

    def kept(self, bundles: int) -> float:
        """Return the seconds that are kept for exporting and judging so many bundles."""
        if self.seconds is None:
            return 0.0
        return sum(max(each, self.SHARE / 2 * self.seconds) for each in self._ahead[:bundles])

    def for_training(self, *, bundles: int) -> float | None:
        """Return the seconds that training may take from now on, 1 at least; None where there is no limit."""
        left = self.left()
        return None if left is None else max(1.0, left - self.kept(bundles))
