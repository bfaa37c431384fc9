"""`drill resume`: let drills begin again."""

from __future__ import annotations

import os

import click

from drill.cli import say
from drill.cli.abort import reason_option


@click.command("resume")
@reason_option
@say.json_option
def command(reason: str, as_json: bool) -> None:
    """
    Let drills begin again after `drill stop-all`.

    \b
    Example:
      drill resume --reason "incident 4711 is over"
    """
    from drill import state

    said = state.resume(state.folder(os.environ), reason)
    if as_json:
        say.data({"resumed": said is not None, "stopped": said})
    elif said is None:
        click.echo("nothing had been stopped")
    else:
        click.echo(f"drills may begin again; drill stop-all was {state.sentence(said)}")
