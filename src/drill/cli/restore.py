"""`drill restore`: undo what a dead run left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drill.cli import say
from drill.errors import DrillError, FaultLeftInPlace

if TYPE_CHECKING:
    from drill.run import Finished


@click.command("restore")
@click.argument("run", required=False)
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Where runs are.",
)
@say.json_option
def command(run: str | None, reports: Path, as_json: bool) -> None:
    """
    Undo every fault that RUN left, or any run of this user, and end those runs.

    Safe to repeat, from any process, after any crash. A run that is still going
    on is left alone. Exit code 5 when an undo cannot be verified.

    \b
    Example:
      drill restore
    """
    from contextlib import suppress

    from drill import restoring, state
    from drill import run as running
    from drill.cli.report import folder_of

    folders = [folder_of(run, reports)] if run else restoring.unfinished(reports)
    if not run:
        # Those that never said they were over, wherever their reports are.
        known = {folder.resolve() for folder in folders}
        elsewhere = [folder for folder in state.entered(state.folder(os.environ)) if folder not in known]
        folders += [folder for folder in elsewhere if restoring.left_something(folder)]
    undone: list[Path] = []
    done: list[Finished] = []
    left: list[tuple[Path, DrillError]] = []
    for folder in folders:
        try:
            if _restore(folder):
                undone.append(folder)
        except DrillError as error:
            left.append((folder, error))  # the others are undone all the same
    # Only now the reports: whatever is wrong with one keeps no fault in place.
    for folder in undone:
        try:
            done.append(running.finish(folder))
        except DrillError as error:
            left.append((folder, error))
    for folder, trouble in left:
        if isinstance(trouble, FaultLeftInPlace):
            with suppress(DrillError):
                running.finish(folder)
    if as_json:
        say.data(
            {
                "restored": [finished.record.run_id for finished in done],
                "unsafe": [
                    {"run": folder.name, "error": error.args[0], "instructions": list(error.instructions)}
                    for folder, error in left
                    if isinstance(error, FaultLeftInPlace)
                ],
                "failed": [
                    {"run": folder.name, "error": str(error)}
                    for folder, error in left
                    if not isinstance(error, FaultLeftInPlace)
                ],
            }
        )
    else:
        for finished in done:
            click.echo(f"{finished.record.run_id}: restored; the run ended {finished.record.result}")
        if not done and not left:
            click.echo("nothing to restore")
    for folder, trouble in left:
        click.echo(f"{folder.name}: {trouble}", err=True)
    if left:
        raise SystemExit(max(trouble.exit_code for _, trouble in left))


def _restore(folder: Path) -> bool:
    """
    Undo what one run left; False when there was nothing to undo.

    Raises:
        FaultLeftInPlace: An undo could not be verified, or was cut short.
        EnvironmentFault: The run is still going on.
    """
    import asyncio

    from drill import restoring

    try:
        return asyncio.run(restoring.restore_run(folder, lambda text: click.echo(text, err=True))) is not None
    except KeyboardInterrupt:
        raise FaultLeftInPlace(
            "undoing was stopped by a person", instructions=[f"drill restore {folder} undoes what is left"]
        ) from None
