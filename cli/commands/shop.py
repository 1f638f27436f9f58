"""Commands on the simulated shop."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli.options.common import Json
from cli.options.group import command, option
from cli.output import report, stderr

__all__ = ["app"]

app = typer.Typer()
PANEL = "Try it"
FIRST_S = 15.0  # of a training beside the page: the first list soon
PAGE_FRESH_S = 90.0  # between two versions that come by themselves, so that the button matters
FOR = "Seconds of live shopping after the training; up to 120 s more until a fresh model serves [until Ctrl-C]."


@command(app, rich_help_panel=PANEL)
def demo(
    seconds: Annotated[float | None, option(help=FOR)] = None,
    seed: Annotated[int, option(help="Of the simulated shop and its shoppers.", min=0)] = 0,
    shift_after: Annotated[
        float | None,
        option(help="Seconds of shopping after which tastes and a fifth of the items are others [never]."),
    ] = None,
    page: Annotated[
        bool, option("--page", help="A shop to click in and an operator's drawer, in the browser of this machine.")
    ] = False,
    page_port: Annotated[int, option(metavar="N", help="The page's port on 127.0.0.1; one taken: any.")] = 8087,
    json: Json = False,
) -> None:
    """A simulated shop, a trainer, a worker and live shoppers, on an in-process cluster."""
    from demo.config import DemoConfig, PageConfig
    from demo.run import run_demo
    from demo.trainer import TrainerConfig

    config = DemoConfig(seconds=seconds, seed=seed, shift_after=shift_after, live=not json and stderr.is_terminal)
    if page:
        # Whoever is there trains and compares by the buttons; with --seconds perhaps nobody is
        unwatched = seconds is not None
        fresh_every_s = TrainerConfig().fresh_every_s if unwatched else PAGE_FRESH_S
        trainer = TrainerConfig(max_seconds=FIRST_S, fresh_every_s=fresh_every_s)
        config = replace(config, page=PageConfig(port=page_port), trainer=trainer, compare=unwatched)
    result = run_demo(config)
    report(msgspec.to_builtins(result), json)


@command(app, rich_help_panel=PANEL)
def simulate(
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .parquet.")],
    sessions: Annotated[int, option(help="Shopper sessions.")] = 20_000,
    items: Annotated[int, option(help="Items of the shop.")] = 2_000,
    seed: Annotated[int, option(help="Of the shop and its shoppers: another seed is another shop.", min=0)] = 0,
    shopper_seed: Annotated[
        int | None, option(help="Other shoppers of the same shop: a test log for the first [--seed's].", min=0)
    ] = None,
    shift_after: Annotated[
        float | None,
        option(
            help="Days into the log after which tastes and a fifth of the items are others [never].", metavar="DAYS"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the click log of a simulated shop: 12 days."""
    from demo.simulated.simulator import log_shift, simulate_log
    from demo.simulated.stock import ShopConfig

    shift = None if shift_after is None else log_shift(shift_after)
    shop = ShopConfig(items=items, seed=seed)
    clicks = simulate_log(out, shop, sessions, shopper_seed=shopper_seed, shift=shift)
    found = {"path": str(out), "sessions": sessions, "clicks": clicks}
    report(found | ({} if shift is None else {"shift_ts": shift.at_ms}), json)
