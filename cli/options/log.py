"""The option of how a service writes its log."""

from typing import Annotated, Literal

from cli.options.group import option

__all__ = ["LogFormat", "LogStyle"]

LogStyle = Literal["text", "json"]


def _use(style: LogStyle) -> LogStyle:
    """As the words are parsed, so that whatever is said afterwards is written so."""
    if style == "json":
        from export.log_lines import use_json_lines

        use_json_lines()
    return style


LogFormat = Annotated[
    LogStyle,
    option(
        "--log-format",
        envvar="NEXTCLICK_LOG_FORMAT",
        metavar="NAME",
        callback=_use,
        is_eager=True,
        help="text, or json: one object a line.",
        rich_help_panel="The process",
    ),
]
