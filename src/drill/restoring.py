"""
Undoing: one fault, or everything a dead run left.

Restoring is idempotent because nobody knows how far a fault got. What may be in
place is read from the journal alone, so any process can do it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from drill import plugins
from drill.clock import Clock, SystemClock
from drill.engines import Engine
from drill.errors import DrillError, EnvironmentFault, FaultLeftInPlace
from drill.journal import NAME, Journal, is_live, replay
from drill.model import (
    Completion,
    Done,
    Ended,
    History,
    Intent,
    Note,
    Prepared,
    RestoreBegan,
    Restored,
    Undo,
)
from drill.scrub import Scrubber


class JournalGate:
    """The conductor's answer to every activity: the intent is on disk."""

    def __init__(self, fault: str, journal: Journal, clock: Clock, scrub: Scrubber, first: int = 0) -> None:
        self._fault = fault
        self._journal = journal
        self._clock = clock
        self._scrub = scrub
        self.next = first

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        n, self.next = self.next, self.next + 1
        await self._journal.commit(
            Intent(at=self._clock.now(), fault=self._fault, activity=activity, n=n, breaks=breaks, undoing=undoing)
        )
        return n

    async def done(self, n: int, *, ok: bool, output: Any = None, error: str = "") -> None:
        at = self._clock.now()
        output, error = self._scrub.data(output), self._scrub.text(error)
        self._journal.append(Done(at=at, fault=self._fault, n=n, ok=ok, output=output, error=error))


async def undo_one(
    undo: Undo, engine: Engine, journal: Journal, clock: Clock, gate: JournalGate
) -> FaultLeftInPlace | None:
    """
    Undo one fault and journal how it went; None when it is verified.

    Goes on without a journal when that can no longer be written: a disk that
    is full must not keep a fault in place.
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
    """Run folders whose journal has a fault that nobody is known to have undone, oldest first."""
    found = []
    for folder in sorted(reports.iterdir()) if reports.is_dir() else []:
        if (folder / NAME).is_file() and not is_live(folder):
            try:
                history = replay(folder)
            except DrillError:
                continue
            if history.ended is None or open_undos(history):
                found.append(folder)
    return found


def open_undos(history: History) -> dict[str, Undo]:
    """The undo of every fault that may be in place, by fault name, in the order they were prepared."""
    undos: dict[str, Undo] = {}
    for event in history.events:
        if isinstance(event, Prepared):
            undos[event.undo.fault] = event.undo
        elif isinstance(event, Restored) and event.verified:
            undos.pop(event.fault, None)
    return undos


async def restore_run(folder: Path, say: Callable[[str], None]) -> History | None:
    """
    Undo every fault that a dead run may have left, and end its journal.

    None when there was nothing to do. Idempotent: may be run again, from any process.

    Raises:
        EnvironmentFault: The run is still going on, or its journal cannot be read.
        FaultLeftInPlace: An undo could not be verified.
    """
    history = replay(folder)
    undos = open_undos(history)
    if history.ended is not None and not undos:
        return None
    clock = SystemClock()
    journal = Journal(folder, resume=True)
    left: list[FaultLeftInPlace] = []
    try:
        # The last one first: a later fault may stand in the way of undoing an earlier one.
        for name, undo in reversed(undos.items()):
            say(f"undoing {name}")
            fault = history.plan.fault(name)
            if await _gone(fault.lab, within_s=0):
                _settle_gone(journal, clock, name)
                continue
            engine = plugins.load("engine", undo.engine)()
            asked = [event.n for event in history.of(Intent) if event.fault == name]
            gate = JournalGate(name, journal, clock, Scrubber({}), first=max(asked, default=-1) + 1)
            error = await undo_one(undo, engine, journal, clock, gate)
            if error and await _gone(fault.lab, within_s=10):
                # It went while we were at it: an embedded lab ends with the run that owned it.
                _settle_gone(journal, clock, name)
            elif error:
                left.append(error)
        if history.ended is None:
            anchor = clock.anchor()
            completion = Completion.UNSAFE if left else Completion.ABORTED
            reason = "; ".join(map(str, left)) or "the process that ran the drill died; restored afterwards"
            journal.append(
                Ended(at=anchor.monotonic, completion=completion, anchor=anchor, reason=reason, cause="crash")
            )
        journal.flush()
    finally:
        journal.close()
    if left:
        raise FaultLeftInPlace(
            "; ".join(str(error.args[0]) for error in left),
            instructions=[line for error in left for line in error.instructions],
        )
    return replay(folder)


def _settle_gone(journal: Journal, clock: SystemClock, name: str) -> None:
    journal.append(Note(at=clock.now(), text=f"the lab of {name} is gone, and its fault with it"))
    journal.append(Restored(at=clock.now(), fault=name, verified=True))


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
