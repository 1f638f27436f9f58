"""Options of the commands that run until they are stopped: where they answer to their operator, and how they log."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from cli.options.group import option
from cli.options.log import LogFormat
from export.errors import ConfigError

if TYPE_CHECKING:
    from stream.ops.web import WebServer

__all__ = ["Feedback", "Scoreboard", "Serve", "Service", "Similar", "Trainer", "Worker"]

PANEL = "The process"
_LEVELS = ("debug", "info", "warning", "error")

WebPort = Annotated[int, option("--web-port", metavar="N", help="Their port; 0: any.", rich_help_panel=PANEL)]


@dataclass(frozen=True, kw_only=True)
class Service:
    """What all of them take. Each has a port of its own, as several run on one machine: the classes below."""

    web_host: Annotated[
        str,
        option("--web-host", metavar="HOST", help="/health, /metrics and what else is served listen here.",
               rich_help_panel=PANEL),
    ] = "127.0.0.1"  # fmt: skip
    web_port: WebPort = field()  # else it would have no place behind the host
    log_level: Annotated[
        str,
        option("--log-level", envvar="NEXTCLICK_LOG_LEVEL", metavar="NAME", help="debug, info, warning or error.",
               rich_help_panel=PANEL),
    ] = "info"  # fmt: skip
    log_format: LogFormat = "text"

    def __post_init__(self) -> None:
        if self.log_level.lower() not in _LEVELS:
            raise ConfigError(f"--log-level must be one of {', '.join(_LEVELS)}, not {self.log_level!r}")

    def log_as_told(self) -> None:
        """Nothing below the level is logged from now on."""
        logging.getLogger().setLevel(self.log_level.upper())

    @contextmanager
    def answering(self, web: "WebServer", what: str = "health and metrics") -> Iterator[None]:
        """Have `web` listen meanwhile, and say where. ConfigError where the port can't be had."""
        port = asyncio.run(web.start())
        logging.getLogger(__name__).info("%s on http://%s:%d", what, self.web_host, port)
        try:
            yield
        finally:
            asyncio.run(web.stop())


@dataclass(frozen=True, kw_only=True)
class Worker(Service):
    """`worker`"""

    web_port: WebPort = 8080


@dataclass(frozen=True, kw_only=True)
class Trainer(Service):
    """`trainer`"""

    web_port: WebPort = 8081


@dataclass(frozen=True, kw_only=True)
class Scoreboard(Service):
    """`scoreboard`"""

    web_port: WebPort = 8082


@dataclass(frozen=True, kw_only=True)
class Feedback(Service):
    """`feedback`"""

    web_port: WebPort = 8084


@dataclass(frozen=True, kw_only=True)
class Similar(Service):
    """`similar publish --follow`"""

    web_port: WebPort = 8085


@dataclass(frozen=True, kw_only=True)
class Serve(Service):
    """`serve`"""

    web_port: WebPort = 8086
