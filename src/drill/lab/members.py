"""The members of a lab as processes: started, found, frozen and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault
from drill.lab import archive, postgres, process, rabbitmq, valkey
from drill.lab.topology import SERVING, Layout, Member


class Members:
    """All members of the lab in *folder*; to be used by the one process that is their parent."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder = folder
        self.layout = layout
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def home(self, member: Member) -> Path:
        return self.folder / member.name

    # --- starting -------------------------------------------------------------------------------------------------

    def start(
        self, member: Member, *, cache_primary: str = SERVING[0], again: bool = False, backup: Path | None = None
    ) -> None:
        """
        Start a member; the caller has made sure that it is not running.

        A database that has nothing yet begins with *backup*.
        """
        home = self.home(member)
        home.mkdir(mode=0o700, exist_ok=True)
        as_postgres = member.kind in ("postgres", "archive")
        env: dict[str, str] = {}
        if member.kind in ("postgres", "raft"):
            argv = postgres.write(self.layout, member.region, home, backup)
        elif member.kind == "rabbitmq":
            argv, env = rabbitmq.write(self.layout, member.region, home)
        else:
            argv = self._prepare(member, home, cache_primary, again)
        if as_postgres:
            process.account().own(home)
        running = process.start(argv, home, env=env, postgres=as_postgres)
        self._started[running.pid] = running

    def _prepare(self, member: Member, home: Path, cache_primary: str, again: bool) -> list[str | Path]:
        layout, region = self.layout, member.region
        match member.kind:
            case "archive":
                return archive.write(layout, home)
            case "valkey":
                return valkey.write_server(layout, region, home, cache_primary)
            case "sentinel":
                return valkey.write_sentinel(layout, region, home)
            case "orders":
                (home / "service.json").write_text(json.dumps(_service(layout, region)))
                return process.python("drill.lab.service")
            case _:
                config = {
                    "lab": str(self.folder),
                    "port": layout.own["router"],
                    "targets": {name: layout.gate("orders", "edge", name) for name in SERVING},
                    # While the lab comes up, not being healthy yet is no news.
                    "patience": 3 if again else 600,
                }
                (home / "router.json").write_text(json.dumps(config))
                return process.python("drill.lab.router")

    # --- ending and holding ---------------------------------------------------------------------------------------

    def pids(self, member: Member) -> list[int]:
        return process.belonging(self.home(member))

    def states(self) -> dict[str, dict[str, Any]]:
        """Of every member: running, frozen or down, its processes, and when it is down the end of its log."""
        found: dict[str, dict[str, Any]] = {}
        for member in self.layout.members:
            pids = self.pids(member)
            frozen = bool(pids) and all(_frozen(pid) for pid in pids)
            state = "frozen" if frozen else "running" if pids else "down"
            found[member.name] = {"kind": member.kind, "region": member.region, "state": state, "pids": pids}
            if state == "down":
                found[member.name]["log"] = process.tail(self.home(member) / "log", 6)
        return found

    async def kill(self, members: list[Member], within: float = 5) -> list[int]:
        """
        SIGKILL every process of the members at once; returns those that are really gone.

        Raises:
            EnvironmentFault: Some of them do not die.
        """
        return await self._until_none(members, signal.SIGKILL, lambda pid: True, within)

    async def freeze(self, members: list[Member], within: float = 5) -> list[int]:
        """SIGSTOP every process of the members; returns those that really stand still."""
        return await self._until_none(members, signal.SIGSTOP, lambda pid: not _frozen(pid), within)

    async def thaw(self, members: list[Member], within: float = 5) -> list[int]:
        """SIGCONT; returns those that had stood still."""
        return await self._until_none(members, signal.SIGCONT, _frozen, within)

    async def _until_none(self, members: list[Member], number: signal.Signals, left: Any, within: float) -> list[int]:
        touched: set[int] = set()
        until = time.monotonic() + within
        while True:
            pids = [pid for member in members for pid in self.pids(member) if left(pid)]
            if not pids:
                return sorted(touched)
            if time.monotonic() > until:
                raise EnvironmentFault(f"processes {pids} of {', '.join(m.name for m in members)} ignore {number.name}")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            touched.update(pids)
            self.reap()
            await asyncio.sleep(0.005)

    def reap(self) -> None:
        """Take note of every child that has ended, adopted ones too."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            ours = self._started.pop(ended.si_pid, None)
            if ours is not None:
                ours.wait()
            else:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(ended.si_pid, 0)

    # --- choosing -------------------------------------------------------------------------------------------------

    def named(self, selection: list[str], roles: dict[str, str]) -> list[Member]:
        """
        The members a person means, none when nobody fits.

        Each is a member ("postgres-east"), a region ("region east"), a kind ("postgres"), a kind in a region
        ("orders east"), or a kind and a role ("postgres primary", "valkey replica", "orders active") as *roles*
        has it at this moment.
        """
        found: list[Member] = []
        for words in selection:
            kind, _, rest = words.partition(" ")
            members = self.layout.members
            if one := self.layout.named(words):
                fits = [one]
            elif kind == "region":
                fits = [member for member in members if member.region == rest]
            else:
                fits = [m for m in members if m.kind == kind and rest in ("", m.region, roles.get(m.name))]
            found += [member for member in fits if member not in found]
        return found


def _service(layout: Layout, region: str) -> dict[str, Any]:
    other = next(name for name in SERVING if name != region)
    return {
        "region": region,
        "port": layout.own[f"orders-{region}"],
        "databases": {
            f"postgres-{region}": layout.own[f"postgres-{region}"],
            f"postgres-{other}": layout.gate("postgres", region, other),
        },
        "sentinel": layout.own[f"sentinel-{region}"],
    }


def _frozen(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False
