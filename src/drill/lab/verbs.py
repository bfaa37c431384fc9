"""What a running lab can be asked to do."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from drill.errors import EnvironmentFault
from drill.lab import control, disaster, postgres, process, proof, valkey
from drill.lab.topology import REGIONS, SERVING, Gate, Member

if TYPE_CHECKING:
    from drill.lab.keeper import Keeper
    from drill.lab.view import View


_ROLES = (" primary", " replica", " leader", " follower", " active", " passive")


class Verbs:
    """One method for each verb of the control socket; arguments are the request's other keys."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        # Two that change processes at once would each undo the other's work.
        self._one = asyncio.Lock()

    async def answer(self, request: control.Request) -> control.Answer:
        arguments = dict(request)
        verb = str(arguments.pop("verb", ""))
        method = getattr(self, f"do_{verb}", None)
        if method is None:
            raise EnvironmentFault(f"the lab does not know {verb}")
        found: control.Answer = await method(**arguments)
        return found

    # --- looking --------------------------------------------------------------------------------------------------

    async def do_status(self) -> dict[str, Any]:
        view = await self._keeper.look()
        return {
            "name": self._keeper.name,
            "folder": str(self._keeper.folder),
            "endpoints": self._keeper.layout.endpoints(str(self._keeper.folder)),
            **view.status(),
            "links": self._keeper.network.status(),
            "processes": self._keeper.members.states(),
        }

    async def do_marks(self, since: int = 0) -> dict[str, Any]:
        return {"marks": control.marks(self._keeper.folder, since)}

    # --- processes ------------------------------------------------------------------------------------------------

    async def do_kill(self, members: list[str]) -> dict[str, Any]:
        """SIGKILL; what a dead region had in flight on its links is gone with it."""
        async with self._one:
            chosen = await self._chosen(members)
            lower = time.monotonic_ns()
            pids = await self._keeper.members.kill(chosen)
            for member in chosen:
                for what in ("postgres", "patroni", "raft") if member.kind == "postgres" else (member.kind,):
                    self._keeper.network.drop(member.region, what)
            return _touched(chosen, pids, lower)

    async def do_freeze(self, members: list[str]) -> dict[str, Any]:
        async with self._one:
            chosen = await self._chosen(members)
            lower = time.monotonic_ns()
            return _touched(chosen, await self._keeper.members.freeze(chosen), lower)

    async def do_thaw(self, members: list[str]) -> dict[str, Any]:
        async with self._one:
            chosen = await self._chosen(members)
            lower = time.monotonic_ns()
            return _touched(chosen, await self._keeper.members.thaw(chosen), lower)

    async def do_start(self, members: list[str], within: float = 90, wait: bool = True) -> dict[str, Any]:
        """Thaw and start whatever of these is not running, and wait until all of them are whole again."""
        async with self._one:
            chosen = await self._chosen(members)
            lower = time.monotonic_ns()
            thawed = await self._keeper.members.thaw(chosen)
            states = self._keeper.members.states()
            view = await self._keeper.look()
            started = [member for member in chosen if states[member.name]["state"] == "down"]
            for member in started:
                self._keeper.members.start(member, cache_primary=view.cache_primary() or SERVING[0], again=True)
        view = await self._whole(chosen, within) if wait else view
        return {**_touched(chosen, thawed, lower), "started": [m.name for m in started], "roles": view.roles()}

    async def do_wait(self, members: list[str] | None = None, within: float = 90) -> dict[str, Any]:
        """Wait until these members (default: all) are whole."""
        chosen = None if members is None else await self._chosen(members)
        return {"roles": (await self._whole(chosen, within)).roles()}

    async def _chosen(self, selection: list[str]) -> list[Member]:
        needs_roles = any(words.endswith(_ROLES) for words in selection)
        roles = (await self._keeper.look()).roles() if needs_roles else {}
        return self._keeper.members.named(selection, roles)

    async def _whole(self, chosen: list[Member] | None, within: float) -> View:
        until = time.monotonic() + within
        while True:
            view = await self._keeper.look()
            missing = view.missing(chosen)
            if not missing:
                return view
            if time.monotonic() > until:
                name = missing[0].split()[0].rstrip(":")
                log = process.tail(self._keeper.folder / name / "log", 6)
                raise EnvironmentFault(f"after {within:g} s, {'; '.join(missing)}" + (f"\n{log}" if log else ""))
            await asyncio.sleep(0.1)

    # --- links ----------------------------------------------------------------------------------------------------

    async def do_link(
        self,
        action: str,
        region: str | None = None,
        source: str | None = None,
        target: str | None = None,
        what: str | None = None,
        latency_s: float = 0.0,
        rate_bytes_per_s: float | None = None,
    ) -> dict[str, Any]:
        """
        `slow`, `silence`, `cut` or `restore` one direction (*source* → *target*) or all of a *region*.

        Returns the directions, how many connections were reset, how many bytes are held on them, and the proof:
        what a caller met that had been answered just before (None when nobody was).
        """
        network = self._keeper.network
        if action == "restore":
            lower = time.monotonic_ns()
            network.restore(region)
            return {"links": network.status(), **_window(lower)}
        changes: dict[str, dict[str, Any]] = {
            "slow": {"latency": latency_s, "rate": rate_bytes_per_s},
            "silence": {"silent": True},
            "cut": {"cut": True},
        }
        if action not in changes:
            raise EnvironmentFault(f"a link cannot be {action}", hint=f"it can be {', '.join(changes)} or restore")
        change = changes[action]
        directions = _directions(region, source, target)
        asked = await self._ask_across(directions, what, 1.0)
        lower = time.monotonic_ns()
        dropped = sum(network.set(*pair, what, **change) for pair in directions)
        upper = time.monotonic_ns()
        patience = min(0.5, 0.9 * latency_s) if action == "slow" else 0.5
        # A limit on bytes alone cannot be seen by asking a short question.
        before = [pair for pair, said in asked.items() if said == "answered" and patience > 0]
        after = await self._ask_across(before, what, patience)
        wanted = "reset" if action == "cut" else "silent"
        shown = [pair for pair, said in after.items() if said == wanted]
        return {
            "directions": [f"{a}→{b}" for a, b in directions],
            "reset": dropped,
            "held_bytes": sum(network.held(*pair, what) for pair in directions),
            "proof": _proof(wanted, shown, patience, dropped),
            "links": network.status(),
            "lower": lower,
            "upper": upper,
        }

    async def _ask_across(
        self, directions: list[tuple[str, str]], what: str | None, within: float
    ) -> dict[tuple[str, str], str]:
        """What a caller gets across each of these, where somebody answers at all; each pair of regions once."""
        gates = list(self._keeper.layout.gates.values())
        asked: dict[tuple[str, str], tuple[Gate, str]] = {}
        for pair in directions:
            gate = proof.witness(gates, *pair, what)
            region = proof.caller(gate, *pair) if gate else None
            if gate is not None and region is not None and pair[::-1] not in asked:
                asked[pair] = gate, region
        said = await asyncio.gather(*(proof.answers(gate, region, within) for gate, region in asked.values()))
        return dict(zip(asked, said, strict=True))

    # --- router, cache, roles -------------------------------------------------------------------------------------

    async def do_router(self, **settings: Any) -> dict[str, Any]:
        """Change the router's settings (interval, timeout, threshold, blackhole); returns its state."""
        lower = time.monotonic_ns()
        found = await self._ask_router("set", **settings)
        window = _window(lower)
        try:
            async with asyncio.timeout(0.5):
                await postgres.get(self._keeper.layout.own["router"], "/health")
            answers = True
        except (OSError, ValueError, EOFError, TimeoutError):
            answers = False
        return {**found, "answers": answers, **window}

    async def do_prefer(self, region: str) -> dict[str, Any]:
        """Have the router send traffic to one region, as a person would."""
        return await self._ask_router("prefer", region=region)

    async def _ask_router(self, verb: str, **arguments: Any) -> dict[str, Any]:
        if not self._keeper.members.pids(Member("router", "edge")):
            raise EnvironmentFault("the router is down")
        return await control.ask(self._keeper.folder / "router", {"verb": verb, **arguments}, within=2)

    async def do_flush(self) -> dict[str, Any]:
        """Empty the cache; returns how many keys went."""
        region = (await self._keeper.look()).cache_primary()
        if region is None:
            raise EnvironmentFault("the cache has no primary to flush")
        port = self._keeper.layout.own[f"valkey-{region}"]
        lower = time.monotonic_ns()
        before = await valkey.ask(port, "DBSIZE")
        if await valkey.ask(port, "FLUSHALL", within=2) != "OK":
            raise EnvironmentFault(f"valkey-{region} did not flush")
        return {"member": f"valkey-{region}", "keys": int(str(before or 0)), **_window(lower)}

    async def do_fill(self, keys: int = 100) -> dict[str, Any]:
        """Put *keys* sessions into the cache, so that there is something to lose."""
        region = (await self._keeper.look()).cache_primary()
        if region is None:
            raise EnvironmentFault("the cache has no primary to fill")
        words = [word for n in range(keys) for word in (f"session:{n}", "x")]
        await valkey.ask(self._keeper.layout.own[f"valkey-{region}"], "MSET", *words, within=2)
        return {"member": f"valkey-{region}", "keys": keys}

    async def do_switchover(self, region: str, within: float = 60) -> dict[str, Any]:
        """Make the PostgreSQL of *region* the primary, in good order, and wait until the lab is whole."""
        until = time.monotonic() + within
        lower = time.monotonic_ns()
        view = await self._keeper.look()
        leader = view.database_primary()
        if leader is None:
            raise EnvironmentFault("there is no primary to switch over from")
        if leader != region:
            port = self._keeper.layout.own[f"patroni-{leader}"]
            wanted = {"leader": f"postgres-{leader}", "candidate": f"postgres-{region}"}
            async with asyncio.timeout(within):
                status, body = await postgres.post(port, "/switchover", wanted)
            if status != 200:
                raise EnvironmentFault(f"Patroni refused to switch over: {body.decode(errors='replace')}")
        view = await self._whole(None, until - time.monotonic())
        return {"roles": view.roles(), **_window(lower)}

    async def do_lose_databases(self) -> dict[str, Any]:
        """Kill every node of the database and delete all it has."""
        async with self._one:
            return await disaster.lose(self._keeper)

    async def do_restore_backup(self, within: float = 90) -> dict[str, Any]:
        """Bring the database back out of the archive if it is lost; then wait until the lab is whole."""
        until = time.monotonic() + within
        async with self._one:
            found = await disaster.restore(self._keeper, within)
        whole = await self.do_start(["raft", "postgres", "archive"], until - time.monotonic())
        if found["restored"]:
            found["protected"] = await disaster.protect(self._keeper, found, until - time.monotonic())
        return {**found, "roles": whole["roles"]}

    async def do_back_up(self, within: float = 60) -> dict[str, Any]:
        """Take a base backup."""
        return await disaster.back_up(self._keeper, within)

    async def do_down(self) -> dict[str, Any]:
        """End the lab; the answer comes before the end."""
        asyncio.get_running_loop().call_later(0.05, self._keeper.ended.set)
        return {"folder": str(self._keeper.folder)}


def _directions(region: str | None, source: str | None, target: str | None) -> list[tuple[str, str]]:
    for name in (region, source, target):
        if name is not None and name not in REGIONS:
            raise EnvironmentFault(f"the lab has no region {name}", hint=f"it has {', '.join(REGIONS)}")
    if region is not None:
        others = [name for name in REGIONS if name != region]
        return [(region, other) for other in others] + [(other, region) for other in others]
    if source is None or target is None or source == target:
        raise EnvironmentFault("a link needs a region, or two different regions: source and target")
    return [(source, target)]


def _touched(members: list[Member], pids: list[int], lower: int) -> dict[str, Any]:
    return {"members": [member.name for member in members], "pids": pids, **_window(lower)}


def _window(lower: int) -> dict[str, int]:
    return {"lower": lower, "upper": time.monotonic_ns()}


def _proof(wanted: str, shown: list[tuple[str, str]], patience: float, dropped: int) -> str | None:
    if not shown:
        return None
    met = "is reset" if wanted == "reset" else f"gets no answer in {patience:g} s"
    return f"who calls {', '.join('–'.join(pair) for pair in shown)} {met}; {dropped} connections were reset"
