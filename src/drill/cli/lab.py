"""`drill lab`: the embedded lab, to try faults and probes by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from drill.cli import say


@click.group("lab")
def command() -> None:
    """
    Bring an embedded lab up or down, or see how it is.

    \b
    Example:
      drill lab up --detach && drill lab status && drill lab down
    """


@command.command("up")
@click.argument("name", default="two-regions")
@click.option("--detach", is_flag=True, help="Leave it running; drill lab down ends it.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its state goes (default: a private folder).",
)
@say.json_option
def up(name: str, detach: bool, folder: Path | None, as_json: bool) -> None:
    """
    Start the lab NAME: two regions of real PostgreSQL, Valkey, services and a router.

    Stays in the foreground until Ctrl-C, which leaves nothing behind, unless
    --detach is given.

    \b
    Example:
      drill lab up --detach
    """
    import asyncio

    asyncio.run(_up(name, detach, folder, as_json))


async def _up(name: str, detach: bool, folder: Path | None, as_json: bool) -> None:
    import asyncio
    import signal

    from drill import lab as labs

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    coming = asyncio.ensure_future(
        labs.up(name, folder, attached=not detach, progress=lambda text: click.echo(text, err=True))
    )
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not coming.done():
        coming.cancel()
        await asyncio.wait({coming})
        return
    lab = coming.result()
    if as_json:
        say.data({"name": lab.name, "folder": str(lab.folder), "endpoints": lab.endpoints})
    else:
        say.table(sorted(lab.endpoints.items()))
    if detach:
        stopped.cancel()
        return
    click.echo("up; Ctrl-C brings it down", err=True)
    await stopped
    await lab.down()


@command.command("down")
@click.argument("lab", required=False)
def down(lab: str | None) -> None:
    """
    End LAB (a name or folder; default: every one that runs). Leaves no process and no file.

    \b
    Example:
      drill lab down
    """
    import asyncio

    from drill import lab as labs

    found = [labs.find(lab)] if lab else labs.running()
    for one in found:
        asyncio.run(one.down())
        click.echo(f"{one.name} is down ({one.folder})")
    if not found:
        click.echo("no lab is running")


@command.command("status")
@click.argument("lab", required=False)
@say.json_option
def status(lab: str | None, as_json: bool) -> None:
    """
    Show roles, replication lag and who serves.

    \b
    Example:
      drill lab status --json
    """
    import asyncio

    from drill import lab as labs

    found = [labs.find(lab)] if lab else labs.running()
    if as_json:
        say.data([{"name": one.name, "folder": str(one.folder), **asyncio.run(one.status())} for one in found])
        return
    if not found:
        click.echo("no lab is running; drill lab up --detach starts one")
    for one in found:
        click.echo(f"{one.name} in {one.folder}")
        _show(asyncio.run(one.status()), 1)


def _show(value: dict[str, Any], depth: int) -> None:
    """Nested data as indented lines."""
    pad = "  " * depth
    for key, inner in value.items():
        if isinstance(inner, dict):
            click.echo(f"{pad}{key}")
            _show(inner, depth + 1)
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            click.echo(f"{pad}{key}")
            columns = list(inner[0])
            say.table([tuple(columns), *(tuple(str(row.get(c, "")) for c in columns) for row in inner)], pad + "  ")
        else:
            shown = ", ".join(map(str, inner)) if isinstance(inner, list) else inner
            click.echo(f"{pad}{key}: {'-' if shown is None else shown}")
