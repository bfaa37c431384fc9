"""
All probes of one run: opened, sampled, their writes numbered, and what survived of those read back.

Everything goes into the journal as it comes, and to the watch that decides when to go on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from drill.clock import Clock
from drill.errors import DrillError, EnvironmentFault, Refused
from drill.journal import Journal
from drill.model import SECOND, Plan, Sample, Samples, SurvivorRead, Survivors, WritesPlanned
from drill.probes import Prober
from drill.probes.sampler import Sampler
from drill.probes.survivors import found, settle
from drill.scrub import Scrubber
from drill.watch import Watch

_IDS_AT_ONCE = 10_000  # ids journaled ahead of the writes
_READY_S = 10.0
_LANDED_S = 90.0  # in which requests in flight at the end may be answered


class Sampling:
    """
    The probes of one run.

    Attributes:
        samplers: By probe name, once sampling has begun; the live view reads them.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        clock: Clock,
        probers: Mapping[str, Prober],
        scrub: Scrubber,
        watch: Watch,
        failed: Callable[[str], None],
        rng: random.Random | None = None,
    ) -> None:
        """*failed* hears why a probe stopped sampling by itself."""
        self.samplers: dict[str, Sampler] = {}
        self._plan = plan
        self._journal = journal
        self._clock = clock
        self._probers = probers
        self._scrub = scrub
        self._watch = watch
        self._failed = failed
        # Jitter of the probes; nothing secret.
        self._rng = rng or random.Random()  # noqa: S311
        self._tasks: list[asyncio.Task[None]] = []
        self._first_ids: dict[str, int] = {}
        self._last_ids: dict[str, int] = {}
        self._newest_ids: dict[str, int] = {}
        self._strides: dict[str, int] = {}

    async def start(self, wall: int) -> None:
        """
        Open every probe and let its sampler run; ids follow from the wall clock, one lane per writing probe.

        Raises:
            Refused: A probe could not get ready.
        """
        writing = [probe.name for probe in self._plan.probes if probe.writes]
        base = wall // SECOND * 1_000_000
        for probe in self._plan.probes:
            prober = self._probers[probe.name]
            try:
                await asyncio.wait_for(prober.open(), timeout=_READY_S)
            except TimeoutError:
                raise Refused(f"the probe {probe.name} could not get ready within {_READY_S:g} s") from None
            except DrillError as error:
                raise Refused(f"the probe {probe.name} could not get ready: {error}") from error
            ids = None
            if probe.writes:
                lane = writing.index(probe.name)
                ids = self._ids(probe.name, base + lane, len(writing))
            self.samplers[probe.name] = Sampler(probe, prober, self._clock, self._sink, ids=ids, rng=self._rng)
        for name, sampler in self.samplers.items():
            task = asyncio.create_task(sampler.run(), name=f"probe {name}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Send nothing more, and wait for what is in flight."""
        for sampler in self.samplers.values():
            sampler.stop()
        if self._tasks:
            _, pending = await asyncio.wait(self._tasks, timeout=_LANDED_S)
            for task in pending:
                task.cancel()
            if pending:
                await asyncio.wait(pending, timeout=2)

    async def close(self) -> None:
        """Let go of every probe, whatever the other side does."""
        for prober in self._probers.values():
            # Of a broken plug-in, too: the others must be let go of.
            with suppress(Exception):
                await asyncio.wait_for(prober.close(), timeout=2)

    async def try_survivors(self) -> None:
        """
        Read every judged ledger back once while all is well: one that cannot be read measures nothing.

        Raises:
            Refused: One cannot be read.
        """
        for name in self._ledgers(judged=True):
            try:
                await asyncio.wait_for(self._read(name), timeout=20)
            except (DrillError, TimeoutError) as error:
                why = str(error) or "no answer within 20 s"
                raise Refused(f"the survivors of {name} cannot be read before the fault: {why}") from error

    async def settle(self, *, judged: bool) -> None:
        """Read the survivors of every (judged) ledger until two readings agree on what was written before."""
        for name in self._ledgers(judged=judged):
            if name not in self._last_ids:
                continue
            async for read in settle(
                self._probers[name],
                self._first_ids[name],
                self._last_ids[name],
                self._clock,
                agree=self._newest_ids[name],
                stride=self._strides[name],
            ):
                self._keep(name, read)

    def _ledgers(self, *, judged: bool) -> list[str]:
        return [
            probe.name
            for probe in self._plan.probes
            if probe.writes and (not judged or probe.name in self._plan.judged)
        ]

    async def _read(self, probe: str) -> None:
        """One reading of the survivors, journaled."""
        if probe not in self._first_ids:
            raise EnvironmentFault("nothing was written yet")
        sent = self._clock.now()
        first, last, prober = self._first_ids[probe], self._last_ids[probe], self._probers[probe]
        ids, source = await prober.survivors(first, last)
        read = found(prober, sent, self._clock.now(), ids, source, first, last, self._strides[probe])
        self._keep(probe, read)

    def _keep(self, probe: str, read: SurvivorRead) -> None:
        """Journal a reading; why it failed, and who answered, is said in others' words."""
        self._journal.append(Survivors(at=read.ended, probe=probe, read=self._scrub.reading(read)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error:
            self._failed(f"{task.get_name()} stopped sampling: {error}")

    def _sink(self, probe: str, samples: tuple[Sample, ...]) -> None:
        scrubbed = tuple(map(self._scrub.sample, samples))
        self._journal.append(Samples(at=self._clock.now(), probe=probe, samples=scrubbed))
        self._watch.add(probe, scrubbed)

    def _ids(self, probe: str, first: int, stride: int) -> Iterator[int]:
        """Ids in order; a range of them is journaled before its first is written."""
        self._first_ids[probe], self._strides[probe] = first, stride
        n = first
        while True:
            last = n + (_IDS_AT_ONCE - 1) * stride
            self._journal.append(WritesPlanned(at=self._clock.now(), probe=probe, first=n, last=last, stride=stride))
            self._last_ids[probe] = last
            while n <= last:
                self._newest_ids[probe] = n
                yield n
                n += stride
