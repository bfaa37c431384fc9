"""
Carries out a plan: the one async loop.

Two rules carry its safety. *Intent before effect*: nothing is touched before
the journal has it on disk. *Whatever happens, undo*: a failed step, a guard, a
signal or a bug all lead through `_finish`, which nothing cancels.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from drill.clock import Clock
from drill.engines import Engine
from drill.errors import DrillError, EnvironmentFault, Refused
from drill.faults import Faults
from drill.journal import Journal
from drill.model import (
    SECOND,
    Began,
    Completion,
    Condition,
    Delayed,
    Ended,
    Fence,
    LoadBegan,
    LoadEnded,
    Mark,
    Note,
    Observed,
    Plan,
    Step,
    StepBegan,
    StepEnded,
    StepKind,
    Traffic,
    Window,
)
from drill.probes import Prober
from drill.sampling import Sampling
from drill.scrub import Scrubber
from drill.watch import Watch

_LOOK_NS = 200_000_000  # how often a wait looks whether its condition holds


@dataclass(frozen=True, slots=True)
class _Over:
    """How carrying out a plan ended."""

    completion: Completion = Completion.COMPLETED
    reason: str = ""
    cause: str = ""


class Stopped(DrillError):
    """The run was told to stop; carries what told it."""

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(reason)
        self.cause = cause


class Marks(Protocol):
    """Whoever knows what the system itself did, such as a lab."""

    async def marks(self, since: int) -> list[dict[str, Any]]:
        """Everything reported since an instant: name, lower, upper, source, text."""


class Sends(Protocol):
    """Whoever sends the drill's load."""

    async def start(self, sink: Callable[[LoadBegan | Traffic | LoadEnded], None]) -> None:
        """Begin, and tell *sink* what is done until `stop`; raises Refused when it cannot begin."""

    async def stop(self) -> None:
        """End it; nothing of it is left when this returns."""


