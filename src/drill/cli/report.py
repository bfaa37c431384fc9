"""`drill report`: the reports of a finished run, made again from its journal alone."""

from __future__ import annotations

from pathlib import Path

import click

from drill.cli import say
from drill.errors import EnvironmentFault, SpecError


@click.command("report")
@click.argument("run", required=False)
@click.option("--format", "only", help="Only this format (see drill plugins).")
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Where runs are.",
)
@say.json_option
def command(run: str | None, only: str | None, reports: Path, as_json: bool) -> None:
    """
    Write the reports of RUN (a folder or a run's id; default: the latest) again, and show its verdict.

    Everything comes from the journal, so the verdict is the same next year on
    another machine. The exit code is the run's.

    \b
    Example:
      drill report reports/sample --format html
    """
    from drill import plugins
    from drill import run as running
    from drill.cli import view as views
    from drill.journal import is_live, replay
    from drill.reports.json import JsonFormat

    if only is not None and only not in plugins.installed("report"):
        raise SpecError(f"no report format {only}", hint=f"known are {', '.join(sorted(plugins.installed('report')))}")
    folder = folder_of(run, reports)
    if is_live(folder):
        raise EnvironmentFault(f"the run {folder.name} is still going on: there is nothing to judge yet")
    finished = running.finish(folder, only=only)
    with say.while_heard():
        if as_json:
            click.echo(JsonFormat().render(finished.record, replay(finished.folder)), nl=False)
        else:
            views.verdict(finished)
    raise SystemExit(finished.record.exit_code)


def folder_of(run: str | None, reports: Path) -> Path:
    """
    The folder a person means by *run*: a folder, an id, or the latest.

    Raises:
        SpecError: There is no such run.
    """
    from drill.journal import NAME

    known = sorted(path.parent for path in reports.glob(f"*/{NAME}")) if reports.is_dir() else []
    if run is None:
        dated = [folder for folder in known if folder.name[:8].isdigit()]
        if not dated:
            raise SpecError(f"there is no run in {reports}/", hint="drill run writes one, or name a run's folder")
        return dated[-1]
    for folder in (Path(run), reports / run):
        if (folder / NAME).is_file():
            return folder
    import difflib

    near = difflib.get_close_matches(run, [folder.name for folder in known], n=1)
    hint = f"did you mean {near[0]}?" if near else f"{reports}/ holds {len(known)} runs"
    raise SpecError(f"there is no run {run}", hint=hint)
