"""What was read, counted while reading, with samples of what could not be used."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["SAMPLES", "ReadReport", "Sample", "counts"]

REPORTED_NAMES = 8  # kinds named in a summary; a column of garbage would fill the screen
SAMPLES = 3  # bad lines that are shown; as many a reason are kept
SAMPLE_CHARS = 100  # of a bad line
SKIPPED_SHOWN = 3  # files of a folder whose fault is told


@dataclass(frozen=True, slots=True)
class Sample:
    """A bad line."""

    file: str
    line: int  # number of the line in its file, from 1; of a Parquet file, of the row
    reason: str
    text: str  # the line, its beginning if it is long

    def __str__(self) -> str:
        return f"{self.reason} at {Path(self.file).name}:{self.line}: {self.text}"


@dataclass(slots=True)
class ReadReport:
    """What was read. A line is one event; one line of OTTO holds a whole session of them."""

    lines: int = 0  # all events found, good or bad
    kept: int = 0  # events in the RawLog
    bad: Counter[str] = field(default_factory=Counter)  # bad lines by reason, each under its first one only
    left_out: Counter[str] = field(default_factory=Counter)  # good lines of kinds that are not kept, by kind as written
    files: dict[str, str] = field(default_factory=dict)  # path of each file read -> its format
    skipped: dict[str, str] = field(default_factory=dict)  # path of each file of a folder that was not read -> why
    joined: int = 0  # line breaks within quotes: so many lines belong to the one before
    open_quotes: int = 0  # quotes that never close, in columns nobody reads: taken as they stand
    hints: Counter[str] = field(default_factory=Counter)  # what would have made bad lines good, by number of them
    doubts: list[str] = field(default_factory=list)  # what may have been misunderstood, for people
    samples: list[Sample] = field(default_factory=list)  # the first SAMPLES bad lines of each reason

    @property
    def bad_lines(self) -> int:
        """Number of bad lines."""
        return self.bad.total()

    @property
    def bad_share(self) -> float:
        """Share of bad lines among all, 0 if there are none."""
        return self.bad_lines / self.lines if self.lines else 0.0

    def wants_sample(self, reason: str) -> bool:
        """Tell whether another sample of a reason is kept."""
        return sum(sample.reason == reason for sample in self.samples) < SAMPLES

    def sample(self, file: Path, line: int, reason: str, text: str) -> None:
        """Keep a bad line, unless there are enough of its reason."""
        if self.wants_sample(reason):
            shown = text if len(text) <= SAMPLE_CHARS else f"{text[:SAMPLE_CHARS]}…"
            self.samples.append(Sample(str(file), line, reason, "".join(map(_printable, shown))))

    def refuse(self, reason: str, file: Path, line: int, text: str, events: int = 1) -> None:
        """Count a bad line, or all `events` of it, that no column will hold."""
        self.lines += events
        self.bad[reason] += events
        self.sample(file, line, reason, text)

    def shown(self) -> list[str]:
        """Return the samples that are shown, for people: at most `SAMPLES`, of as many reasons as there are."""
        place = Counter[str]()
        ranked = []
        for at, sample in enumerate(self.samples):
            ranked.append((place[sample.reason], at, str(sample)))
            place[sample.reason] += 1
        return [text for _, _, text in sorted(ranked)[:SAMPLES]]

    def remedies(self) -> list[str]:
        """Return what would have made bad lines good, the most frequent first."""
        return [f"{hint} ({number:,} lines)" for hint, number in self.hints.most_common()]

    def summary(self) -> str:
        """Return one line for people: what was kept, what was bad and why, what was left out, what is doubtful."""
        parts = [f"{self.kept:,} of {self.lines:,} events from {len(self.files)} file{'s' * (len(self.files) != 1)}"]
        if self.bad:
            parts.append(f"{self.bad_lines:,} bad ({counts(self.bad)})")
        if self.left_out:
            parts.append(f"left out: {counts(self.left_out)}")
        if self.skipped:
            told = [f"{name} ({why})" for name, why in sorted(self.skipped.items())[:SKIPPED_SHOWN]]
            names = sorted(self.skipped)[SKIPPED_SHOWN:]
            parts.append(f"not read: {', '.join(told + names)}")
        return "; ".join(parts + self.warnings())

    def told(self, name: str) -> list[str]:
        """Return what was read of the log `name`, and the samples that are shown, a line each."""
        return [f"read {name}: {self.summary()}", *(f"  {sample}" for sample in self.shown())]

    def warnings(self) -> list[str]:
        """Return what its owner should look at, a line each."""
        found = list(self.doubts)
        if self.open_quotes:
            found.append(f"{self.open_quotes:,} quotes never close: those lines were taken as they stand")
        return found + self.remedies()


def _printable(character: str) -> str:
    """Return a character as a terminal may show it: no line break, no control sequence, no half of a pair."""
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def counts(counter: Counter[str]) -> str:
    """Return the most frequent names with their numbers, for a message."""
    named = ", ".join(f"{name} {number:,}" for name, number in counter.most_common(REPORTED_NAMES))
    more = len(counter) - REPORTED_NAMES
    return f"{named}, and {more:,} more" if more > 0 else named
