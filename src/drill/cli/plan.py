"""`drill plan`: what a drill would do; touches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from drill.cli import say
from drill.errors import printable


@click.command("plan")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with", "values", multiple=True, metavar="NAME=VALUE", help="A value for ${NAME}.")
@say.policy_option
@click.option("--check", is_flag=True, help="Also look whether it would work here: probes that only read ask once.")
@say.json_option
def command(file: Path, values: tuple[str, ...], policy: Path | None, check: bool, as_json: bool) -> None:
    """
    Show what the drill in FILE would break, undo and watch, for how long, and whether policies allow it now.

    Nothing is touched: no lab is brought up, no service is asked. With --check, probes that only read ask
    once, whatever stands in the way is named, and the exit code is 4 when something does.

    \b
    Examples:
      drill plan drills/region-failover.yaml
      drill plan drills/region-failover.yaml --check
    """
    import os

    from drill import engines, permission, plugins, preflight, spec
    from drill import plan as planning
    from drill.cli.run import pairs

    loaded = spec.load(file, values=pairs(values))
    say.warnings(loaded.warnings)
    if loaded.drill.load is not None:
        from drill import load

        load.check(loaded.drill.load)
    taking = engines.limits(loaded.drill.faults)
    made = planning.make(loaded.drill, {}, carrying_out=sum(each.inject for each in taking.values()))
    describe = {fault.name: plugins.load("engine", fault.engine)().describe(fault) for fault in made.faults}
    unsaid = {name: each.unsaid for name, each in taking.items() if each.unsaid is not None}
    answer = permission.ask(loaded.drill, os.environ, policy=policy)
    outline = planning.outline(made, describe, unsaid) | {
        "without_undo": preflight.without_undo(made),
        "policies": [each.policy.file for each in answer.policies],
        "approvals": [] if answer.permission is None else [each.by for each in answer.permission.approvals],
        "refusals": [say.problem_data(refusal) for refusal in answer.refusals],
    }
    findings = preflight.check(loaded.drill, made, os.environ) if check else []
    if as_json:
        say.data(outline | ({"checks": [preflight.data(finding) for finding in findings]} if check else {}))
    else:
        shown = _printable(outline)
        _print(shown)
        _print_permission(shown)
        if check:
            click.echo("\nchecks")
            say.findings(findings)
    if check and (answer.refusals or any(finding.ok is False for finding in findings)):
        raise SystemExit(4)


def _printable(data: Any) -> Any:
    """The same with each text as a terminal may show it: titles and names may be a stranger's."""
    if isinstance(data, str):
        return printable(data)
    if isinstance(data, dict):
        return {key: _printable(value) for key, value in data.items()}
    return [_printable(item) for item in data] if isinstance(data, list | tuple) else data


def _print(outline: dict[str, Any]) -> None:
    from drill import wording
    from drill.model import SECOND

    def took(seconds: float | None) -> str:
        return "" if seconds is None else wording.duration(round(seconds * SECOND))

    click.echo(f"{outline['title']}\n")
    where = f" on the lab {outline['lab']}" if outline["lab"] else ""
    if outline["environment"] and not outline["lab"]:
        where = f" in {outline['environment']}"
    click.echo(f"drill {outline['drill']} of system {outline['system']}{where}; plan {outline['digest'][:12]}\n")
    click.echo("must hold")
    say.table(
        (
            wording.MEASURES[wording.measure_of(item["id"])],
            _target(item["id"], item["target"]),
            item["source"] or "",
        )
        for item in outline["objectives"]
    )
    click.echo("\nbreaks")
    for item in outline["breaks"]:
        click.echo(f"  {item['fault']} ({item['engine']}, {item['file']})")
        for text in item["does"]:
            click.echo(f"    {text}")
    click.echo("\nwatches")
    say.table(
        (
            item["probe"],
            item["kind"],
            item["role"],
            f"every {took(item['every_s'])}",
            f"deadline {took(item['deadline_s'])}",
            "writes, and reads survivors back" if item["writes"] else "",
        )
        for item in outline["watches"]
    )
    if outline["load"]:
        click.echo("\nload")
        click.echo(
            f"  {outline['load']['tool']}, {outline['load']['sends']}: {', then '.join(outline['load']['steps'])}"
        )
    click.echo("\nsteps")
    say.table(
        (f"{n}.", item["step"], f"at most {took(item['within_s'])}" if item["within_s"] is not None else "")
        for n, item in enumerate(outline["steps"], 1)
    )
    if outline["undone_at_the_end"]:
        click.echo(f"\nundone at the end: {', '.join(outline['undone_at_the_end'])}")
    click.echo(f"\nlasts {took(outline['longest_s'])} at most, undoing and reading survivors on top")
    for item in outline["breaks"]:
        if item["activity_deadline_s"] is not None:
            limit = took(item["activity_deadline_s"])
            click.echo(f"{item['fault']}: an activity without a timeout of its own is ended after {limit}")
    if outline["expires_s"] is not None:
        click.echo(f"a fault in place for more than {took(outline['expires_s'])} is undone, whatever the drill is at")


def _print_permission(outline: dict[str, Any]) -> None:
    """What nobody could undo, and what policies say."""
    for name in outline["without_undo"]:
        click.echo(f"nobody undoes {name}: it declares no rollbacks, and what it leaves behind stays")
    if outline["refusals"]:
        click.echo("\nnot allowed now")
        for refusal in outline["refusals"]:
            click.echo(f"  {refusal['message']}\n    {refusal['hint']}")
    elif outline["policies"]:
        by = f"; approved by {', '.join(outline['approvals'])}" if outline["approvals"] else ""
        click.echo(f"\nallowed now by {', '.join(outline['policies'])}{by}")


def _target(objective: str, target: int) -> str:
    from drill import wording

    measure = wording.measure_of(objective)
    if measure in wording.COUNTS:
        return wording.count(target)
    return wording.share(target, measure) if measure in wording.SHARES else wording.target(target)
