"""
Split brain: two servers that acknowledged writes of the same data at once.

Only answers that name a server and the epoch it serves in can show it: a name
alone may be a region, a router or one of many processes before one database,
and without an epoch a return to the first server looks like a rival.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from drill.measure.bounds import combine, split_brain
from drill.measure.writes import Write, Writes, written
from drill.model import Bounds, Fate, History, Overlap, Window

# "west/postgres-west/2" (region, node, timeline), "postgres-west/2", "10.0.0.7:5432 timeline 2".
_EPOCH = re.compile(r"(?P<node>.+?)(?:/| timeline )(?P<epoch>\d+)")


class Server(NamedTuple):
    """A node in one epoch (a timeline, a term): the same node leads again under a later one."""

    epoch: int
    node: str

    def __str__(self) -> str:
        return f"{self.node}, epoch {self.epoch}"


def server(served_by: str | None) -> Server | None:
    """Who an answer says it is from; None when it does not name a node and its epoch."""
    found = _EPOCH.fullmatch(served_by or "")
    return Server(int(found["epoch"]), found["node"]) if found else None


def overlaps(history: History, t0: Window | None) -> tuple[Overlap, ...]:
    """Every store that probes of the plan write to."""
    stores: dict[str, list[str]] = {}
    for probe in history.plan.probes:
        if probe.writes:
            stores.setdefault(probe.store or probe.name, []).append(probe.name)
    return tuple(
        overlap(store, names, [write for name in names for write in _edges(written(history, name))], t0)
        for store, names in stores.items()
    )


def _edges(writes: Writes) -> Iterable[Write]:
    """The acknowledged writes that say from when to when each server took any: the others lie between them."""
    return writes.only(writes.are(Fate.ACKNOWLEDGED)).edges().values()


def overlap(store: str, probes: Sequence[str], writes: Iterable[Write], t0: Window | None) -> Overlap:
    """
    How long two servers acknowledged writes of *store*; the longest of any two.

    What was over before the fault is not the drill's. An acknowledgement that
    does not tell its server may have come from any, so it leaves no upper bound.
    """
    acknowledged = [write for write in writes if write.fate is Fate.ACKNOWLEDGED]
    by: dict[Server, list[Window]] = {}
    untold = False
    for write in acknowledged:
        who = server(write.served_by)
        if who is None:
            untold = untold or t0 is None or write.ended >= t0.lower
        else:
            by.setdefault(who, []).append(Window(write.sent, write.ended))
    if not by:
        return Overlap(store=store, probes=tuple(probes))
    since = 0 if t0 is None else t0.lower
    after = {who: spans for who, spans in by.items() if max(span.upper for span in spans) >= since}
    order = sorted(after, key=lambda who: (who.epoch, min(span.upper for span in after[who])))
    found = [split_brain(after[old], after[new]) for old, new in combinations(order, 2) if old.node != new.node]
    length = combine(found) or Bounds(0, 0)
    return Overlap(
        store=store,
        probes=tuple(probes),
        servers=tuple(map(str, order)),
        length=Bounds(length.lower, None) if untold else length,
    )
