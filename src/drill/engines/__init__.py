"""
Engines: what carries out a fault and undoes it.

Two rules hold for every engine. *Intent before effect*: `prepare` may look but
not touch, and `inject` asks the gate before each single activity, which answers
once the intent is on disk. *Undoing is idempotent*: nobody knows how far the
fault got, so `undo` must be right whether the fault happened, half happened or
never happened, and in another process than the one that broke things.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from drill.errors import Problem
from drill.model import Fault, Injection, Undo


class Gate(Protocol):
    """The conductor's side of every single activity."""

    async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
        """Journal the intent and return the activity's number; returns only when it is on disk."""

    async def done(self, n: int, *, ok: bool, output: Any = None, error: str = "") -> None:
        """Journal what came of activity *n*."""


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

    async def undo(self, undo: Undo, gate: Gate) -> None:
        """Undo and verify, idempotently. Raises FaultLeftInPlace when it cannot be verified."""
