"""
Engines: what carries out a fault and undoes it.

Two rules hold for every engine. *Intent before effect*: `prepare` may look but
not touch, and `inject` asks the gate before each single activity, which answers
once the intent is on disk. *Undoing is idempotent*: nobody knows how far the
fault got, so `undo` must be right whether the fault happened, half happened or
never happened, and in another process than the one that broke things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from drill.errors import Problem
from drill.model import SECOND, Fault, Fence, Injection, Undo


class Gate(Protocol):
    """
    The conductor's side of every single activity.

    Attributes:
        fence: The number under which drill acts, when its system has a lock. An engine whose activities
            run elsewhere looks at it right before each (`locks.check`).
    """

    @property
    def fence(self) -> Fence | None: ...

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        """Journal the intent and return the activity's number; returns only when it is on disk."""

    async def done(self, n: int, *, ok: bool, output: Any = None, error: str = "") -> None:
        """Journal what came of activity *n*."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long a fault and its undo may take at most, nanoseconds.

    Attributes:
        inject, undo: All their activities together.

        unsaid: What an activity of the fault may take that names no timeout; None when all do.

        told: False when something in it has a length that only turns out when it runs, and counts for nothing here.
    """

    inject: int
    undo: int
    unsaid: int | None = None
    told: bool = True


class Engine(Protocol):
    """One way to break things; one instance serves one drill."""

    name: str

    def lint(
        self, path: Path, shown: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, Sequence[Problem]]:
        """
        Read the engine's document offline.

        *shown* is the path as problems should name it. Returns the document (None when it
        cannot be used) and every problem found, warnings included.
        """

    def describe(self, fault: Fault) -> Sequence[str]:
        """What the fault will do and how it is undone, one line each, for `drill plan`."""

    async def prepare(self, fault: Fault) -> Undo:
        """Look, do not touch; return how to undo. Raises EnvironmentFault when it cannot be carried out here."""

    async def inject(self, fault: Fault, undo: Undo, gate: Gate) -> Injection:
        """Carry the fault out. Raises EnvironmentFault when an action fails; cancelling it stops it at once."""

    # May also offer `end(undo)`: end whatever of the fault still goes on, in this process or not, before it is
    # undone in the place of a process that died; and `limits(fault)`: see `Limits`.

    async def undo(self, undo: Undo, gate: Gate) -> None:
        """Undo and verify, idempotently. Raises FaultLeftInPlace when it cannot be verified."""


def limits(faults: Iterable[Fault]) -> dict[str, Limits]:
    """How long each fault and its undo may take, by name, where its engine can tell."""
    from drill import plugins

    found = {}
    for fault in faults:
        engine = plugins.load("engine", fault.engine)()
        if hasattr(engine, "limits"):
            found[fault.name] = engine.limits(fault)
    return found


def undoing(faults: Sequence[Fault], known: Mapping[str, Limits]) -> float:
    """
    Seconds after which undoing any of these faults must be over, however slow the machine.

    Long where an engine does not tell: a guardian that interrupts an undo helps nobody.
    """
    if len(known) < len(faults):
        return 3600.0
    # On top of the activities: starting processes, loading controls, one more try.
    return 120.0 + 2 * sum(each.undo for each in known.values()) / SECOND
