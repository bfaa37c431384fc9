"""An event loop in which time passes only when nothing else is to be done: minutes of sampling in milliseconds."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any

from drill.model import SECOND, Anchor


class _Leap(selectors.DefaultSelector):
    loop: TimeTravel

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        self.loop.instant += math.ceil(timeout * SECOND)
        return super().select(0)


class TimeTravel(asyncio.SelectorEventLoop):
    """
    Attributes:
        instant: Nanoseconds now; adding to it from within a callback blocks the loop for so long.
    """

    def __init__(self) -> None:
        self.instant = 1000 * SECOND
        selector = _Leap()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.instant / SECOND


class LoopClock:
    """The clock of the running TimeTravel loop."""

    def now(self) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TimeTravel)
        return loop.instant

    def anchor(self) -> Anchor:
        return Anchor(monotonic=self.now(), wall=self.now())


def travel(main: Coroutine[Any, Any, Any]) -> Any:
    """Run *main* in such a loop."""
    with asyncio.Runner(loop_factory=TimeTravel) as runner:
        return runner.run(main)


def block(duration: int) -> None:
    """Let the loop stand still for *duration* nanoseconds, as a long garbage collection or a SIGSTOP would."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimeTravel)
    loop.instant += duration
