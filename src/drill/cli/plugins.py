"""`drill plugins`: what is installed."""

from __future__ import annotations

import click

from drill.cli import say


@click.command("plugins")
@say.json_option
def command(as_json: bool) -> None:
    """
    List engines, probe kinds, report formats and labs.

    \b
    Example:
      drill plugins --json
    """
    from drill import plugins

    rows = [
        (what, name, point.value, f"{point.dist.name} {point.dist.version}" if point.dist else "")
        for what in plugins.GROUPS
        for name, point in sorted(plugins.installed(what).items())
    ]
    if as_json:
        say.data(
            [{"sort": what, "name": name, "object": value, "package": package} for what, name, value, package in rows]
        )
    else:
        say.table([("SORT", "NAME", "OBJECT", "PACKAGE"), *rows], indent="")
