"""
Undoing: one fault, or everything a dead run left.

Restoring is idempotent because nobody knows how far a fault got. What may be in
place is read from the journal alone, so any process can do it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from drill import plugins
from drill.clock import Clock, SystemClock
from drill.engines import Engine
from drill.errors import EnvironmentFault, FaultLeftInPlace
from drill.journal import NAME, Journal, is_live, last_event, salvage
from drill.model import (
    AnyEvent,
    Completion,
    Done,
    Ended,
    History,
    Injected,
    InjectFailed,
    Intent,
    Note,
    Prepared,
    RestoreBegan,
    Restored,
    Undo,
)
from drill.scrub import Scrubber


class Log(Protocol):
    """Where events go: the run's journal, or nowhere when that can no longer be written."""

    def append(self, event: AnyEvent) -> None: ...

    async def commit(self, event: AnyEvent) -> None: ...


class JournalGate:
    """
    The conductor's answer to every activity: the intent is on disk.

    Undoing goes on without a journal when that can no longer be written: a disk
    that is full must not keep a fault in place.
    """

    def __init__(self, fault: str, journal: Log, clock: Clock, scrub: Scrubber, first: int = 0) -> None:
        self._fault = fault
        self._journal = journal
        self._clock = clock
        self._scrub = scrub
        self._undoing: set[int] = set()
        self.next = first

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        n, self.next = self.next, self.next + 1
        if undoing:
            self._undoing.add(n)
        with suppress(EnvironmentFault) if undoing else nullcontext():
            await self._journal.commit(
                Intent(at=self._clock.now(), fault=self._fault, activity=activity, n=n, breaks=breaks, undoing=undoing)
            )
        return n

    async def done(self, n: int, *, ok: bool, output: Any = None, error: str = "") -> None:
        at = self._clock.now()
        output, error = self._scrub.data(output), self._scrub.text(error)
        with suppress(EnvironmentFault) if n in self._undoing else nullcontext():
            self._journal.append(Done(at=at, fault=self._fault, n=n, ok=ok, output=output, error=error))


async def undo_one(
    undo: Undo, engine: Engine, journal: Log, clock: Clock, gate: JournalGate
) -> FaultLeftInPlace | None:
    """
    Undo one fault and journal how it went, where that can still be written; None when it is verified.
    """
    with suppress(EnvironmentFault):
        await journal.commit(RestoreBegan(at=clock.now(), fault=undo.fault))
    left: FaultLeftInPlace | None = None
    try:
        await engine.undo(undo, gate)
    except FaultLeftInPlace as error:
        left = error
    except Exception as error:  # noqa: BLE001  whatever it was, a person must hear of it
        left = FaultLeftInPlace(f"undoing {undo.fault} failed: {error}", instructions=undo.instructions or undo.summary)
    instructions = left.instructions or undo.instructions or undo.summary if left else ()
    with suppress(EnvironmentFault):
        await journal.commit(
            Restored(
                at=clock.now(),
                fault=undo.fault,
                verified=left is None,
                error=str(left) if left else "",
                instructions=tuple(instructions),
            )
        )
    return left


def unfinished(reports: Path) -> list[Path]:
    """Folders of dead runs that may have left a fault, or whose journal is too damaged to tell; oldest first."""
    return [
        folder
        for folder in (sorted(reports.iterdir()) if reports.is_dir() else [])
        if (folder / NAME).is_file() and not is_live(folder) and _may_have_left_a_fault(folder)
    ]


def _may_have_left_a_fault(folder: Path) -> bool:
    last = last_event(folder)
    if isinstance(last, Ended) and last.completion is not Completion.UNSAFE:
        return False  # a thousand finished runs need not be read whole
    history, damage = salvage(folder)
    if not history.events:
        return damage is not None
    return history.ended is None or bool(open_undos(history))


def open_undos(history: History) -> dict[str, Undo]:
    """
    The undo of every fault that may be in place, by fault name, in the order they were prepared.

    A fault of which nothing was asked has touched nothing: every engine asks before each activity.
    """
    prepared: dict[str, Undo] = {}
    undos: dict[str, Undo] = {}
    for event in history.events:
        if isinstance(event, Prepared):
            prepared[event.undo.fault] = event.undo
        elif isinstance(event, Injected | InjectFailed) or (isinstance(event, Intent) and not event.undoing):
            if event.fault in prepared:
                undos[event.fault] = prepared[event.fault]
        elif isinstance(event, Restored) and event.verified:
            undos.pop(event.fault, None)
    return undos


