"""`feedback`: what was shown and passed over, as skips."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.log import LogFormat

__all__ = ["app"]

app = typer.Typer()
SKIPS = "The skips"
PROCESS = "The process"


@command(app, rich_help_panel="Serve")
def feedback(
    kafka: Kafka,
    state: Annotated[
        Path,
        option(envvar="NEXTCLICK_FEEDBACK_STATE", metavar="DIR", help="How far it has read, kept here over restarts."),
    ],
    most: Annotated[int, option(metavar="N", help="Skips of one click.", min=1, rich_help_panel=SKIPS)] = 5,
    most_of_session: Annotated[int, option(metavar="N", help="Skips of a session.", min=1, rich_help_panel=SKIPS)] = 30,
    max_age_s: Annotated[float, option(metavar="N", help="Older clicks say nothing.", rich_help_panel=SKIPS)] = 600.0,
    impressions: Annotated[
        bool,
        option(
            "--impressions",
            help="Lists as storefronts showed them (the topic impressions), instead of ours.",
            rich_help_panel=SKIPS,
        ),
    ] = False,
    placement: Annotated[
        str, option(metavar="NAME", help="Whose lists are joined, where workers make several.", rich_help_panel=SKIPS)
    ] = "",
    session_timeout_minutes: Annotated[
        float, option(metavar="N", help="A longer silence starts a new session.", rich_help_panel=SKIPS)
    ] = 30.0,
    web_host: Annotated[
        str, option(metavar="HOST", help="/health and /metrics listen here.", rich_help_panel=PROCESS)
    ] = "127.0.0.1",
    web_port: Annotated[int, option(metavar="N", help="Their port; 0: any.", rich_help_panel=PROCESS)] = 8084,
    log_level: Annotated[
        str, option(metavar="NAME", help="debug, info, warning or error.", rich_help_panel=PROCESS)
    ] = "info",
    log_format: LogFormat = "text",
) -> None:
    """Join lists with the clicks that follow, and send what stood above a clicked item as skips to the clicks."""
    from stream.feedback.service import FeedbackService
    from stream.feedback.skips import SkipConfig
    from stream.kafka.clients import wait_for_broker
    from stream.ops.signals import StopSignal
    from stream.scoreboard.config import ScoreboardConfig

    joining = ScoreboardConfig(idle_s=session_timeout_minutes * 60, placement=placement, snapshot_s=5.0)
    config = SkipConfig(most=most, most_of_session=most_of_session, max_age_s=max_age_s)
    log = logging.getLogger(__name__)
    logging.getLogger().setLevel(log_level.upper())
    stop = StopSignal()
    topics, client = kafka.topic_names(), kafka.client()
    wait_for_broker(kafka.bootstrap_servers, client, stopped=stop.event)
    service = FeedbackService(
        kafka.bootstrap_servers, state, topics, client, joining=joining, config=config, impressions=impressions
    )
    web = service.web(web_host, web_port)
    log.info("health and metrics on http://%s:%d", web_host, asyncio.run(web.start()))
    try:
        service.run(stop.event)
    finally:
        asyncio.run(web.stop())
