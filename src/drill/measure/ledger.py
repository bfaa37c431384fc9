"""
The write ledger: which acknowledged writes are gone, and what that is as time.

Every set is named as in the report: acknowledged A, refused N, unknown U,
survivors S; a write is sent at a and its answer is there at f.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drill.columns import NEVER
from drill.measure.bounds import combine
from drill.measure.writes import Ids, Write, Writes, writes_of
from drill.model import SECOND, Bounds, Fate, Ledger, Outcome, Sample, SurvivorRead, Window, WritesPlanned

__all__ = ["Exposure", "Settled", "Undone", "Write", "data_loss", "exposure", "holes", "ledger", "writes_of"]

SETTLE = 2 * SECOND  # two reads this far apart must agree


@dataclass(frozen=True, slots=True)
class Exposure:
    """
    Whether losing data would have shown: writes acknowledged shortly before the fault.

    Attributes:
        count: How many were, *needed* of them at least.

        last_age: How old the newest of them was at the fault; None without any.

        kept_up: Before each later action, nine of ten planned writes were sent.
    """

    count: int
    needed: int
    last_age: int | None
    oldest_age: int
    kept_up: bool

    @property
    def enough(self) -> bool:
        recent = self.last_age is not None and self.last_age <= self.oldest_age
        return self.count >= self.needed and recent and self.kept_up


@dataclass(frozen=True, slots=True)
class Settled:
    """
    A reading that an earlier one agrees with.

    Attributes:
        until: When the earlier one began: both cover every write that had ended by then.
    """

    read: SurvivorRead
    until: int


@dataclass(frozen=True, slots=True)
class Undone:
    """
    The way back: what was lost by it had outlived the fault.

    Attributes:
        began: When undoing began.

        back: When service was back before that; None when it never went away.
    """

    began: Window
    back: int | None = None

    def lost(self, writes: Iterable[Write], reads: Iterable[SurvivorRead]) -> list[Write]:
        """Those of the lost *writes* that were sent to a service that was back, or still seen before the undo."""
        seen = {id for read in reads if read.sent < self.began.lower for id in read.ids or ()}
        return [w for w in writes if (self.back is not None and w.sent >= self.back) or w.id in seen]


def exposure(
    writes: Iterable[Write],
    slots: Sequence[Sample],
    t0: Window,
    every: int,
    target: int = 0,
    later: Sequence[int] = (),
) -> Exposure:
    """
    How exposed the data was: without it, nothing lost proves nothing.

    *every* is the writer's period, *target* the data loss objective (the window
    looked at, at least 1 s), *later* when further breaking actions were sent.
    """
    window = max(target, SECOND)
    acknowledged = [
        write.ended
        for write in writes
        if write.fate is Fate.ACKNOWLEDGED and t0.lower - window <= write.ended <= t0.lower
    ]
    kept_up = True
    for action in later:
        due = [sample for sample in slots if action - window <= sample.planned < action]
        planned = max(len(due), window // every)
        kept_up = kept_up and sum(map(_left, due)) * 10 >= planned * 9
    return Exposure(
        count=len(acknowledged),
        needed=min(max(-(-window // (2 * every)), 20), 100),
        last_age=t0.lower - max(acknowledged) if acknowledged else None,
        oldest_age=max(5 * every, SECOND),
        kept_up=kept_up,
    )


def _left(sample: Sample) -> bool:
    """Whether the write of a slot may have reached the service: not when this prober failed before it was out."""
    return sample.sent is not None and not (sample.outcome is Outcome.UNKNOWN and sample.fate is Fate.REFUSED)


def settled_reads(reads: Iterable[SurvivorRead], writes: Mapping[int, Write]) -> list[Settled]:
    """
    Every reading that the last one at least two seconds before it agrees with, in order.

    They agree when they hold the same ids, as often, of all writes that had
    ended before the earlier one began, and of ids that nobody wrote.
    """
    good = sorted((read for read in reads if read.ids is not None), key=lambda read: read.sent)
    starts = [read.sent for read in good]
    found = []
    for read in good:
        n = bisect_right(starts, read.sent - SETTLE)
        if n and _agree(good[n - 1], read, writes):
            found.append(Settled(read, starts[n - 1]))
    return found


def _agree(before: SurvivorRead, read: SurvivorRead, writes: Mapping[int, Write]) -> bool:
    # Most often they are the same in every id, and nothing more need be looked up.
    same = before.ids == read.ids
    return same or _covered(before, before.sent, writes) == _covered(read, before.sent, writes)


def _covered(read: SurvivorRead, until: int, writes: Mapping[int, Write]) -> list[int]:
    return sorted(id for id in read.ids or () if id not in writes or writes[id].ended <= until)


def ledger(
    probe: str,
    writes: Mapping[int, Write],
    reads: Sequence[SurvivorRead],
    t0: Window | None,
    *,
    planned: Sequence[WritesPlanned] = (),
    exposed: Exposure | None = None,
    undo: Undone | None = None,
) -> Ledger:
    """
    What became of every write.

    *reads* are those made once service was back. The last settled one decides;
    an acknowledged write that it does not cover twice, or that a later reading
    contradicts, is unread: it may be lost, so it widens the upper bounds. To
    leave none, read the survivors after the writers have stopped.

    *planned* are ranges of ids journaled before they were written: one of them
    that is found is no phantom, even if its answer never reached the journal.

    *undo* tells the losses of the way back from the fault's own: each has a
    recovery point of its own, and `rpo` is the worse of the two.
    """
    settled = settled_reads(reads, writes)
    ordered = writes if isinstance(writes, Writes) else Writes(writes[id] for id in sorted(writes))
    told = Ledger(
        probe=probe,
        acknowledged=ordered.count(Fate.ACKNOWLEDGED),
        refused=ordered.count(Fate.REFUSED),
        unknown=ordered.count(Fate.UNKNOWN),
        survivors=None,
        exposed=exposed is not None and exposed.enough,
        exposure=exposed.count if exposed else 0,
        needed=exposed.needed if exposed else 0,
        last_age=exposed.last_age if exposed else None,
    )
    return _settled(told, ordered, settled, reads, t0, planned, undo) if settled else told


@dataclass(slots=True)
class _Sorted:
    """
    What the survivors say of each write; of the kept ones, which are nearly all, only what is asked for.

    Attributes:
        stale: Kept ones that the first reading lacks.

        recent: For each instant asked about, when the newest kept write that had ended by then was sent.
    """

    lost: list[Write]
    unread: list[Write]
    absent: list[int]
    recovered: list[int]
    zombie: list[int]
    stale: list[int]
    recent: list[int | None]


def _sorted_out(
    writes: Writes, survivors: Ids, settled: Sequence[Settled], reads: Sequence[SurvivorRead], instants: Sequence[int]
) -> _Sorted:
    first, last = settled[0], settled[-1]
    seen_first = survivors if first.read.ids == last.read.ids else Ids(first.read.ids or ())
    later = [(read.sent, Ids(read.ids)) for read in reads if read.ids is not None and read.sent > last.read.sent]
    told = _Sorted([], [], [], [], [], [], [None] * len(instants))
    survived = survivors.among(writes.ids)
    kept = survived & writes.are(Fate.ACKNOWLEDGED)
    for write, found in zip(writes.only(~kept).each(), survived[~kept].tolist(), strict=True):
        if write.fate is Fate.REFUSED:
            if found:
                told.zombie.append(write.id)
        elif write.fate is Fate.UNKNOWN:
            (told.recovered if found else told.absent).append(write.id)
        else:
            (told.lost if write.ended <= last.until else told.unread).append(write)
    for n, instant in enumerate(instants):
        by_then = kept & (writes.ended <= instant)
        told.recent[n] = int(np.max(writes.sent, where=by_then, initial=NEVER)) if by_then.any() else None
    if seen_first is not survivors:
        told.stale += writes.ids[kept & (writes.ended <= first.until) & ~seen_first.among(writes.ids)].tolist()
    # Survivors that a reading after the last settled one no longer shows.
    contradicted = np.zeros(len(writes), np.bool_)
    for sent, ids in later:
        contradicted |= kept & (writes.ended <= sent) & ~ids.among(writes.ids)
    told.unread += writes.only(contradicted).each()
    return told


def _settled(
    told: Ledger,
    writes: Writes,
    settled: Sequence[Settled],
    reads: Sequence[SurvivorRead],
    t0: Window | None,
    planned: Sequence[WritesPlanned],
    undo: Undone | None,
) -> Ledger:
    survivors = Ids(settled[-1].read.ids or ())
    instants = [window.lower for window in (t0, undo.began if undo else None) if window is not None]
    found = _sorted_out(writes, survivors, settled, reads, instants)
    lost, unread = found.lost, found.unread
    unsent = survivors.without(writes.ids)
    in_flight = {id for id in unsent if any(_planned(id, each) for each in planned)}
    again = [] if undo is None else undo.lost(lost, reads)
    way_back = {w.id for w in again}
    first_lost = [w for w in lost if w.id not in way_back]
    fields = {name: getattr(told, name) for name in told.__struct_fields__}
    fields |= {
        "survivors": len(survivors),
        "settled": True,
        "lost": _ids(w.id for w in lost),
        "late_loss": _ids(w.id for w in lost if t0 is not None and w.ended > t0.lower),
        "recovered": _ids([*found.recovered, *in_flight]),
        "absent": _ids(found.absent),
        "phantom": _ids(id for id in unsent if id not in in_flight),
        "zombie": _ids(found.zombie),
        "stale": _ids(found.stale),
        "holes": _ids(
            {
                *holes(first_lost, _since(writes, first_lost), survivors, t0),
                *holes(again, _since(writes, again), survivors, None if undo is None else undo.began),
            }
        ),
        "failback_lost": _ids(w.id for w in again),
        "duplicates": survivors.repeated,
        "unread": len(unread),
        "lost_writes": Bounds(len(lost), len(lost) + len(unread)),
        "worst_case": len(lost) + len(unread) + len(found.absent),
        "oldest_lost": min((w.id for w in lost), default=None, key=lambda id: writes[id].sent),
        "newest_lost": max((w.id for w in lost), default=None, key=lambda id: writes[id].sent),
    }
    if t0 is not None:
        fields["resolution"] = None if found.recent[0] is None else t0.upper - found.recent[0]
        fields["rpo"] = data_loss(first_lost, unread, t0, fields["resolution"])
    if t0 is not None and undo is not None:
        safe = found.recent[1]
        later = [w for w in unread if w.ended > undo.began.lower]
        fields["failback_rpo"] = data_loss(again, later, undo.began, None if safe is None else undo.began.upper - safe)
        if again:
            fields["rpo"] = combine([fields["rpo"], fields["failback_rpo"]])
    return Ledger(**fields)


def _since(writes: Writes, lost: Sequence[Write]) -> Collection[Write]:
    """The acknowledged writes that were sent after any of the *lost* was answered: only they can be holes."""
    if not lost:
        return ()
    point = min(write.ended for write in lost)
    return writes.only((writes.sent > point) & writes.are(Fate.ACKNOWLEDGED)).values()


def data_loss(lost: Sequence[Write], unread: Sequence[Write], t0: Window, resolution: int | None) -> Bounds:
    """
    `rpo`: from the oldest lost commit to the loss end, the later of t0 and the newest lost commit.

    *unread* writes may be lost as well and widen the upper bound. With nothing
    lost, a loss younger than *resolution* could not have shown.
    """
    suspects = [*lost, *unread]
    upper = max([t0.upper, *(w.ended for w in suspects)]) - min(w.sent for w in suspects) if suspects else 0
    if not lost:
        return Bounds(0, None if resolution is None else max(resolution, upper))
    end = max([t0.lower, *(w.sent for w in lost)])
    return Bounds(max(0, end - min(w.ended for w in lost)), upper)


def holes(lost: Sequence[Write], writes: Collection[Write], survivors: Container[int], t0: Window | None) -> list[int]:
    """
    Surviving writes younger than a lost one on the same server: there is no single recovery point.

    The new server's own writes are no holes. It is told from the old one by who
    acknowledged, and on the old one writes count until another server took over
    (later ones may follow a failback under the same name); where that is not
    known, by time: acknowledged before the loss ended.
    """
    if not lost:
        return []
    point = min(w.ended for w in lost)
    newest = max(w.sent for w in lost)
    old = {w.served_by for w in lost}
    takeover = min(
        (
            w.sent
            for w in writes
            if w.sent > point and w.fate is Fate.ACKNOWLEDGED and w.served_by is not None and w.served_by not in old
        ),
        default=None,
    )
    by_time = newest if t0 is None else max(t0.lower, newest)
    found = []
    for w in writes:
        if w.sent <= point or w.fate is not Fate.ACKNOWLEDGED or w.id not in survivors:
            continue
        if None in old or w.served_by is None or takeover is None:
            hole = w.ended <= by_time
        else:
            hole = w.served_by in old and w.sent <= max(takeover, newest)
        if hole:
            found.append(w.id)
    return found


def _planned(id: int, each: WritesPlanned) -> bool:
    return each.first <= id <= each.last and (id - each.first) % each.stride == 0


def _ids(ids: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(ids))