async def restore_run(folder: Path, say: Callable[[str], None]) -> History | None:
    """
    Undo every fault that a dead run may have left, and end its journal.

    None when there was nothing to do. Idempotent: may be run again, from any process.

    Raises:
        EnvironmentFault: The run is still going on, or there is no journal.
        FaultLeftInPlace: An undo could not be verified, or the journal is damaged: what stands
            before the damage was undone, what came after it nobody knows.
    """
    history, damage = salvage(folder)
    if not history.events and damage is None:
        return None
    undos = open_undos(history)
    if history.ended is not None and not undos:
        return None
    left: list[FaultLeftInPlace] = []
    if damage is not None:
        left.append(
            FaultLeftInPlace(
                damage, instructions=[f"see what was broken after that, undo it, then move {folder} elsewhere"]
            )
        )
    with _going_on(folder, damage, say) as log:
        left += await _undo_all(history, undos, log, say)
        if history.ended is None:
            anchor = SystemClock().anchor()
            completion = Completion.UNSAFE if left else Completion.ABORTED
            reason = "; ".join(map(str, left)) or "the process that ran the drill died; restored afterwards"
            with suppress(EnvironmentFault):
                await log.commit(
                    Ended(at=anchor.monotonic, completion=completion, anchor=anchor, reason=reason, cause="crash")
                )
    if left:
        raise FaultLeftInPlace(
            "; ".join(str(error.args[0]) for error in left),
            instructions=[line for error in left for line in error.instructions],
        )
    return salvage(folder)[0]


async def _undo_all(
    history: History, undos: dict[str, Undo], log: Log, say: Callable[[str], None]
) -> list[FaultLeftInPlace]:
    clock = SystemClock()
    left = []
    # The last one first: a later fault may stand in the way of undoing an earlier one.
    for name, undo in reversed(undos.items()):
        say(f"undoing {name}")
        lab = history.plan.fault(name).lab
        if await _gone(lab, within_s=0):
            _settle_gone(log, clock, name)
            continue
        asked = [event.n for event in history.of(Intent) if event.fault == name]
        gate = JournalGate(name, log, clock, Scrubber({}), first=max(asked, default=-1) + 1)
        try:
            engine = plugins.load("engine", undo.engine)()
        except EnvironmentFault as error:
            left.append(FaultLeftInPlace(f"{name} could not be undone: {error}", instructions=undo.instructions))
            continue
        still = await undo_one(undo, engine, log, clock, gate)
        if still and await _gone(lab, within_s=10):
            # It went while we were at it: an embedded lab ends with the run that owned it.
            _settle_gone(log, clock, name)
        elif still:
            left.append(still)
    return left


class _Nowhere:
    """Takes the place of a journal that cannot be written."""

    def append(self, event: AnyEvent) -> None:
        pass

    async def commit(self, event: AnyEvent) -> None:
        pass


@contextmanager
def _going_on(folder: Path, damage: str | None, say: Callable[[str], None]) -> Iterator[Log]:
    """
    The dead run's journal, to be gone on with; undoing does without one that is damaged or cannot be written.

    Raises:
        EnvironmentFault: The run is still going on.
    """
    if damage is not None:
        say(damage)
        yield _Nowhere()
        return
    try:
        journal = Journal(folder, resume=True)
    except EnvironmentFault as error:
        if is_live(folder):
            raise
        say(f"{error}; undoing all the same")
        yield _Nowhere()
        return
    try:
        yield journal
    finally:
        journal.close()


def _settle_gone(log: Log, clock: Clock, name: str) -> None:
    with suppress(EnvironmentFault):
        log.append(Note(at=clock.now(), text=f"the lab of {name} is gone, and its fault with it"))
        log.append(Restored(at=clock.now(), fault=name, verified=True))


async def _gone(lab: str | None, within_s: float) -> bool:
    """Whether the lab's folder, and so all of it, is gone or goes within some seconds."""
    if lab is None:
        return False
    end = time.monotonic() + within_s
    while await asyncio.to_thread(Path(lab).exists):
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(0.1)
    return True
