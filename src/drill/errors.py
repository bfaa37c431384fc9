"""
What can go wrong, for whom, and which exit code it means.

    DrillError
      x SpecError          exit 2   a file cannot be used as written (Click uses 2 for usage, too)
      x EnvironmentFault   exit 4   engine, probe host, lab or account refused; every fault is undone
        x Refused          exit 4   drill would not begin: unhealthy baseline, lock held, nothing to break
      x FaultLeftInPlace   exit 5   a fault is still in place: a person is needed now
    (no exception)         exit 0 met · 1 missed · 3 inconclusive

One class per *reaction*, not per cause. Every message is a sentence for the
person who can fix it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a problem in a file matters."""

    ERROR = "error"  # the file cannot be used
    WARNING = "warning"  # it can, but will not do what was meant
    NOTE = "note"  # something to know, such as a variable that is not set here


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file as editors read it; line and column count from 1, column in characters."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


_LONGEST = 2000  # characters of one message


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file: where, what was expected and found, and what to do."""

    message: str
    at: Position | None = None
    hint: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        prefix = f"{self.at}: " if self.at else ""
        label = "" if self.severity is Severity.ERROR else f"{self.severity.value}: "
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return printable(f"{prefix}{label}{self.message[:_LONGEST]}{hint[:_LONGEST]}")


def printable(text: str) -> str:
    """What stands in a file may be made to move the cursor of whoever reads about it, or to hide from them."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


class DrillError(Exception):
    """Anything drill tells a person about instead of a traceback."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return printable(f"{message}\n  hint: {self.hint}" if self.hint else message)


class SpecError(DrillError):
    """
    A file or the command line cannot be used as written.

    Attributes:
        problems: Every problem found, in file order, warnings included.
    """

    exit_code = 2

    def __init__(
        self,
        message: str = "",
        *,
        at: Position | None = None,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
    ) -> None:
        self.problems: Sequence[Problem] = tuple(problems) or (Problem(message, at, hint),)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class EnvironmentFault(DrillError):
    """The engine, the probing machine, the lab or the account refused; every fault is undone."""

    exit_code = 4


class Refused(EnvironmentFault):
    """drill would not begin: nothing was broken."""


class FaultLeftInPlace(DrillError):
    """
    A fault may still be in place: a person is needed now.

    Attributes:
        instructions: What that person must do, one sentence each.
    """

    exit_code = 5

    def __init__(self, message: str, *, instructions: Sequence[str] = ()) -> None:
        super().__init__(message, hint="; ".join(instructions) or None)
        self.instructions = tuple(instructions)
