"""
Undoing: one fault, or everything a dead run left.

Restoring is idempotent because nobody knows how far a fault got. What may be in
place is read from the journal alone, so any process can do it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from drill import locks, plugins
from drill.clock import Clock, SystemClock
from drill.engines import Engine
from drill.errors import EnvironmentFault, FaultLeftInPlace, Refused
from drill.journal import NAME, Journal, is_live, last_event, salvage
from drill.locks import Lock
from drill.model import (
    AnyEvent,
    Began,
    Completion,
    Done,
    Ended,
    Fence,
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

    Attributes:
        fence: The number under which whoever asks acts; nothing is touched under an old one.
    """

    def __init__(
        self,
        fault: str,
        journal: Log,
        clock: Clock,
        scrub: Scrubber,
        *,
        first: int = 0,
        fence: Fence | None = None,
    ) -> None:
        self.fence = fence
        self._fault = fault
        self._journal = journal
        self._clock = clock
        self._scrub = scrub
        self._undoing: set[int] = set()
        self.next = first

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        locks.check(self.fence, undoing=undoing)
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
    return [folder for folder in (sorted(reports.iterdir()) if reports.is_dir() else []) if left_something(folder)]


def left_something(folder: Path) -> bool:
    """
    Whether the run in *folder* is over and may have left a fault.

    Also a run that is not ours to restore, where it can be read: a person must hear of its fault.
    """
    if not os.access(folder / NAME, os.R_OK) or not (folder / NAME).is_file() or is_live(folder):
        return False
    last = last_event(folder)
    if isinstance(last, Ended) and last.completion is not Completion.UNSAFE:
        return False  # a thousand finished runs need not be read whole
    return _to_do(*salvage(folder))


def _not_ours(folder: Path) -> str:
    """Why a journal is not to be acted upon: whoever can write it says what is run. "" when only we can."""
    for path in (folder, folder / NAME):
        with suppress(OSError):
            found = path.stat()
            if found.st_uid != os.geteuid():
                return f"{path} belongs to somebody else"
            if found.st_mode & 0o002:
                return f"others may write {path}"
    return ""


def refuse_what_nobody_may_restore(folder: Path) -> None:
    """
    Whether the journal of a run that is about to begin could be acted upon later.

    Raises:
        Refused: Not so: what the run broke, nothing would undo once the run has died.
    """
    if stranger := _not_ours(folder):
        raise Refused(
            f"nothing that this run breaks could be undone after its death: {stranger}",
            hint="a mount perhaps that gives every file to everybody (WSL, CIFS, NFS): --reports FOLDER on another",
        )


def open_undos(history: History, *, doubt: bool = False) -> dict[str, Undo]:
    """
    The undo of every fault that may be in place, by fault name, in the order they were prepared.

    A fault of which nothing was asked has touched nothing: every engine asks before each activity.
    In *doubt*, when lines of the journal cannot be read, it may have.
    """
    prepared: dict[str, Undo] = {}
    undos: dict[str, Undo] = {}
    for event in history.events:
        if isinstance(event, Prepared):
            prepared[event.undo.fault] = event.undo
            if doubt:
                undos[event.undo.fault] = event.undo
        elif isinstance(event, Injected | InjectFailed) or (isinstance(event, Intent) and not event.undoing):
            if event.fault in prepared:
                undos[event.fault] = prepared[event.fault]
        elif isinstance(event, Restored) and event.verified:
            undos.pop(event.fault, None)
    return undos


async def restore_run(
    folder: Path,
    say: Callable[[str], None],
    *,
    lock: Lock | None = None,
    reason: str = "the process that ran the drill died; restored afterwards",
    cause: str = "crash",
) -> History | None:
    """
    Undo every fault that a dead run may have left, and end its journal with *reason* and *cause*.

    None when there was nothing to do. Idempotent: may be run again, from any process. *lock* is
    one that the caller holds already; its holder before is shut out, dead or not.

    Raises:
        Refused: Another drill of that system is going on, or the run's guardian is at it.
        EnvironmentFault: The run is still going on, there is no journal, or others can write it.
        FaultLeftInPlace: An undo could not be verified, or the journal is damaged: what can be
            read of it was undone, what cannot nobody knows.
    """
    if lock is None and is_live(folder):
        raise EnvironmentFault(
            f"the run {folder.name} is still going on in another process", hint=f"end it: drill abort {folder}"
        )
    history, damage = salvage(folder)
    if not _to_do(history, damage):
        return None
    if stranger := _not_ours(folder):
        raise EnvironmentFault(
            f"the run {folder.name} is not restored: {stranger}, and its undo would be carried out as you",
            hint="restore it as who ran it; or look at its undo, copy its folder to where it is yours alone, "
            "and: drill restore COPY",
        )
    with (
        _shut_out(folder, history, lock, say) as fence,
        _going_on(folder, damage, say, shut_out=lock is not None) as log,
    ):
        # Once more, now that nobody else can write it.
        history, damage = salvage(folder)
        if not _to_do(history, damage):
            return None
        left: list[FaultLeftInPlace] = []
        if damage is not None:
            left.append(
                FaultLeftInPlace(
                    damage, instructions=[f"see what was broken there, undo it, then move {folder} elsewhere"]
                )
            )
        left += await _undo_all(history, open_undos(history, doubt=damage is not None), log, say, fence)
        if history.ended is None:
            anchor = SystemClock().anchor()
            completion = Completion.UNSAFE if left else Completion.ABORTED
            why = "; ".join(map(str, left)) or reason
            with suppress(EnvironmentFault):
                await log.commit(
                    Ended(at=anchor.monotonic, completion=completion, anchor=anchor, reason=why, cause=cause)
                )
    if left:
        raise FaultLeftInPlace(
            "; ".join(str(error.args[0]) for error in left),
            instructions=[line for error in left for line in error.instructions],
        )
    return salvage(folder)[0]


