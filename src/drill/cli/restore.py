"""`drill restore`: undo what a dead run left."""

from __future__ import annotations

from pathlib import Path

import click

from drill.cli import say


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
    Undo every fault that RUN left, or that any run in --reports left, and end those runs.

    Safe to repeat, from any process, after any crash. A run that is still going
    on is left alone. Exit code 5 when an undo cannot be verified.

    \b
    Example:
      drill restore
    """
    import asyncio

    from drill import restoring
    from drill import run as running
    from drill.cli.report import folder_of
    from drill.errors import FaultLeftInPlace

    folders = [folder_of(run, reports)] if run else restoring.unfinished(reports)
    done, left = [], []
    for folder in folders:
        try:
            history = asyncio.run(restoring.restore_run(folder, lambda text: click.echo(text, err=True)))
        except FaultLeftInPlace as error:
            left.append((folder, error))
            running.finish(folder)
            continue
        if history is not None:
            done.append(running.finish(folder))
    if as_json:
        say.data(
            {
                "restored": [finished.record.run_id for finished in done],
                "unsafe": [
                    {"run": folder.name, "error": error.args[0], "instructions": list(error.instructions)}
                    for folder, error in left
                ],
            }
        )
    else:
        for finished in done:
            click.echo(f"{finished.record.run_id}: restored; the run ended {finished.record.result}")
        if not done and not left:
            click.echo("nothing to restore")
    for folder, unsafe in left:
        click.echo(f"{folder.name}: {unsafe}", err=True)
    if left:
        raise SystemExit(FaultLeftInPlace.exit_code)
