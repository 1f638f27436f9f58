"""Options of what a training keeps of each item: a row of its own, or codes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cli.options.group import option
from export.errors import ConfigError

if TYPE_CHECKING:
    from model.codes.config import CodesConfig

__all__ = ["ItemTable"]

DENSE = "dense"
PANEL = "The model"


def _option(name: str, metavar: str, help: str) -> Any:
    return option(name, metavar=metavar, help=help, rich_help_panel=PANEL)


@dataclass(frozen=True, kw_only=True)
class ItemTable:
    """The item table. `--items` is the file of what a shop says about its items, hence the longer name."""

    items_as: Annotated[
        str,
        _option(
            "--items-as", "FORM", "dense: a row an item; svd, svd-plain, bpr, random: codes, for millions of items."
        ),
    ] = DENSE
    splits: Annotated[int | None, _option("--splits", "N", "Codes an item; must divide the model's width [8].")] = None
    code_bits: Annotated[int | None, _option("--code-bits", "N", "Of a code: 8 or 4 [8].")] = None

    def config(self) -> "CodesConfig | None":
        """Return how items are coded, None for a dense table; ConfigError for values that can't be."""
        from model.codes.config import CodesConfig

        given = {name: one for name, one in (("splits", self.splits), ("bits", self.code_bits)) if one is not None}
        if self.items_as != DENSE:
            return CodesConfig(made_by=self.items_as, **given)  # type: ignore[arg-type]  # checked there
        if given:
            raise ConfigError(
                "--splits and --code-bits say how items are coded: add --items-as svd, bpr or random, or leave them out"
            )
        return None