def _to_do(history: History, damage: str | None) -> bool:
    if not history.events:
        return damage is not None
    return history.ended is None or bool(open_undos(history))


@contextmanager
def _shut_out(folder: Path, history: History, lock: Lock | None, say: Callable[[str], None]) -> Iterator[Fence | None]:
    """
    Hold the lock of the run's system under a new number, so that nobody acts beside us.

    Raises:
        Refused: Somebody else holds it.
    """
    fence = next((event.fence for event in history.events if isinstance(event, Began)), None)
    if fence is None or (lock is not None and lock.fence.path == fence.path):
        yield lock.fence if lock is not None else None
        return
    try:
        taken = locks.take(Path(fence.path), f"the system {history.plan.system}", folder)
    except Refused:
        raise
    except EnvironmentFault as error:
        say(f"{error}; undoing all the same")
        yield None
        return
    try:
        yield taken.fence
    finally:
        taken.let_go()


async def _undo_all(
    history: History, undos: dict[str, Undo], log: Log, say: Callable[[str], None], fence: Fence | None
) -> list[FaultLeftInPlace]:
    """Undo the last one first, and again what could not be undone once others are, if only in part."""
    labs = {fault.name: fault.lab for event in history.of(Began) for fault in event.plan.faults}
    made = {event.fault for event in history.of(Injected)}
    asked: dict[str, int] = {event.fault: event.n + 1 for event in history.of(Intent)}
    left = dict.fromkeys(reversed(undos))
    errors: list[FaultLeftInPlace] = []
    again = len(left) > 1
    while left:
        before, errors = len(left), []
        for name in [*left]:
            say(f"undoing {name}")
            gate = JournalGate(name, log, SystemClock(), Scrubber({}), first=asked.get(name, 0), fence=fence)
            error = await _undo(undos[name], log, gate, labs.get(name), unmade=name not in made)
            asked[name] = gate.next
            if error is None:
                del left[name]
            else:
                errors.append(error)
        if len(left) == before and not again:
            break
        again = False
    return errors


async def _undo(undo: Undo, log: Log, gate: JournalGate, lab: str | None, *, unmade: bool) -> FaultLeftInPlace | None:
    """Undo one fault that a dead run left, on its *lab*; None when it is verified."""
    clock = SystemClock()
    if await _gone(lab, within_s=0):
        _settle_gone(log, clock, undo.fault)
        return None
    try:
        engine = plugins.load("engine", undo.engine)()
    except EnvironmentFault as error:
        return FaultLeftInPlace(f"{undo.fault} could not be undone: {error}", instructions=undo.instructions)
    if unmade:
        # What its method started may still be at it: nothing may be broken after it is undone.
        await asyncio.to_thread(getattr(engine, "end", lambda undo: None), undo)
    still = await undo_one(undo, engine, log, clock, gate)
    if still and await _gone(lab, within_s=10):
        # It went while we were at it: an embedded lab ends with the run that owned it.
        _settle_gone(log, clock, undo.fault)
        return None
    return still


class _Nowhere:
    """Takes the place of a journal that cannot be written."""

    def append(self, event: AnyEvent) -> None:
        pass

    async def commit(self, event: AnyEvent) -> None:
        pass


@contextmanager
def _going_on(folder: Path, damage: str | None, say: Callable[[str], None], *, shut_out: bool) -> Iterator[Log]:
    """
    The dead run's journal, to be gone on with; undoing does without one that is damaged or cannot be written.

    Raises:
        EnvironmentFault: The run is still going on, and its process not *shut_out*.
    """
    if damage is not None:
        say(damage)
        yield _Nowhere()
        return
    try:
        journal = Journal(folder, resume=True)
    except EnvironmentFault as error:
        if is_live(folder) and not shut_out:
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
