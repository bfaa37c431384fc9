"""The faults of one run: made one by one, each with its undo on disk before it, and undone whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from drill.clock import Clock
from drill.engines import Engine
from drill.errors import DrillError, EnvironmentFault, FaultLeftInPlace, Refused
from drill.journal import Journal
from drill.model import SECOND, Fault, Fence, Injected, InjectFailed, Prepared, Undo
from drill.restoring import JournalGate, undo_one
from drill.scrub import Scrubber
from drill.watch import Watch


class Faults:
    """
    What a run breaks and has broken.

    Attributes:
        made: Some fault was carried out, wholly or in part.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Clock,
        engines: Mapping[str, Engine],
        scrub: Scrubber,
        watch: Watch,
        lasts: int | None = None,
        fence: Fence | None = None,
    ) -> None:
        """A fault may be in place for *lasts* nanoseconds; nothing is touched under an old *fence*."""
        self.made = False
        self._lasts = lasts
        self._fence = fence
        self._expires: dict[str, int] = {}
        self._journal = journal
        self._clock = clock
        self._engines = engines
        self._scrub = scrub
        self._watch = watch
        self._undos: dict[str, Undo] = {}
        self._gates: dict[str, JournalGate] = {}
        self._left: dict[str, FaultLeftInPlace] = {}

    @property
    def in_place(self) -> list[str]:
        """Faults that may be in place, in the order they were prepared."""
        return [*self._undos]

    @property
    def left(self) -> list[str]:
        """Why each of them still is, one sentence each."""
        return [str(self._left.get(name) or f"{name} was not undone") for name in self._undos]

    @property
    def instructions(self) -> list[str]:
        """What a person must do about them."""
        said: list[str] = []
        for name, undo in self._undos.items():
            told = self._left[name].instructions if name in self._left else ()
            said += told or undo.instructions or undo.summary
        return said

    async def make(self, fault: Fault) -> None:
        """
        Carry a fault out.

        Raises:
            Refused: Its steady state was not met before it; it broke nothing.
            EnvironmentFault: It cannot be carried out here, or was only in part.
        """
        engine = self._engines[fault.engine]
        undo = await engine.prepare(fault)
        at = self._clock.now()
        expires = None if self._lasts is None else at + self._lasts
        await self._journal.commit(Prepared(at=at, undo=undo, expires=expires))
        self._undos[fault.name] = undo
        if expires is not None:
            self._expires[fault.name] = expires
        gate = self._gates[fault.name] = self._gate(fault.name)
        self._watch.fault_begins(self._clock.now())
        try:
            injection = await engine.inject(fault, undo, gate)
        except Refused:
            if not gate.next:
                del self._undos[fault.name]  # nothing was touched
            raise
        except BaseException as error:
            # A bug or an order to stop as well: once an activity was let go ahead, it may have gone ahead.
            if gate.next or isinstance(error, DrillError):
                self.made = True
                with suppress(EnvironmentFault):
                    self._journal.append(
                        InjectFailed(at=self._clock.now(), fault=fault.name, error=self._scrub.text(_why(error)))
                    )
            raise
        self.made = True
        ended = self._clock.now()
        self._watch.fault_is_made(ended)
        self._journal.append(Injected(at=ended, fault=fault.name, injection=injection))

    async def undo(self, name: str) -> bool:
        """Undo one fault, if it may be in place; whether that is verified."""
        undo = self._undos.get(name)
        if undo is None:
            return True
        gate = self._gates.get(name) or self._gate(name)
        self._expires.pop(name, None)
        self._left.pop(name, None)
        left = await undo_one(undo, self._engines[undo.engine], self._journal, self._clock, gate)
        if left is None:
            del self._undos[name]
            return True
        self._left[name] = left
        return False

    def expired(self, now: int) -> str | None:
        """Why the run must end, as one sentence: a fault is in place that should be gone by *now*."""
        for name, at in self._expires.items():
            if now >= at and name in self._undos:
                return f"{name} has expired: it was to be in place for at most {(self._lasts or 0) / SECOND:g} s"
        return None

    def _gate(self, name: str) -> JournalGate:
        return JournalGate(name, self._journal, self._clock, self._scrub, fence=self._fence)

    async def undo_all(self) -> None:
        """
        Undo what may be in place, the last one first: a later fault may stand in the way of undoing an earlier.

        And the other way round: what cannot be undone is tried again once others are, if only in part.
        """
        left = [*reversed(self.in_place)]
        again = len(left) > 1
        while left:
            before, left = left, [name for name in left if not await self.undo(name)]
            if len(left) == len(before) and not again:
                return
            again = False


def _why(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "the run was stopped before it was wholly carried out"
    return str(error) if isinstance(error, DrillError) else f"drill itself failed: {error!r}"
