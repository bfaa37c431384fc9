"""`drill run`: carry a drill out, measure it, judge it, report it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drill.cli import say
from drill.cli.say import policy_option
from drill.errors import SpecError

if TYPE_CHECKING:
    from drill.model import Drill
    from drill.run import Finished


@click.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--probe",
    "probes",
    multiple=True,
    type=click.Path(path_type=Path),
    help="For somebody else's experiment: a probe file that watches the service; may be given several times.",
)
@click.option("--rto", help='For somebody else\'s experiment: the recovery time target, such as "30s".')
@click.option("--rpo", help='For somebody else\'s experiment: the data loss target, such as "1s".')
@click.option(
    "--lost-writes",
    type=click.IntRange(min=0),
    help="For somebody else's experiment: how many acknowledged writes may be lost.",
)
@click.option(
    "--with", "values", multiple=True, metavar="NAME=VALUE", help="A value for ${NAME} in probes and experiments."
)
@click.option("--on", metavar="LAB", help="Run on a lab that is already up: its name or folder.")
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the run's folder goes (default: reports/ of the project).",
)
@policy_option
@click.option(
    "--environment",
    default="",
    help='For somebody else\'s experiment: what it breaks, such as "staging", for policies.',
)
@click.option("--trigger", default="manual", show_default=True, help="What started the run, for the record.")
@click.option("--repeat", type=click.IntRange(min=1), help="Run it so often, and say what that proves.")
@click.option(
    "--cycle",
    help='The longest cycle of the system, such as "20s": each run waits for a random share of it before the fault.',
)
@click.option("--plain", is_flag=True, help="Plain lines instead of the live view.")
@say.json_option
def command(
    file: Path,
    probes: tuple[Path, ...],
    rto: str | None,
    rpo: str | None,
    lost_writes: int | None,
    values: tuple[str, ...],
    on: str | None,
    reports: Path | None,
    policy: Path | None,
    environment: str,
    trigger: str,
    repeat: int | None,
    cycle: str | None,
    plain: bool,
    as_json: bool,
) -> None:
    """
    Run the drill in FILE, or any Chaos Toolkit experiment.

    The result is the exit code: 0 met, 1 missed, 3 inconclusive, 4 aborted or
    refused, 5 unsafe. Ctrl-C stops the drill and undoes what it broke.

    \b
    Examples:
      drill run drills/region-failover.yaml
      drill run drills/region-failover.yaml --repeat 5 --cycle 20s
      drill run their-experiment.json --probe probes/orders-reads.yaml --rto 30s
    """
    from drill.cli import view as views
    from drill.spec import project

    spread = _cycle(cycle)
    loaded = _load(file, probes, {"rto": rto, "rpo": rpo, "lost_writes": lost_writes}, values, on, environment)
    say.warnings(loaded.warnings)
    folder = reports or project.root_of(file) / "reports"
    live = sys.stderr.isatty() and not plain and not as_json

    def carry_out(number: int) -> Finished:
        return _carry_out(loaded.drill, folder, live=live, on=on, trigger=trigger, cycle=spread, policy=policy)

    if repeat is not None:
        raise SystemExit(_again(loaded.drill, repeat, folder, carry_out, as_json=as_json))
    finished = carry_out(1)
    with say.while_heard():
        if as_json:
            click.echo((finished.folder / "report.json").read_bytes(), nl=False)
        else:
            views.verdict(finished)
    raise SystemExit(finished.record.exit_code)


def _carry_out(
    drill: Drill,
    reports: Path,
    *,
    live: bool,
    on: str | None,
    trigger: str,
    cycle: int | None,
    policy: Path | None,
) -> Finished:
    """One run, shown while it goes on."""
    import asyncio

    from drill import run as running
    from drill.cli import view as views

    view: views.PlainView | views.LiveView = views.LiveView() if live else views.PlainView()
    try:
        return asyncio.run(
            running.run(
                drill, reports, view, environment=os.environ, on=on, trigger=trigger, cycle=cycle, policy=policy
            )
        )
    finally:
        view.close()


def _again(drill: Drill, times: int, reports: Path, carry_out: Callable[[int], Finished], *, as_json: bool) -> int:
    """Run it again and again, and say what that proves; the exit code."""
    from drill import repeat as repeating
    from drill.cli import view as views

    def shown(number: int) -> Finished:
        with say.while_heard():
            click.echo(f"run {number} of {times}", err=True)
        finished = carry_out(number)
        if not as_json:
            with say.while_heard():
                views.verdict(finished)
        return finished

    repeated = repeating.repeat(times, shown)
    summary = repeated.summary(times)
    if summary is None:
        if repeated.error:
            raise repeated.error
        return 4
    path = repeating.write(drill, reports, summary)
    with say.while_heard():
        if as_json:
            click.echo(path.read_bytes(), nl=False)
        else:
            views.together(summary, path)
        if repeated.error:
            click.echo(str(repeated.error), err=True)
    return summary.exit_code


def _cycle(text: str | None) -> int | None:
    from drill.spec.shape import LONGEST, parse_duration

    cycle = None if text is None else parse_duration(text)
    if text is not None and not cycle:
        raise SpecError(f'--cycle must be a duration such as "20s" or "5m", not "{text}"')
    if cycle is not None and cycle > LONGEST:
        raise SpecError(f'--cycle must be at most 87600h (ten years), not "{text}"')
    return cycle


def _load(
    file: Path,
    probes: tuple[Path, ...],
    targets: dict[str, Any],
    values: tuple[str, ...],
    on: str | None,
    environment: str,
) -> Any:
    """The drill to run, with the command line's values filled in."""
    from drill import spec
    from drill.spec import project, source

    lab = None
    if on is not None:
        from drill import lab as labs

        lab = labs.find(on).name
    node = source.read(file, project.shown(file))
    given = {key: value for key, value in targets.items() if value is not None}
    if node.kind == "mapping" and node.key("method") and not node.key("drill"):
        objectives = _objectives(given)
        if not probes:
            raise SpecError(
                f"{project.shown(file)} is a Chaos Toolkit experiment; what shall watch the service?",
                hint=f"drill run {project.shown(file)} --probe probes/NAME.yaml --rto 30s",
            )
        return spec.adhoc(file, probes, objectives, values=pairs(values), lab=lab, environment=environment)
    if probes or given or environment:
        raise SpecError(
            "--probe, --rto, --rpo, --lost-writes and --environment are for Chaos Toolkit experiments; "
            "a drill names its own"
        )
    return spec.load(file, values=pairs(values), lab=lab)


def _objectives(given: dict[str, Any]) -> list[Any]:
    from drill.model import Measure, Objective
    from drill.spec.shape import LONGEST, parse_duration

    objectives = []
    for key, value in given.items():
        target = parse_duration(value) if isinstance(value, str) else value
        if target is None:
            raise SpecError(f'--{key} must be a duration such as "90s" or "5m", not "{value}"')
        if isinstance(value, str) and target > LONGEST:
            raise SpecError(f'--{key} must be at most 87600h (ten years), not "{value}"')
        objectives.append(Objective(measure=Measure(key), target=target))
    if not objectives:
        raise SpecError("nothing would be judged", hint="give --rto 30s, --rpo 1s or --lost-writes 0")
    return objectives


def pairs(values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise SpecError(f"--with must be NAME=VALUE, not {value}")
        pairs[name] = text
    return pairs
