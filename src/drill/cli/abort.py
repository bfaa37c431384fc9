"""`drill abort`: end a run from another terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drill.cli import say
from drill.errors import DrillError, FaultLeftInPlace, SpecError

if TYPE_CHECKING:
    from drill.aborting import Aborted

reason_option = click.option("--reason", default="", help="Why, for the record.")
reports_option = click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Where runs are; those of this user elsewhere are found as well.",
)
within_option = click.option(
    "--within", default="10m", show_default=True, help="How long to wait until everything is undone."
)


@click.command("abort")
@click.argument("run", required=False)
@reason_option
@reports_option
@within_option
@say.json_option
def command(run: str | None, reason: str, reports: Path, within: str, as_json: bool) -> None:
    """
    End RUN (a folder or an id; default: the one that goes on), and wait until what it broke is undone.

    As Ctrl-C in its own terminal: the drill stops, undoes its faults and ends
    aborted, with the reason in its report. A run whose processes are gone is
    restored from here. Exit code 5 when a fault may still be in place.

    \b
    Examples:
      drill abort
      drill abort 20261121-154903-region-failover-1a2b --reason "customers call"
    """
    from drill import aborting, state

    home = state.folder(os.environ)
    live = aborting.going_on(home, reports)
    if run is not None:
        folders = [_named(run, live, reports)]
    elif len(live) > 1:
        raise SpecError(
            f"{len(live)} drills are going on: {', '.join(folder.name for folder in live)}",
            hint="name one, or end them all: drill stop-all",
        )
    else:
        folders = live
    end(folders, reason, within, as_json=as_json, nothing="no drill is going on")


def end(
    folders: Sequence[Path],
    reason: str,
    within: str,
    *,
    as_json: bool,
    nothing: str,
    more: dict[str, Any] | None = None,
) -> None:
    """End every run in *folders*, say so, and leave with the worst of their exit codes."""
    from drill import aborting
    from drill.spec.shape import parse_duration

    within_ns = parse_duration(within)
    if not within_ns:
        raise SpecError(f'--within must be a duration such as "90s" or "5m", not "{within}"')
    done: list[Aborted] = []
    left: list[tuple[Path, DrillError]] = []
    for folder in folders:
        try:
            done.append(aborting.abort(folder, reason, lambda text: click.echo(text, err=True), within_ns / 1e9))
        except DrillError as error:
            left.append((folder, error))
    unsafe = [each for each in done if each.completion.value == "unsafe"]
    if as_json:
        say.data(
            {**(more or {}), "aborted": [_data(each) for each in done], "failed": [_failed(*each) for each in left]}
        )
    else:
        for each in done:
            what = "a fault may still be in place" if each in unsafe else "everything is undone"
            click.echo(f"{each.run_id}: {each.completion.value} after {each.took_s:.1f} s, {what} ({each.reason})")
        if not folders:
            click.echo(nothing)
    for folder, trouble in left:
        click.echo(f"{folder.name}: {trouble}", err=True)
    code = max([trouble.exit_code for _, trouble in left] + [FaultLeftInPlace.exit_code for _ in unsafe], default=0)
    if code:
        raise SystemExit(code)


def _named(run: str, live: Sequence[Path], reports: Path) -> Path:
    from drill.cli.report import folder_of

    return next((folder for folder in live if folder.name == run), None) or folder_of(run, reports)


def _data(each: Aborted) -> dict[str, Any]:
    return {
        "run": each.run_id,
        "folder": str(each.folder),
        "completion": each.completion.value,
        "reason": each.reason,
        "took_s": round(each.took_s, 3),
    }


def _failed(folder: Path, error: DrillError) -> dict[str, Any]:
    return {"run": folder.name, "folder": str(folder), "error": str(error), "exit_code": error.exit_code}
