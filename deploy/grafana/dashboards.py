"""Write the dashboards of Grafana: python -m deploy.grafana.dashboards

They follow from the panels of panels.py and from the metrics that the services define; CI checks that the files here
are what this program writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from prometheus_client.metrics_core import Metric

from bench.rig.registries import registries
from deploy.grafana.panels import BOARDS, NOTHING_YET, Board, Panel, Query

__all__ = ["FOLDER", "dashboard", "main", "rows_of"]

FOLDER = Path(__file__).parent / "boards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_WIDE, _HIGH = 6, 7  # of the 24 columns of the grid; in its lines


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for board in BOARDS:
        (FOLDER / f"{board.service}.json").write_text(dashboard(board))


def dashboard(board: Board) -> str:
    """Return the JSON of a dashboard."""
    made = Dashboard(board.title).uid(f"nextclick-{board.service}").tags(["nextclick"]).refresh("10s")
    made = made.time("now-30m", "now").with_variable(
        DatasourceVariable("source").type("prometheus").label("Prometheus")
    )
    for title, panels in rows_of(board):
        made = made.with_row(Row(title))
        for panel in panels:
            made = made.with_panel(_drawn(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def rows_of(board: Board) -> list[tuple[str, tuple[Panel, ...]]]:
    """Return its rows, with a last one of the metrics that none of the others shows."""
    asked = set(re.findall(r"nextclick_[a-z0-9_]+", " ".join(_queries(board))))
    families = sorted(registries()[board.service].collect(), key=lambda family: family.name)
    others = [family for family in families if _ours(family) and not _names(family) & asked]
    rows = list(board.rows)
    return [*rows, ("All else", tuple(_plain(family, board.job) for family in others))] if others else rows


def _queries(board: Board) -> list[str]:
    return [query.expr for _, panels in board.rows for panel in panels for query in panel.queries]


def _ours(family: Metric) -> bool:
    return family.name.startswith("nextclick_") and family.type != "info"


def _names(family: Metric) -> set[str]:
    return {family.name + suffix for suffix in ("", "_total", "_bucket", "_sum", "_count")}


def _plain(family: Metric, job: str) -> Panel:
    """A panel for a metric of which nothing else is known."""
    title, of = family.name.removeprefix("nextclick_").replace("_", " "), f'{{job="{job}"}}'
    about, ends = family.documentation, (("_seconds", "s"), ("_bytes", "bytes"), ("_ms", "ms"))
    unit = next((unit for end, unit in ends if end in family.name), "short")
    if family.type == "counter":
        return Panel(
            f"{title}, in 5 minutes", (Query(f"increase({family.name}_total{of}[5m]){NOTHING_YET}", ""),), unit, about
        )
    if family.type == "histogram":
        by_time = f"sum by (le) (rate({family.name}_bucket{of}[5m]))"
        return Panel(title, (Query(f"histogram_quantile(0.99, {by_time})", "p99"),), unit, about)
    at_rest = NOTHING_YET if family.name.endswith("_problem") else ""
    return Panel(title, (Query(f"{family.name}{of}{at_rest}", ""),), unit, about)


def _drawn(panel: Panel) -> TimeSeries:
    drawn = TimeSeries().title(panel.title).unit(panel.unit).datasource(_SOURCE).span(_WIDE).height(_HIGH)
    drawn = drawn.description(panel.about).legend(VizLegendOptions().show_legend(True))
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        drawn = drawn.with_target(Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter))
    return drawn


if __name__ == "__main__":
    main()
