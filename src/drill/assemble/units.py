"""Nanoseconds and counts of the model as the record writes them: seconds, shares, or null with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from drill.model import SECOND, Bounds
from drill.record import BoundsS, CountBounds, Instant, RatioBounds


class Since:
    """Seconds since the run's first anchor, whose wall time is `started_at`."""

    def __init__(self, zero: int) -> None:
        self.zero = zero

    def __call__(self, at: int) -> float:
        return seconds(at - self.zero)

    def instant(self, lower: int, upper: int) -> Instant:
        return Instant(lower=self(lower), upper=self(upper))


def seconds(ns: int) -> float:
    """Nanoseconds as seconds; exact to the nanosecond for a hundred days."""
    return ns / SECOND


def maybe_seconds(ns: int | None) -> float | None:
    return None if ns is None else seconds(ns)


def utc(wall: int) -> str:
    """A wall clock reading as ISO 8601 in UTC, to the millisecond, rounded down."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def percentile(ordered: Sequence[int], share: float) -> int | None:
    """Nearest rank: the smallest of the sorted values that at least *share* of them do not exceed."""
    if not ordered:
        return None
    # In thousandths, because 0.99 * 100 is not 99 in binary.
    rank = -(-len(ordered) * round(share * 1000) // 1000)
    return ordered[max(rank, 1) - 1]


def span(bounds: Bounds | None, reason: str) -> BoundsS:
    """Bounds of a duration; *reason* is kept only where something is null."""
    if bounds is None:
        return BoundsS(lower_s=None, upper_s=None, reason=reason)
    return BoundsS(
        lower_s=seconds(bounds.lower),
        upper_s=maybe_seconds(bounds.upper),
        reason="the run ended first" if bounds.upper is None else None,
    )


def counted(bounds: Bounds | None, reason: str) -> CountBounds:
    if bounds is None:
        return CountBounds(lower=None, upper=None, reason=reason)
    return CountBounds(
        lower=bounds.lower,
        upper=bounds.upper,
        reason="some survivors could not be read" if bounds.upper is None else None,
    )


def share(bounds: Bounds | None, reason: str) -> RatioBounds:
    """Parts per million as a share of 1."""
    if bounds is None:
        return RatioBounds(lower=None, upper=None, reason=reason)
    upper = None if bounds.upper is None else bounds.upper / 1_000_000
    return RatioBounds(lower=bounds.lower / 1_000_000, upper=upper, reason="no upper bound" if upper is None else None)
