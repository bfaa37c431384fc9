"""When something was away: the outages of one probe, or of several on one timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from drill.model import Bounds, Incident


@dataclass(frozen=True, slots=True)
class Away:
    """
    Stretches without sustained service, as instants in nanoseconds.

    Attributes:
        sure: In which it surely was away, both ends included; in order and apart. Empty when that is not sure.

        since: Before this it surely was not; None when nobody knows.

        until: After this it surely was not; None when the run ended first.
    """

    sure: tuple[tuple[int, int], ...]
    since: int | None
    until: int | None

    @property
    def length(self) -> Bounds:
        """From the first loss of service to the last return of it."""
        lower = self.sure[-1][1] - self.sure[0][0] if self.sure else 0
        return Bounds(lower, None if self.since is None or self.until is None else self.until - self.since)


def of(found: Sequence[Incident]) -> Away | None:
    """The outages of one probe, in order; None when it saw none."""
    if not found:
        return None
    return Away(tuple((each.first_failed, each.last_failed) for each in found), found[0].last_good, found[-1].recovered)


def at_once(least: int, each: Iterable[Away | None]) -> Away | None:
    """
    When at least *least* of several were away at the same time; None when that never was.

    With *least* 1, when any of them was. Two that were away one after the other
    were never away at once, however late the second came back.
    """
    parts = list(each)
    hit = [part for part in parts if part is not None]
    if len(hit) < least:
        return None
    since = sorted(-inf if part.since is None else part.since for part in hit)[least - 1]
    # All but *least* - 1 were back for good by then.
    until = sorted((inf if part.until is None else part.until for part in hit), reverse=True)[least - 1]
    if until < since:
        return None
    return Away(
        _shared(least, hit),
        None if since == -inf else int(since),
        None if until == inf else int(until),
    )


def _shared(least: int, parts: Iterable[Away]) -> tuple[tuple[int, int], ...]:
    """The stretches that lie in at least *least* of the parts' sure ones."""
    # At one instant beginnings come first, for a stretch holds both its ends.
    edges = sorted((at, ends) for part in parts for stretch in part.sure for ends, at in enumerate(stretch))
    found: list[tuple[int, int]] = []
    deep = start = 0
    for at, ends in edges:
        if not ends:
            deep += 1
            if deep == least:
                start = at
        else:
            if deep == least:
                found.append((start, at))
            deep -= 1
    return tuple(found)
