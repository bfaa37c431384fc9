"""What a queue did to the order of messages, and how late it handed one out again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from drill.measure.writes import Write
from drill.model import Delivery, Fate, Ledger, SurvivorRead


def delivered(told: Ledger, writes: Mapping[int, Write], reads: Sequence[SurvivorRead]) -> Ledger:
    """
    The same ledger with what a consumer tells of order and redelivery, where *reads* are of one.

    A reading that hands messages out and gives them back says nothing of either: it
    changes the order itself, and comes again to what it has seen.
    """
    ordered = [read for read in reads if read.deliveries is not None]
    if not ordered:
        return told
    taken = [each for read in ordered for each in read.deliveries or () if each.again is not None]
    return msgspec.structs.replace(
        told,
        reordered=reordered(writes, (each for read in ordered for each in read.deliveries or ())),
        redelivered=tuple(sorted({each.id for each in taken})),
        redelivery=max(((each.again or each.at) - each.at for each in taken), default=None),
    )


def reordered(writes: Mapping[int, Write], deliveries: Iterable[Delivery]) -> tuple[int, ...]:
    """
    Acknowledged ids that came after one that was sent only once they were acknowledged.

    Two that were under way at once have no order that a queue could break.
    """
    found = set()
    for each in deliveries:
        mine, other = writes.get(each.id), None if each.after is None else writes.get(each.after)
        if mine is not None and other is not None and mine.fate is Fate.ACKNOWLEDGED and other.sent > mine.ended:
            found.add(each.id)
    return tuple(sorted(found))
