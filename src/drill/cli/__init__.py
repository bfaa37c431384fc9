"""
The command line.

Every command is a module of its own, and no module here imports anything heavy
before it runs: `drill --help` must answer at once.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from drill import __version__
from drill.errors import DrillError

# In the order a newcomer meets them; what each does is said here, so that a list of them imports none.
COMMANDS = {
    "init": "Copy the shipped drills, experiments and probes into a folder.",
    "lint": "Find every mistake in drills, probes and experiments, offline.",
    "plan": "Show what a drill would break, undo and watch; nothing is touched.",
    "doctor": "See whether this machine can run drills.",
    "approve": "Say yes to one exact plan, where a policy wants that.",
    "run": "Run a drill, or any Chaos Toolkit experiment.",
    "report": "Write the reports of a run again.",
    "abort": "End a run that goes on; its faults are undone.",
    "restore": "Undo every fault that a run left.",
    "stop-all": "End every run of this user, and refuse new ones.",
    "resume": "Let drills begin again after `drill stop-all`.",
    "lab": "Bring an embedded lab up or down, or see how it is.",
    "plugins": "List engines, probe kinds, report formats and labs.",
    "schema": "Print the JSON Schema of drills, probes, policies or report.json.",
}

_NOBODY_READS = 141  # whoever read our output has gone, as `drill plan | head` does: what a shell makes of SIGPIPE


class Commands(click.Group):
    """Commands that are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"drill.cli.{cmd_name.replace('-', '_')}"), "command", None)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


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
    """Run the command line; the exit code is the result, also when nobody reads what it prints."""
    _have_standard_streams()
    code = _result(list(arguments) if arguments is not None else None)
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try once more at its end, and then its own exit code replaces ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _result(arguments: list[str] | None) -> int:
    """Carry one command out; every exception has the exit code that the README gives it, 1 is nothing but missed."""
    out = sys.stdout
    try:
        code = drill.main(args=arguments, prog_name="drill", standalone_mode=False)
    except SystemExit as end:
        # Of a broken pipe, Click makes a 1 and another standard output.
        code = end.code if sys.stdout is out else _NOBODY_READS
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped by a person", err=True)
        return DrillError.exit_code
    except DrillError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except BrokenPipeError:
        return _NOBODY_READS
    except Exception:  # noqa: BLE001  a traceback is the right message for us, its exit code 1 would say "missed"
        import traceback

        traceback.print_exc()
        return DrillError.exit_code
    return code if isinstance(code, int) else 0


def _have_standard_streams() -> None:
    """Open what the caller closed (`drill run >&-`): a journal with its number would get what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number, inheritable=True)
                os.close(null)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has no "≤" shows a "?", and the drill goes on.
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
