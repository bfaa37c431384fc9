"""`drill run --repeat N`: the same drill again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from drill.errors import DrillError, EnvironmentFault, FaultLeftInPlace
from drill.model import Drill
from drill.run import Finished, run_id
from drill.runs import Summary, summarise


@dataclass(frozen=True, slots=True)
class Repeated:
    """
    Several runs.

    Attributes:
        finished: Those that came to an end, in order.

        stopped: Why there are fewer than asked for; None when there are not.

        error: What kept the last one from beginning or from being reported.
    """

    finished: Sequence[Finished]
    stopped: str | None = None
    error: DrillError | None = None

    def summary(self, asked: int) -> Summary | None:
        """What the runs prove together; None when none came to an end."""
        failed = "unsafe" if isinstance(self.error, FaultLeftInPlace) else "aborted" if self.error else None
        records = [each.record for each in self.finished]
        return summarise(records, asked, self.stopped, failed) if records else None


def repeat(times: int, carry_out: Callable[[int], Finished]) -> Repeated:
    """
    Carry a drill out up to *times* times; *carry_out* gets the run's number, from 1.

    A fault that may still be in place ends it, and so does a person: neither is
    followed by another run.
    """
    finished: list[Finished] = []
    for number in range(1, times + 1):
        try:
            done = carry_out(number)
        except DrillError as error:
            return Repeated(finished, f"run {number} could not begin or be reported", error)
        except KeyboardInterrupt:
            # Between two runs nothing is in place, and nobody else listens for it.
            return Repeated(finished, "a person stopped it")
        finished.append(done)
        if done.record.result == "unsafe":
            return Repeated(finished, "a fault may still be in place")
        if done.stopped or done.record.cause == "person":
            return Repeated(finished, "a person stopped it")
    return Repeated(finished)


def write(drill: Drill, reports: Path, summary: Summary) -> Path:
    """
    Write the summary beside the folders of its runs.

    Raises:
        EnvironmentFault: It cannot be written.
    """
    path = reports / f"{run_id(drill.name)}-repeat.json"
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    except OSError as error:
        raise EnvironmentFault(f"the summary {path} cannot be written: {error.strerror}") from error
    return path
