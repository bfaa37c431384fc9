"""
The command line.

Every command is a module of its own, and no module here imports anything heavy
before it runs: `drill --help` must answer at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from drill import __version__
from drill.errors import DrillError

# In the order a newcomer meets them.
COMMANDS = ("init", "lint", "plan", "run", "report", "restore", "lab", "plugins", "schema")


class Commands(click.Group):
    """Commands that are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"drill.cli.{cmd_name}"), "command", None)
        return command if isinstance(command, click.Command) else None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="drill")
def drill() -> None:
    """
    Run chaos and disaster-recovery drills and prove what they showed.

    \b
    Try it on this machine, without an account:
      drill init && drill run drills/region-failover.yaml

    \b
    Exit codes:
      0  met            every objective's upper bound is within its target
      1  missed         some objective's lower bound is beyond its target
      2  usage          a file or the command line cannot be used as written
      3  inconclusive   the bounds straddle a target, or evidence is missing
      4  aborted        refused, stopped or could not run; everything restored
      5  unsafe         a fault may still be in place: a person is needed now

    \b
    Completion for bash (zsh and fish alike):
      eval "$(_DRILL_COMPLETE=bash_source drill)"
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the exit code is the result."""
    try:
        drill.main(args=list(arguments) if arguments is not None else None, prog_name="drill", standalone_mode=True)
    except DrillError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone, as `drill plan | head` does.
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
