"""The clock of a drill: monotonic nanoseconds, tied to wall time at two anchors only."""

from __future__ import annotations

import time
from typing import Protocol

from drill.model import Anchor


class Clock(Protocol):
    """What a drill asks of time; tests pass their own."""

    def now(self) -> int:
        """Monotonic nanoseconds."""

    def anchor(self) -> Anchor:
        """The same instant on the monotonic, wall and boot clocks."""


class SystemClock:
    """This machine's clocks."""

    def now(self) -> int:
        return time.monotonic_ns()

    def anchor(self) -> Anchor:
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        # CLOCK_BOOTTIME goes on during a suspend, the monotonic clock does not: the difference shows one.
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else None
        return Anchor(monotonic=(before + after) // 2, wall=wall, boot=boot)
