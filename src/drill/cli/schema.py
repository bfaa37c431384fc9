"""`drill schema`: JSON Schemas for editors and for readers of report.json."""

from __future__ import annotations

import click

from drill.cli import say


@click.command("schema")
@click.argument("of", type=click.Choice(["drill", "probe", "report"]))
def command(of: str) -> None:
    """
    Print the JSON Schema of drill files, probe files or report.json.

    \b
    Example:
      drill schema drill > drill.schema.json
    """
    if of == "report":
        from drill.reports.schema import report_schema

        say.data(report_schema())
    else:
        from drill.spec import tables

        say.data(tables.schema(of))
