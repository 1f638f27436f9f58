"""`--mlflow`, for the commands that train."""

from typing import Annotated

from cli.options.group import option

__all__ = ["Mlflow", "tracking_uri"]

Mlflow = Annotated[
    str | None,
    option("--mlflow", metavar="URI", help="Have MLflow keep each training [not].", rich_help_panel="The run"),
]


def tracking_uri(given: str | None) -> str:
    """The address in full, empty where none is given. ConfigError where it can't be one, or MLflow is missing."""
    if given is None:
        return ""
    from model.reports.mlflow_store import check_uri

    return check_uri(given)
