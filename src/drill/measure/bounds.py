"""Arithmetic of bounds: from one instant to another, several probes, several vantage points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from drill.model import MILLISECOND, SECOND, Bounds, Window


def between(x: Window, y: Window) -> Bounds:
    """How long it took from *x* to *y*; [0, 0] when y was surely not later."""
    return Bounds(max(0, y.lower - x.upper), max(0, y.upper - x.lower))


def combine(bounds: Iterable[Bounds | None]) -> Bounds | None:
    """
    Several probes are back when all are: the largest lower, the largest upper.

    None when there are none, or when one of them was not measured.
    """
    found = list(bounds)
    known = [each for each in found if each is not None]
    return vantage(len(known), known) if known and len(known) == len(found) else None


def total(bounds: Iterable[Bounds | None]) -> Bounds | None:
    """Counts of several ledgers added up; None when there are none or one was not measured."""
    found = list(bounds)
    known = [each for each in found if each is not None]
    if not known or len(known) < len(found):
        return None
    uppers = [each.upper for each in known if each.upper is not None]
    return Bounds(sum(each.lower for each in known), sum(uppers) if len(uppers) == len(known) else None)


def vantage(k: int, bounds: Sequence[Bounds]) -> Bounds:
    """
    Back as seen from *k* of several vantage points: the k-th smallest lower and upper.

    k = 1 is "any", k = len(bounds) is "all", the headline. An upper of None is later than any other.

    Raises:
        ValueError: k is not from 1 to len(bounds).
    """
    if not 1 <= k <= len(bounds):
        raise ValueError(f"k must be from 1 to {len(bounds)}, not {k}")
    upper = sorted(inf if each.upper is None else each.upper for each in bounds)[k - 1]
    return Bounds(sorted(each.lower for each in bounds)[k - 1], None if upper == inf else int(upper))


def split_brain(old: Sequence[Window], new: Sequence[Window]) -> Bounds:
    """
    How long two servers acknowledged writes of the same data.

    *old* and *new* hold [sent, ended] of the writes that each acknowledged.
    Never called on answers that name only a region or a router: two of those
    may well stand before the same database.
    """
    if not old or not new:
        return Bounds(0, 0)
    return Bounds(
        max(0, max(write.lower for write in old) - min(write.upper for write in new)),
        max(0, max(write.upper for write in old) - min(write.lower for write in new)),
    )


def default_period(rto: int) -> int:
    """How often to sample for a recovery time target, nanoseconds: a fiftieth of it, 50 ms to 1 s."""
    return min(max(rto // 50, 50 * MILLISECOND), SECOND)


def default_deadline(rto: int) -> int:
    """How long one request may take for a recovery time target, nanoseconds: a twentieth, 100 ms to 1 s."""
    return min(max(rto // 20, 100 * MILLISECOND), SECOND)
