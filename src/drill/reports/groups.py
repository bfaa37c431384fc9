"""The page's tables of shards and vantages: rows of words."""

from __future__ import annotations

from drill.grouped import ServiceRecord, SightedRecord
from drill.model import Measure
from drill.record import Record
from drill.reports import text


def shards(record: Record) -> list[tuple[str, ...]]:
    """Name, probes, hit, recovery time, outage, loss as time and lost writes of each shard."""
    return [
        (
            each.name,
            ", ".join(each.probes),
            {True: "yes", False: "no", None: "not judged"}[each.hit],
            text.said(each.rto, Measure.RTO),
            text.said(each.outage, Measure.OUTAGE),
            text.said(each.rpo, Measure.RPO),
            text.said(each.lost_writes, Measure.LOST_WRITES),
        )
        for each in record.measured.shards
    ]


def hit(record: Record) -> str:
    """ "1 of 4 shards was hit"."""
    judged = [each for each in record.measured.shards if each.hit is not None]
    count = sum(bool(each.hit) for each in judged)
    return f"{count} of {len(judged)} shards {'was' if count == 1 else 'were'} hit"


def vantages(service: ServiceRecord) -> list[tuple[str, str, str, str]]:
    """Who saw it, which verdict that is for, recovery time and outage; each vantage, then any, quorum and all."""
    alone = [_row(f"from {each.name}", ", ".join(each.probes), each) for each in service.vantages]
    places = len(service.vantages)
    return alone + [
        _row(f"from {each.name} ({each.needs} of {places})", "judged" if each.judged else "", each)
        for each in service.together
    ]


def _row(who: str, what: str, found: SightedRecord) -> tuple[str, str, str, str]:
    return who, what, text.said(found.rto, Measure.RTO), text.said(found.outage, Measure.OUTAGE)
