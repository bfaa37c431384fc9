"""
Whether service is back, asked again and again while samples come, for days if need be.

Gives what `sustained` gives of every sample so far, but keeps the last while only:
what no later sample can change is settled once and let go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from drill.measure.incidents import Series, resolve
from drill.model import Outcome, Parameters, Sample, Window

_FEWEST = 512  # samples that are kept before settling is worth its while


class Before:
    """Samples of one probe that were let go before the fault: what they say of its usual rate."""

    def __init__(self) -> None:
        self.good = 0
        self.first: int | None = None

    def add(self, sample: Sample) -> None:
        if sample.sent is not None and sample.outcome is not Outcome.UNKNOWN:
            self.good += sample.outcome is Outcome.OK
            self.first = sample.sent if self.first is None else min(self.first, sample.sent)


class Ongoing:
    """
    One probe since *t0*.

    A sample must be added within *patience* nanoseconds of the instant it was planned
    for: later, what it could have changed may be settled.
    """

    def __init__(
        self,
        t0: Window,
        period: int,
        parameters: Parameters,
        patience: int,
        before: Before | None = None,
        fewest: int = _FEWEST,
    ) -> None:
        """*before* is what was let go of the samples before t0; *fewest* are kept before any are let go."""
        before = before or Before()
        self.t0 = t0
        self._rule = resolve(parameters, period)
        self._patience = patience
        self._good, self._first = before.good, before.first
        self._samples: list[Sample] = []
        self._newest: int | None = None
        self._fewest = self._limit = fewest
        # Settled so far: an outage was seen, it goes on, and up to when its recovery's hold lasted.
        self._hit = self._away = False
        self._held: int | None = None
        self._watched: bool | None = None

    def __len__(self) -> int:
        """How many samples are kept."""
        return len(self._samples)

    def made(self, at: int) -> None:
        """The fault that began at t0 was made by then."""
        self.t0 = Window(self.t0.lower, at)
        self._watched = None

    def add(self, samples: Iterable[Sample]) -> None:
        """Note samples, in the order they ended."""
        for sample in samples:
            if sample.sent is not None and sample.outcome is not Outcome.UNKNOWN:
                self._samples.append(sample)
                ended = sample.sent if sample.ended is None else sample.ended
                self._newest = ended if self._newest is None else max(self._newest, ended)
        if len(self._samples) >= self._limit and self._newest is not None:
            self._settle(self._newest - self._patience)
            self._limit = max(self._fewest, 2 * len(self._samples))

    def back(self, settled: int) -> bool:
        """Whether service is back and has stayed so, or never went away, by the samples planned until *settled*."""
        series = Series([sample for sample in self._samples if sample.planned <= settled], self._rule)
        hit, away, _ = self._walk(series, None)
        if hit:
            return not away
        return series.watched(self.t0.upper) if self._watched is None else self._watched

    def _walk(self, series: Series, until: int | None) -> tuple[bool, bool, int | None]:
        """From what is settled on to the end, or as far as edges sent by *until* go."""
        hit, away, held = self._hit, self._away, self._held
        rate = self._rate(series)
        start = 0 if held is None else bisect_right(series.sent, held)
        edge: int | None = -1  # of an outage that goes on, every kept sample is one after its first
        while True:
            if not away:
                edge = series.onset(start, self.t0)
                if edge is None or (until is not None and series.sent[edge] > until):
                    break
                hit = away = True
            assert edge is not None
            good = series.recovery(edge, rate)
            if good is None or (until is not None and series.sent[good] > until):
                break
            away, held = False, series.sent[good] + self._rule.hold
            start = bisect_right(series.sent, held)
        return hit, away, held

    def _rate(self, series: Series) -> float:
        """Good samples per nanosecond that a recovery needs."""
        if self._rule.minimum_capacity is None:
            return 0.0
        kept = series.sent[0] if len(series.sent) else None
        first = min((each for each in (self._first, kept) if each is not None), default=None)
        if first is None or first >= self.t0.lower:
            return 0.0
        good = self._good + sum(
            each.outcome is Outcome.OK and each.sent is not None and each.sent < self.t0.lower for each in self._samples
        )
        return self._rule.minimum_capacity * (good / (self.t0.lower - first))

    def _settle(self, settled: int) -> None:
        """Decide what the samples planned until *settled* decide for good, and let go of those not needed any more."""
        series = Series([sample for sample in self._samples if sample.planned <= settled], self._rule)
        if not len(series.sent):
            return
        whole = min(settled, series.sent[-1])  # nothing sent by then is still to come
        until = whole - max(self._rule.hold, self._rule.onset_window)
        self._hit, self._away, self._held = self._walk(series, until)
        if self._watched is None and whole >= self.t0.upper + self._rule.hold:
            self._watched = series.watched(self.t0.upper)
        place = bisect_right(series.sent, until)
        if place == 0:
            return
        # One more stays: the gap after it may count.
        oldest = series.sent[place - 1]
        kept = []
        for sample in self._samples:
            assert sample.sent is not None
            if sample.sent >= oldest:
                kept.append(sample)
                continue
            self._good += sample.outcome is Outcome.OK and sample.sent < self.t0.lower
            self._first = sample.sent if self._first is None else min(self._first, sample.sent)
        self._samples = kept