class Conductor:
    """
    One run of one plan.

    Attributes:
        samplers: By probe name, once sampling has begun; the live view reads them.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        clock: Clock,
        engines: Mapping[str, Engine],
        probers: Mapping[str, Prober],
        scrub: Scrubber,
        marks: Marks | None = None,
        load: Sends | None = None,
        cycle: int | None = None,
        rng: random.Random | None = None,
        fence: Fence | None = None,
    ) -> None:
        """
        Before its first fault the run waits for a random share of *cycle*, nanoseconds.

        Nothing is touched once *fence* is an old number.
        """
        self.plan = plan
        self._journal = journal
        self._clock = clock
        self._scrub = scrub
        self._marks = marks
        self._load = load
        self._cycle = cycle
        # When probes and the fault go off; nothing secret.
        self._rng = rng or random.Random()  # noqa: S311
        self._told: Stopped | None = None
        self._stop: asyncio.Future[Stopped] | None = None
        self._began = 0
        self._watch = Watch(plan)
        self._fence = fence
        self._faults = Faults(
            journal, clock=clock, engines=engines, scrub=scrub, watch=self._watch, lasts=plan.expires, fence=fence
        )
        self._sampling = Sampling(
            plan,
            journal,
            clock=clock,
            probers=probers,
            scrub=scrub,
            watch=self._watch,
            failed=lambda why: self.stop(why, "crash"),
            rng=self._rng,
        )
        self.samplers = self._sampling.samplers

    @property
    def instructions(self) -> list[str]:
        """What a person must do about faults that may still be in place."""
        return self._faults.instructions

    def stop(self, reason: str, cause: str = "person") -> None:
        """End the run now: the current step is cut short and everything is undone. Later calls change nothing."""
        self._told = self._told or Stopped(reason, cause)
        if self._stop and not self._stop.done():
            self._stop.set_result(self._told)

    async def run(self, run_id: str, tool: Mapping[str, str], trigger: str = "manual") -> None:
        """
        Carry the plan out.

        Everything that goes wrong is in the journal when this returns; it raises only when
        the journal itself cannot be written, or drill is mistaken, after undoing.
        """
        self._stop = asyncio.get_running_loop().create_future()
        if self._told:
            self._stop.set_result(self._told)
        anchor = self._clock.anchor()
        self._began = anchor.monotonic
        await self._journal.commit(
            Began(
                at=anchor.monotonic,
                run_id=run_id,
                plan=self.plan,
                anchor=anchor,
                tool=dict(tool),
                trigger=trigger,
                fence=self._fence,
            )
        )
        # What was made until now lives as long as the run: keep it out of the collector's pauses.
        gc.collect()
        gc.freeze()
        over = _Over()
        try:
            over = await self._carry_out(anchor.wall)
        except BaseException as bug:
            over = _Over(Completion.ABORTED, f"drill itself failed: {bug!r}", "crash")
            raise
        finally:
            try:
                await _unhurt(self._finish())
            except Exception as bug:
                over = _Over(Completion.ABORTED, f"drill itself failed: {bug!r}", "crash")
                raise
            finally:
                self._end(over)
                gc.unfreeze()

    async def _carry_out(self, wall: int) -> _Over:
        """Sample and do the steps; how it ended, undoing left aside."""
        try:
            if self._load:
                # Under load before anything is measured: the baseline is one with it.
                await self._until_stopped(self._load.start(self._tell))
            await self._sampling.start(wall)
            await self._until_stopped(self._steps())
        except Refused as refusal:
            if self._faults.made:
                # An earlier fault was carried out: whatever this one says, something was broken.
                return _Over(Completion.ABORTED, str(refusal.args[0]), "preflight")
            return _Over(Completion.REFUSED, str(refusal), "unhealthy_before")
        except Stopped as stopped:
            return _Over(Completion.ABORTED, str(stopped), stopped.cause)
        except DrillError as error:
            return _Over(Completion.ABORTED, str(error), "not_executed")
        return _Over()

    def _end(self, over: _Over) -> None:
        """The run's last line, if it can be written."""
        if self._faults.in_place:
            over = _Over(Completion.UNSAFE, "; ".join(self._faults.left), over.cause)
        anchor = self._clock.anchor()
        with suppress(EnvironmentFault):
            self._journal.append(
                Ended(
                    at=anchor.monotonic,
                    completion=over.completion,
                    anchor=anchor,
                    reason=self._scrub.text(over.reason),
                    cause=over.cause,
                )
            )
            self._journal.flush()

    def _tell(self, event: LoadBegan | Traffic | LoadEnded) -> None:
        """Take down what the load did."""
        try:
            self._journal.append(event)
        except EnvironmentFault as error:
            self.stop(str(error), "crash")

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, unless a person, a guard or a signal stops it first."""
        assert self._stop is not None
        steps = asyncio.create_task(work)
        guards = asyncio.create_task(self._guard())
        guards.add_done_callback(self._guards_ended)
        try:
            ended: set[asyncio.Future[Any]] = {steps, self._stop}
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.done() and not steps.done():
                steps.cancel()
                with suppress(asyncio.CancelledError, DrillError):
                    await steps
                raise self._stop.result()
            await steps
        finally:
            guards.cancel()
            # Undoing begins next: nothing may go on breaking beside it.
            steps.cancel()

    async def _steps(self) -> None:
        baseline = True
        first = next((n for n, step in enumerate(self.plan.steps) if step.kind is StepKind.INJECT), None)
        for n, step in enumerate(self.plan.steps):
            if n == first:
                await self._delay()
            self._journal.append(StepBegan(at=self._clock.now(), n=n))
            done, reason = False, "cut short"
            try:
                done, reason = await self._step(step)
                if step.kind is StepKind.WATCH and baseline:
                    unhealthy = self._watch.unhealthy()
                    if unhealthy:
                        raise Refused(
                            unhealthy,
                            hint="nothing was broken; drill only healthy services, or lower the probe's demands",
                        )
                    baseline = False
            except DrillError as error:
                done, reason = False, str(error)
                raise
            finally:
                self._journal.append(StepEnded(at=self._clock.now(), n=n, done=done, reason=self._scrub.text(reason)))

    async def _step(self, step: Step) -> tuple[bool, str]:
        """Do one step; whether it was done, and why not."""
        if step.kind is StepKind.WATCH:
            await asyncio.sleep((step.within or 0) / SECOND)
            if self._watch.fault is None:
                await self._sampling.try_survivors()
            return True, ""
        if step.kind is StepKind.INJECT:
            await self._faults.make(self.plan.fault(step.fault or ""))
            return True, ""
        if step.kind is StepKind.RESTORE:
            if not await self._faults.undo(step.fault or ""):
                raise EnvironmentFault(f"{step.fault} could not be undone")
            return True, ""
        return await self._await(step)

    async def _delay(self) -> None:
        """Let the fault fall anywhere in the system's longest cycle, not always at the same moment of it."""
        if self._cycle is not None:
            delay = int(self._rng.random() * self._cycle)
            self._journal.append(Delayed(at=self._clock.now(), delay=delay, cycle=self._cycle))
            await asyncio.sleep(delay / SECOND)

    async def _await(self, step: Step) -> tuple[bool, str]:
        condition = step.condition or Condition.RECOVERY
        began = self._clock.now()
        while not self._watch.holds(condition, self._clock.now()):
            if step.within is not None and self._clock.now() - began > step.within:
                return False, f"not within {step.within / SECOND:g} s"
            await asyncio.sleep(_LOOK_NS / SECOND)
        if condition is Condition.RECOVERY:
            await self._sampling.settle(judged=True)
        return True, ""

    # --- guards --------------------------------------------------------------------------------------------------

    async def _guard(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_NS / SECOND)
            expired = self._faults.expired(self._clock.now())
            if expired:
                self.stop(expired, "expiry")
            for guard in self.plan.guards:
                why = self._watch.violated(guard, self._clock.now(), self._began)
                if why:
                    self.stop(why, "guard")

    def _guards_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error:
            self.stop(f"the guards cannot watch any more: {error!r}", "crash")

    # --- the end -------------------------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Undo what is left, read the survivors a last time, stop sampling. Goes on whatever fails."""
        left = bool(self._faults.in_place)
        self._journal.undoing()
        await self._faults.undo_all()
        steps: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if self._watch.fault is not None and left:
            steps.append(self._await_failback)
        steps.append(self._sampling.stop)
        if self._load:
            steps.append(self._load.stop)
        if self._watch.fault is not None:
            # Once more with the writers at rest, so that no write is left unread.
            steps.append(lambda: self._sampling.settle(judged=False))
        steps.append(self._collect_marks)
        for step in steps:
            try:
                await step()
            except DrillError as error:
                with suppress(EnvironmentFault):
                    self._journal.append(Note(at=self._clock.now(), text=self._scrub.text(str(error))))
        await self._sampling.close()

    async def _await_failback(self) -> None:
        """Give the undo a few seconds to show in the samples, so that its own outage is not cut off."""
        await asyncio.sleep(2)

    async def _collect_marks(self) -> None:
        if self._marks is None:
            return
        try:
            marks = await asyncio.wait_for(self._marks.marks(self._began), timeout=5)
        except (TimeoutError, OSError) as error:
            raise EnvironmentFault(f"what the lab itself saw could not be read: {error or 'no answer'}") from error
        for mark in marks:
            self._journal.append(
                Mark(
                    at=self._clock.now(),
                    name=mark["name"],
                    window=Window(int(mark["lower"]), int(mark["upper"])),
                    source=mark["source"],
                    text=mark.get("text", ""),
                )
            )
        tells = tuple(getattr(self._marks, "tells", ()))
        if tells:
            self._journal.append(Observed(at=self._clock.now(), source="lab", tells=tells))


async def _unhurt(work: Coroutine[Any, Any, None]) -> None:
    """Await to the end, however often this task is cancelled meanwhile."""
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError
