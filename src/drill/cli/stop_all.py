"""`drill stop-all`: end every run of this user, and let none begin."""

from __future__ import annotations

import os
from pathlib import Path

import click

from drill.cli import say
from drill.cli.abort import end, reason_option, reports_option, within_option


@click.command("stop-all")
@reason_option
@reports_option
@within_option
@say.json_option
def command(reason: str, reports: Path, within: str, as_json: bool) -> None:
    """
    End every run of this user on this machine, and refuse new ones until `drill resume`.

    First the word that no drill may begin, then the end of those that go on.
    Waits until everything they broke is undone. Exit code 5 when a fault may
    still be in place.

    \b
    Example:
      drill stop-all --reason "incident 4711"
    """
    from drill import aborting, state

    home = state.folder(os.environ)
    said = state.stop_all(home, reason)
    click.echo("no drill begins until: drill resume", err=True)
    end(
        aborting.going_on(home, reports),
        f"drill stop-all: {reason}" if reason else "drill stop-all",
        within,
        as_json=as_json,
        nothing="no drill was going on",
        more={"stopped": said},
    )
