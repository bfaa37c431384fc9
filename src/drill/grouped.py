"""Probes that belong together, as the record writes them: shards, and the vantages of a service."""

from __future__ import annotations

from drill.figures import BoundsS, CountBounds, Field


class ShardRecord(Field, frozen=True):
    """
    One shard: times of its worst judged probe, data of all its judged ledgers.

    Attributes:
        hit: A judged probe of it saw an outage; null when none is judged.
    """

    name: str
    probes: list[str]
    hit: bool | None
    rto: BoundsS
    outage: BoundsS
    error_time_estimate_s: float | None
    rpo: BoundsS
    lost_writes: CountBounds


class SightedRecord(Field, frozen=True):
    """As seen from one vantage (*name*, with its *probes*), or from *needs* of several (any, quorum, all)."""

    name: str
    needs: int
    probes: list[str]
    judged: bool
    rto: BoundsS
    outage: BoundsS


class ServiceRecord(Field, frozen=True):
    """One service seen from several vantages; *judged* of one in *together* says how many had to agree."""

    service: str | None
    vantages: list[SightedRecord]
    together: list[SightedRecord]
