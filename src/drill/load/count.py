"""Counting requests by the second, small enough to send and to keep. Pure."""

from __future__ import annotations

from collections import Counter

from drill.measure.traffic import band
from drill.model import SECOND, TrafficSecond


class Tally:
    """Requests of one process, second by second of the monotonic clock, from the instant *start* on."""

    def __init__(self, process: int, start: int) -> None:
        self._process = process
        self._next = start // SECOND * SECOND
        self._fresh()

    def _fresh(self) -> None:
        self._sent = self._ok = self._failed = 0
        self._bands: Counter[int] = Counter()
        self._errors: Counter[str] = Counter()

    def sent(self) -> None:
        self._sent += 1

    def ended(self, latency: int, error: str = "") -> None:
        """A request ended after *latency* nanoseconds; well when *error* is empty."""
        if error:
            self._failed += 1
            self._errors[error if error in self._errors or len(self._errors) < 20 else "other errors"] += 1
        else:
            self._ok += 1
            self._bands[band(latency)] += 1

    def take(self, now: int, users: int) -> list[tuple[TrafficSecond, dict[str, int]]]:
        """Every second that is over by *now*; whoever counts calls this at least once a second."""
        found = []
        while now >= self._next + SECOND:
            latency = tuple(sorted(self._bands.items()))
            second = TrafficSecond(self._next, self._process, users, self._sent, self._ok, self._failed, latency)
            found.append((second, dict(self._errors)))
            self._fresh()
            self._next += SECOND
        return found
