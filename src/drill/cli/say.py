"""How commands speak: data as JSON on request, problems as editors read them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drill.errors import Problem, Severity

if TYPE_CHECKING:
    from drill.doctor import Finding

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


@contextmanager
def while_heard() -> Iterator[None]:
    """Print as long as somebody reads; the exit code stays what it is when nobody does."""
    with suppress(OSError):
        yield
        sys.stdout.flush()


policy_option = click.option(
    "--policy",
    type=click.Path(dir_okay=False, path_type=Path),
    help="One more policy file, beside the drill-policy.yaml of the project and of the folders above it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def data(value: Any) -> None:
    """Print one JSON document."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def problem(found: Problem) -> None:
    """Print one problem to standard error, `file:line:column: …`."""
    head, _, rest = str(found).partition("\n")
    click.echo(click.style(head, fg=_COLOURS[found.severity]) + (f"\n{rest}" if rest else ""), err=True)


def warnings(found: Iterable[Problem]) -> None:
    """Print what a person should mend before believing a run; notes are for `drill lint`."""
    for one in found:
        if one.severity is not Severity.NOTE:
            problem(one)


def problem_data(found: Problem) -> dict[str, Any]:
    """One problem as data."""
    return {
        "severity": found.severity.value,
        "message": found.message,
        "file": found.at.file if found.at else None,
        "line": found.at.line if found.at else None,
        "column": found.at.column if found.at else None,
        "hint": found.hint,
    }


def findings(found: Iterable[Finding]) -> None:
    """Print what was looked at, one line each, and what to do below it."""
    for each in found:
        mark, colour = {True: ("ok", "green"), None: ("--", "yellow"), False: ("no", "red")}[each.ok]
        click.echo(f"  {click.style(mark, fg=colour)}  {each.about}: {each.said}")
        if each.todo:
            click.echo(f"        {each.todo}")


def table(rows: Iterable[tuple[str, ...]], indent: str = "  ") -> None:
    """Print columns, each as wide as its widest cell."""
    listed = [tuple(str(cell) for cell in row) for row in rows]
    if not listed:
        return
    widths = [max(len(row[n]) for row in listed) for n in range(len(listed[0]))]
    for row in listed:
        click.echo((indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip())
