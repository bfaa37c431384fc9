"""`drill doctor`: whether this machine can run drills."""

from __future__ import annotations

import os
from pathlib import Path

import click

from drill.cli import say


@click.command("doctor")
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Where runs go.",
)
@say.json_option
def command(reports: Path, as_json: bool) -> None:
    """
    Look at this machine: its parts, disk, clock and limits, other drills, and whether there are credentials.

    Nothing is broken or left behind, and no credential is shown. Exit code 4 when drills cannot run so.

    \b
    Example:
      drill doctor
    """
    from dataclasses import asdict

    from drill import doctor

    found = doctor.examine(reports, os.environ)
    if as_json:
        say.data({"ok": all(each.ok is not False for each in found), "findings": [asdict(each) for each in found]})
    else:
        say.findings(found)
    if any(each.ok is False for each in found):
        raise SystemExit(4)
