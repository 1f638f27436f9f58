"""An experiment beside the fresh models: half of the sessions keep the first model, half get what is live.

`nextclick experiment start` as anybody would call it. What fresh models are worth is then the difference of two
variants in the same minutes, and not of two versions at different times.
"""

from pathlib import Path

from demo.children import Child

__all__ = ["CONTROL", "NAME", "NEWEST", "Comparison"]

NAME = "fresh-models"
CONTROL, NEWEST = "control", "newest"  # the variants


class Comparison:
    """Begun once. What still runs of the command ends with the block."""

    def __init__(self, bootstrap: str, registry: Path, folder: Path) -> None:
        self._bootstrap, self._registry, self._folder = bootstrap, registry, folder
        self._command: Child | None = None

    def __enter__(self) -> "Comparison":
        return self

    def __exit__(self, *_: object) -> None:
        if self._command is not None:
            self._command.stop()

    @property
    def begun(self) -> bool:
        return self._command is not None

    def begin(self, first: str) -> None:
        """Announce it, with `first` as the version that half of the sessions keep."""
        variants = ["--variant", f"{CONTROL}={first}:50", "--variant", f"{NEWEST}=live:50"]
        where = ["--bootstrap-servers", self._bootstrap, "--registry", str(self._registry), "--json"]
        self._command = Child("experiment", ["experiment", "start", NAME, *variants, *where], scratch=self._folder)

    def check(self) -> None:
        """DemoError if it could not be announced."""
        if self._command is not None and not self._command.running:
            self._command.result()
