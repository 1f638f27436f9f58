"""`experiment`: which models are compared, and on how many sessions."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands import experiment_replay
from cli.options.common import Json, RegistryUrl
from cli.options.group import command, option
from cli.options.kafka import Kafka
from cli.output import print_json, print_line, print_table, say

if TYPE_CHECKING:
    from export.experiments.experiment import Experiment
    from stream.experiments.lifecycle import Announced

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Experiments: models compared on the shop's own sessions.")
app.add_typer(experiment_replay.app)

Name = Annotated[str, typer.Argument(help="The experiment's name.")]


@command(app, "start")
def start(
    name: Name,
    variant: Annotated[
        list[str],
        option(
            "--variant",
            metavar="NAME=VERSION:SHARE",
            help="A model and its percentage of the sessions, the control first: control=12:50. VERSION `live`: "
            "whatever is live. Without shares they are equal.",
        ),
    ],
    registry: RegistryUrl,
    kafka: Kafka,
    exposure: Annotated[
        str, option("--exposure", metavar="PERCENT", help="How many of all sessions take part.")
    ] = "100",
    interleave: Annotated[
        bool, option("--interleave", help="One list of both models for everybody, by team draft: the faster test.")
    ] = False,
    again: Annotated[
        bool, option("--again", help="Although one of this name ran before: the same sessions are exposed.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare models: workers serve each session its variant within seconds."""
    from cli.options.variants import buckets_of, read_variants
    from export.experiments.experiment import Experiment
    from export.registry.registry import Registry

    wanted = Experiment(
        name, read_variants(variant), exposure=buckets_of(exposure, "--exposure"), interleave=interleave
    )
    announced = _announced(kafka)
    started, warnings = announced.start(wanted, Registry(registry), again=again)
    _say_unreadable(announced)
    for warning in warnings:
        say(f"warning: {warning}")
    _show(started, json, warnings=warnings)


@command(app, "status")
def status(
    kafka: Kafka,
    name: Annotated[str | None, typer.Argument(help="The experiment's name; left out: all that run.")] = None,
    json: Json = False,
) -> None:
    """How an experiment stands, or all that run."""
    from export.errors import ConfigError

    announced = _announced(kafka)
    found = announced.read()
    _say_unreadable(announced)
    if name is None:
        _show_all([one for one in found.values() if one.state == "running"], json)
    elif name in found:
        _show(found[name], json)
    else:
        raise ConfigError(f"there is no experiment {name}: `nextclick experiment list` shows those there are")


@command(app, "list")
def list_experiments(kafka: Kafka, json: Json = False) -> None:
    """All experiments, those that were stopped too."""
    announced = _announced(kafka)
    found = announced.read()
    _say_unreadable(announced)
    _show_all(list(found.values()), json)


@command(app, "stop")
def stop(
    name: Name,
    kafka: Kafka,
    promote: Annotated[
        str | None, option("--promote", metavar="VARIANT", help="Make this variant's version live, for everybody.")
    ] = None,
    registry: Annotated[
        str | None,
        option("--registry", envvar="NEXTCLICK_REGISTRY", metavar="URL", help="Where --promote says what is live."),
    ] = None,
    reason: Annotated[str, option("--reason", metavar="TEXT", help="Why; kept with the experiment.")] = "",
    json: Json = False,
) -> None:
    """End an experiment: all sessions get the live model within seconds."""
    from export.errors import ConfigError
    from export.registry.registry import Registry

    if promote is not None and registry is None:
        raise ConfigError("--promote needs --registry, where it says which version is live")
    announced = _announced(kafka)
    store = Registry(registry) if registry is not None else None
    stopped, version = announced.stop(name, store, promote=promote, reason=reason)
    _say_unreadable(announced)
    if promote is not None and version is None:
        say(f"variant {promote} is what is live: nothing was to be promoted")
    _show(stopped, json, promoted=version)


def _announced(kafka: Kafka) -> "Announced":
    from stream.experiments.lifecycle import Announced

    return Announced(kafka.bootstrap_servers, kafka.topic_names(), kafka.client())


def _say_unreadable(announced: "Announced") -> None:
    if announced.unreadable:
        say(f"warning: {len(announced.unreadable)} messages were left out, such as: {announced.unreadable[-1]}")


def _show(experiment: "Experiment", json: bool, **more: Any) -> None:
    facts = _facts(experiment)
    if json:
        return print_json({**facts, **more})
    since = f", since {_moment(experiment.started_ts)} (UTC)"
    print_line(f"{experiment.experiment}: {experiment.state}{since}{_why(experiment.reason)}")
    kind = "interleaved lists of both" if experiment.interleave else "a list of one"
    print_line(f"{facts['exposure']:g} % of all sessions take part: {kind}")
    if more.get("promoted"):
        print_line(f"version {more['promoted']} is live")
    rows = [[name, v["version"] or "live", f"{v['share']:g} %", v["stopped"]] for name, v in facts["variants"].items()]
    return print_table(["variant", "version", "share", "stopped because"], rows)


def _show_all(experiments: "list[Experiment]", json: bool) -> None:
    experiments = sorted(experiments, key=lambda one: (one.started_ts, one.experiment))
    if json:
        return print_json({"experiments": [_facts(one) for one in experiments]})
    rows = []
    for one in experiments:
        facts = _facts(one)
        variants = ", ".join(f"{n}={v['version'] or 'live'}:{v['share']:g}" for n, v in facts["variants"].items())
        kind = "interleaved" if one.interleave else "split"
        rows.append(
            [one.experiment, one.state, _moment(one.started_ts), f"{facts['exposure']:g} %", kind, variants, one.reason]
        )
    return print_table(
        ["experiment", "state", "started (UTC)", "exposure", "lists", "variants", "stopped because"], rows
    )


def _facts(experiment: "Experiment") -> dict[str, Any]:
    from cli.options.variants import percent_of

    return {
        "experiment": experiment.experiment,
        "state": experiment.state,
        "exposure": percent_of(experiment.exposure),
        "interleave": experiment.interleave,
        "started_ts": experiment.started_ts,
        "announced_ts": experiment.announced_ts,
        "reason": experiment.reason,
        "variants": {
            one.name: {"version": one.version, "share": percent_of(one.share), "stopped": one.stopped}
            for one in experiment.variants
        },
    }


def _why(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _moment(ts: int) -> str:
    try:
        return datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return ""
