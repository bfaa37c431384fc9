"""`drill schema`: JSON Schemas for editors and for readers of report.json."""

from __future__ import annotations

import click


@click.command("schema")
@click.argument("of", type=click.Choice(["drill", "probe", "policy", "report"]))
def command(of: str) -> None:
    """
    Print the JSON Schema of drill files, probe files, policies or report.json.

    \b
    Example:
      drill schema drill > drill.schema.json
    """
    click.echo(document(of), nl=False)


def document(of: str) -> str:
    """The published bytes of one schema, as reports/schema/ holds them."""
    from drill.reports import schema

    if of == "report":
        return schema.encode(schema.report_schema()).decode()
    if of == "policy":
        from drill.spec import policies

        return schema.encode(policies.schema()).decode()
    from drill.spec import tables

    return schema.encode(tables.schema(of)).decode()
