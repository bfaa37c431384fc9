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

    two-regions-backup also archives backups and the write-ahead log, two-regions-queue
    has a RabbitMQ cluster (RabbitMQ must be installed).

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
        _show(one, asyncio.run(one.status()))


def _show(lab: Any, status: dict[str, Any]) -> None:
    """Who serves, who has which role, how far behind the replicas are, what is wrong with the links."""
    click.echo(f"{lab.name} in {lab.folder}: {'healthy' if status['healthy'] else 'not healthy'}")
    for missing in status["missing"]:
        click.echo(f"  {missing}")
    click.echo(
        f"  orders are served by {status['serving'] or 'nobody'}; the router sends to {status['router']['active']}\n"
    )
    rows = [("MEMBER", "REGION", "PROCESSES", "ROLE", "STATE", "BEHIND")]
    seen = {row["member"]: row for key in ("databases", "caches", "brokers", "services") for row in status[key]}
    for name, process in status["processes"].items():
        row = seen.get(name, {})
        behind = "" if row.get("lag_bytes") is None else f"{row['lag_bytes']} bytes"
        behind += "" if row.get("lag_s") is None else f", {row['lag_s']:.1f} s"
        state = row.get("state") or row.get("status") or row.get("link") or ""
        rows.append(
            (
                name,
                process["region"],
                f"{len(process['pids'])} {process['state']}",
                row.get("role") or "",
                f"link {state}" if row.get("link") else state,
                behind,
            )
        )
    say.table(rows)
    if status["links"]:
        click.echo("\n  links that are not clear")
        for link in status["links"]:
            click.echo(f"    {link}")
