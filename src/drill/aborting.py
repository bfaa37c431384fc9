"""Ending runs from another process: find those that go on, order them to end, wait until what they broke is undone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drill import locks, restoring, state
from drill.errors import DrillError, EnvironmentFault, FaultLeftInPlace, Refused
from drill.journal import NAME, is_live, salvage
from drill.model import Began, Completion
from drill.run import finish

_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Aborted:
    """
    A run that is over.

    Attributes:
        completion: How it ended: aborted, or what it had come to before the order reached it.

        reason: Why, as its journal has it.

        took_s: Seconds from the order to the end, everything undone.
    """

    folder: Path
    completion: Completion
    reason: str
    took_s: float

    @property
    def run_id(self) -> str:
        return self.folder.name


def going_on(home: Path, reports: Path) -> list[Path]:
    """Folders of the runs in *reports*, and of all others of this user, that go on or are just being restored."""
    here = sorted(reports.iterdir()) if reports.is_dir() else []
    found = {folder.resolve(): folder for folder in (*here, *state.entered(home)) if (folder / NAME).is_file()}
    live = [folder for folder in found.values() if is_live(folder) or _in_hand(folder)]
    for folder in state.entered(home):
        if folder not in live and not restoring.left_something(folder):
            state.leave(home, folder)  # it died before it could say that it was over, and was restored since
    return live


def abort(folder: Path, why: str, say: Callable[[str], None], within_s: float) -> Aborted:
    """
    Order a run to end, and wait until it has; one whose processes are gone is restored right here.

    Raises:
        EnvironmentFault: The order cannot be given.
        FaultLeftInPlace: It did not end within *within_s* seconds, or its faults could not be undone.
    """
    began = time.monotonic()
    if is_live(folder):
        state.abort(folder, why)
        say(f"{folder.name}: told to end; waiting until everything is undone")
    while True:
        # Whoever writes the journal is at it; once nobody does, it has its end, or it is for us to write it.
        if not is_live(folder):
            ended = salvage(folder)[0].ended
            if ended is not None:
                return Aborted(folder, ended.completion, ended.reason, time.monotonic() - began)
            _restore(folder, why, say)
        if time.monotonic() - began > within_s:
            raise FaultLeftInPlace(
                f"{folder.name} did not end within {within_s:g} s",
                instructions=[f"end its processes, then run: drill restore {folder}"],
            )
        time.sleep(_LOOK_S)


def _restore(folder: Path, why: str, say: Callable[[str], None]) -> None:
    """Restore a run whose conductor is gone, unless its guardian is about to."""
    reason = f"the process that ran the drill is gone; restored by drill abort, {state.sentence(state.order(why))}"
    try:
        asyncio.run(restoring.restore_run(folder, say, reason=reason))
    except FaultLeftInPlace:
        with suppress(DrillError):
            finish(folder)
        raise
    except Refused:
        return
    except EnvironmentFault:
        if is_live(folder):
            return
        raise
    with suppress(DrillError):
        finish(folder)


def _in_hand(folder: Path) -> bool:
    """Whether a run whose conductor is gone has no end yet, and its guardian holds its lock."""
    history, _ = salvage(folder)
    began = next(iter(history.of(Began)), None)
    if began is None or history.ended is not None or began.fence is None:
        return False
    return locks.is_held(Path(began.fence.path)) and locks.run_of(Path(began.fence.path)) == folder.resolve()
