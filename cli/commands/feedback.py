"""`feedback`: what was shown and passed over, as skips."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.options.service import Feedback

__all__ = ["app"]

app = typer.Typer()
SKIPS = "The skips"


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
    process: Feedback = Feedback(),
) -> None:
    """Join lists with the clicks that follow, and send what stood above a clicked item as skips to the clicks."""
    from stream.feedback.service import FeedbackService
    from stream.feedback.skips import SkipConfig
    from stream.kafka.clients import wait_for_broker
    from stream.ops.signals import StopSignal
    from stream.scoreboard.config import ScoreboardConfig

    joining = ScoreboardConfig(idle_s=session_timeout_minutes * 60, placement=placement, snapshot_s=5.0)
    config = SkipConfig(most=most, most_of_session=most_of_session, max_age_s=max_age_s)
    process.log_as_told()
    stop = StopSignal()
    topics, client = kafka.topic_names(), kafka.client()
    wait_for_broker(kafka.bootstrap_servers, client, stopped=stop.event)
    service = FeedbackService(
        kafka.bootstrap_servers, state, topics, client, joining=joining, config=config, impressions=impressions
    )
    with process.answering(service.web(process.web_host, process.web_port)):
        service.run(stop.event)
