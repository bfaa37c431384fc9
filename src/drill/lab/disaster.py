"""The whole database lost at once, and brought back out of the archive."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drill.errors import EnvironmentFault
from drill.lab import archive, control, postgres, process
from drill.lab.topology import SERVING, Member

if TYPE_CHECKING:
    from drill.lab.keeper import Keeper

_NODES = [Member("postgres", region) for region in SERVING]
_WITNESS = Member("raft", "witness")
_LOOK_EVERY = 0.05
# A copy under way holds a control file long before it is a database.
_RESTORING = "restoring"


async def lose(keeper: Keeper) -> dict[str, Any]:
    """Kill every node of the database and delete all it has; returns who died and how many bytes are gone."""
    _archive(keeper)
    lower = time.monotonic_ns()
    pids = await keeper.members.kill(_NODES)
    for node in _NODES:
        for what in ("postgres", "patroni", "raft"):
            keeper.network.drop(node.region, what)
    size = await asyncio.to_thread(_wipe, [keeper.members.home(node) for node in _NODES])
    return {
        "members": [node.name for node in _NODES],
        "pids": pids,
        "bytes": size,
        "lower": lower,
        "upper": time.monotonic_ns(),
    }


async def restore(keeper: Keeper, within: float) -> dict[str, Any]:
    """
    Begin the database anew with the newest base backup and all of the log in the archive.

    What still has its data is not touched: those nodes are only started. Returns what was restored once the
    primary takes writes; the replica may still be copying.

    Raises:
        EnvironmentFault: There is no base backup, or the database is not there after *within* seconds.
    """
    home = _archive(keeper)
    if _alive(keeper) and not (home / _RESTORING).exists():
        return {"restored": False}
    kept = archive.backups(home)
    if not kept:
        raise EnvironmentFault("the archive has no base backup to restore")
    lower = time.monotonic_ns()
    control.mark(keeper.folder, "requested", "archive", f"a restore of {kept[-1].name}", lower=lower)
    (home / _RESTORING).touch()
    # The witness remembers a cluster that is gone: it must forget it, or no new one can begin.
    await keeper.members.kill([*_NODES, _WITNESS])
    await asyncio.to_thread(_wipe, [keeper.members.home(member) for member in (*_NODES, _WITNESS)])
    for member in (_WITNESS, *_NODES):
        keeper.members.start(member, again=True, backup=kept[-1])
    found = await _follow(keeper, within)
    (home / _RESTORING).unlink()
    return {"restored": True, "backup": kept[-1].name, **found, "lower": lower, "upper": time.monotonic_ns()}


async def back_up(keeper: Keeper, within: float) -> dict[str, Any]:
    """Take a base backup, which reads and checks every page of the database."""
    home = _archive(keeper)
    lower = time.monotonic_ns()
    made = await asyncio.to_thread(archive.back_up, home, archive.address(keeper.layout), within=within)
    size = await asyncio.to_thread(_size, made)
    return {"backup": made.name, "bytes": size, "lower": lower, "upper": time.monotonic_ns()}


async def protect(keeper: Keeper, restored: dict[str, Any], within: float) -> str:
    """See to it that there is a base backup of what was *restored*; returns its name."""
    newest = archive.backups(_archive(keeper))[-1].name
    made = newest if newest != restored["backup"] else (await back_up(keeper, within))["backup"]
    text = f"{made} was taken of what is restored: every page and every file checked"
    control.mark(keeper.folder, "verified", "archive", text, lower=restored["upper"])
    return made


async def _follow(keeper: Keeper, within: float) -> dict[str, Any]:
    """Wait until the restored primary takes writes, and mark how far it has come."""
    first = SERVING[0]
    running = keeper.members.home(_NODES[0]) / "data" / "postmaster.pid"
    until = time.monotonic() + within
    copied = False
    before = time.monotonic_ns()
    while True:
        asked = time.monotonic_ns()
        if not copied and running.exists():
            copied = True
            control.mark(keeper.folder, "available", "archive", "the base backup is in its place", lower=before)
        found = await postgres.rest(keeper.layout.own[f"patroni-{first}"])
        if found and found.get("state") == "running" and found.get("role") in ("primary", "master"):
            text = f"the log is replayed: postgres-{first} takes writes on timeline {found.get('timeline')}"
            control.mark(keeper.folder, "accepting", "patroni", text, lower=before)
            return {"timeline": found.get("timeline")}
        if time.monotonic() > until:
            log = process.tail(keeper.members.home(_NODES[0]) / "log", 6)
            raise EnvironmentFault(f"the database is not restored after {within:g} s\n{log}")
        before = asked
        await asyncio.sleep(_LOOK_EVERY)


def _archive(keeper: Keeper) -> Path:
    """The archive's folder."""
    if not keeper.layout.having("archive"):
        raise EnvironmentFault("this lab keeps no archive", hint="drill lab up two-regions-backup")
    return keeper.folder / "archive"


def _alive(keeper: Keeper) -> list[Member]:
    """The nodes that have their data: what is copied from another node has its control file last."""
    control_file = Path("data", "global", "pg_control")
    return [node for node in _NODES if (keeper.members.home(node) / control_file).exists()]


def _wipe(homes: list[Path]) -> int:
    """Delete what members keep; returns how many bytes the databases among it had."""
    size = 0
    for home in homes:
        size += _size(home / "data")
        for kept in ("data", "raft"):
            process.remove(home / kept)
        if left := [kept for kept in ("data", "raft") if (home / kept).exists()]:
            raise EnvironmentFault(f"{home.name}: {', '.join(left)} cannot be deleted")
    return size


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
