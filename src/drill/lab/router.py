"""
The router at the edge: forwards connections to one region and follows health, as DNS failover would.

    python -m drill.lab.router

Active-passive: it leaves a region only when that one is unhealthy and the
other is not, and does not come back by itself. Every flip of health and every
switch is marked with the instants just before and just after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill.lab import control
from drill.lab.postgres import get
from drill.lab.topology import HOME

_CHUNK = 64 * 1024


@dataclass(slots=True)
class Settings:
    """
    How it watches.

    Attributes:
        interval: Seconds between two checks of a region.

        timeout: Seconds a check may take.

        threshold: How many bad checks in a row make a region unhealthy, and how many good ones healthy again.

        blackhole: Accept every connection and never answer.
    """

    interval: float = 1.0
    timeout: float = 1.0
    threshold: int = 2
    blackhole: bool = False


@dataclass(slots=True)
class Health:
    """What is believed of one region; None until the first check."""

    healthy: bool | None = None
    against: int = 0
    reason: str = "not checked yet"
    writers: set[asyncio.StreamWriter] = field(default_factory=set)


class Router:
    """
    One router; *targets* are the ports of the regions, the first of them is active at the start.

    Until a region was healthy once, it is checked more often and *patience* bad checks are overlooked.
    """

    def __init__(self, lab: Path, targets: dict[str, int], patience: int) -> None:
        self.settings = Settings()
        self.active = next(iter(targets))
        self.switches = 0
        self._lab = lab
        self._targets = targets
        self._health = {region: Health() for region in targets}
        self._silent: set[asyncio.StreamWriter] = set()
        self._patience = patience
        self._restored = asyncio.Event()
        self._restored.set()

    async def watch(self, region: str) -> None:
        """Check one region for ever, in fixed steps."""
        due = time.monotonic()
        while True:
            ok, reason = await self._check(region)
            self._learn(region, ok, reason)
            interval = self.settings.interval if self._health[region].healthy is not None else 0.1
            due = max(due + interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _check(self, region: str) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(self.settings.timeout):
                status, _ = await get(self._targets[region], "/health")
        except TimeoutError:
            return False, f"no answer in {self.settings.timeout:g} s"
        except (OSError, ValueError, EOFError) as error:
            return False, f"no answer: {error}" if str(error) else "no answer"
        return status == 200, f"status {status}"

    def _learn(self, region: str, ok: bool, reason: str) -> None:
        health = self._health[region]
        health.reason = reason
        if ok == health.healthy:
            health.against = 0
            return
        health.against += 1
        needed = self.settings.threshold
        if health.healthy is None:
            needed = 1 if ok else self._patience
        if health.against < needed:
            return
        lower = time.monotonic_ns()
        known = health.healthy is not None
        health.healthy, health.against = ok, 0
        if known:
            name = "healthy" if ok else "detected"
            text = f"{region} is {'healthy again' if ok else 'unhealthy'}: {reason}"
            control.mark(self._lab, name, "router", text, lower=lower)
        self._choose()

    def _choose(self) -> None:
        if self._health[self.active].healthy is not False:
            return
        better = [region for region, health in self._health.items() if health.healthy]
        if not better:
            return
        lower = time.monotonic_ns()
        before, self.active = self.active, better[0]
        self.switches += 1
        for writer in self._health[before].writers:
            writer.transport.abort()
        control.mark(self._lab, "routed", "router", f"traffic goes to {self.active} instead of {before}", lower=lower)

    # --- forwarding ---------------------------------------------------------------------------------------------

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to the region that is active when it comes in."""
        if self.settings.blackhole:
            return await self._swallow(writer)
        region = self.active
        try:
            to_reader, to_writer = await asyncio.open_connection(HOME, self._targets[region], limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return None
        ends = {writer, to_writer}
        writers = self._health[region].writers
        writers |= ends
        try:
            await asyncio.gather(self._pipe(reader, to_writer), self._pipe(to_reader, writer))
        except OSError:
            pass
        finally:
            writers -= ends
            for end in ends:
                end.transport.abort()
        return None

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            # Whoever was connected before waits for an answer, too.
            await self._restored.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def _swallow(self, writer: asyncio.StreamWriter) -> None:
        self._silent.add(writer)
        try:
            await self._restored.wait()
        finally:
            self._silent.discard(writer)
            writer.transport.abort()

    # --- control --------------------------------------------------------------------------------------------------

    async def answer(self, request: control.Request) -> control.Answer:
        """`status`, or `set` with any of the settings; what is set is what is answered."""
        if request["verb"] == "set":
            self._set({key: value for key, value in request.items() if key != "verb"})
        elif request["verb"] == "prefer":
            self._prefer(request["region"])
        elif request["verb"] != "status":
            raise ValueError(f"the router does not know {request['verb']}")
        return self.status()

    def _prefer(self, region: str) -> None:
        if region not in self._targets:
            raise ValueError(f"the router knows no region {region}")
        if region == self.active:
            return
        lower = time.monotonic_ns()
        before, self.active = self.active, region
        self.switches += 1
        for writer in self._health[before].writers:
            writer.transport.abort()
        control.mark(self._lab, "routed", "a person", f"traffic goes to {region} instead of {before}", lower=lower)

    def _set(self, change: dict[str, Any]) -> None:
        for key, value in change.items():
            setattr(self.settings, key, type(getattr(self.settings, key))(value))
        if self.settings.blackhole:
            self._restored.clear()
        else:
            self._restored.set()

    def status(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "active": self.active,
            "switches": self.switches,
            "regions": {
                name: {"healthy": health.healthy, "reason": health.reason} for name, health in self._health.items()
            },
            "interval_s": settings.interval,
            "timeout_s": settings.timeout,
            "threshold": settings.threshold,
            "blackhole": settings.blackhole,
        }


async def main(config: dict[str, Any]) -> None:
    router = Router(Path(config["lab"]), config["targets"], config["patience"])
    await asyncio.start_server(router.forward, HOME, config["port"], limit=_CHUNK)
    await control.serve(Path(), router.answer)
    async with asyncio.TaskGroup() as checks:
        for region in config["targets"]:
            checks.create_task(router.watch(region))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path("router.json").read_text())))
