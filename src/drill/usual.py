"""
What a failover usually takes: a time outside its band likely measured something else.

Source of the bands: the documentation of each system; clocks differ between
them, so a finding is a question, never a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from drill.model import SECOND, Bounds, Usual

TTL, LOOP = 30 * SECOND, 10 * SECOND  # Patroni's own defaults
CANDIDATE = 2 * SECOND  # the race for its leader key


@dataclass(frozen=True, slots=True)
class Band:
    """
    The usual recovery time and loss, nanoseconds; None where nothing is known.

    Attributes:
        of: Whose band it is, in words.
    """

    of: str
    at_least: int | None = None
    at_most: int | None = None
    loss: int | None = None


_BANDS = {
    "cloudnativepg": Band("CloudNativePG", 0, 10 * SECOND),
    "rds-multi-az": Band("RDS Multi-AZ", 60 * SECOND, 120 * SECOND, 0),
    "rds-multi-az-cluster": Band("an RDS Multi-AZ DB cluster", 0, 35 * SECOND, 0),
    "aurora": Band("Aurora with a replica", 0, 60 * SECOND, 0),
    "aurora-single": Band("Aurora without a replica", 0, 600 * SECOND, 0),
    "route53": Band("Route 53 health checks and DNS", 0, 150 * SECOND),
    "dynamodb-global": Band("DynamoDB global tables", loss=2 * SECOND),
}
KINDS = ("patroni", *_BANDS)


def band(usual: Usual) -> Band:
    """The band that a drill states, or that of the kind it names."""
    known = _patroni(usual) if usual.kind == "patroni" else _BANDS.get(usual.kind, Band("such a failover"))
    router = 0 if usual.kind == "patroni" else usual.router or 0
    most = None if known.at_most is None else known.at_most + router
    return Band(
        known.of,
        known.at_least if usual.at_least is None else usual.at_least,
        most if usual.at_most is None else usual.at_most,
        known.loss if usual.loss is None else usual.loss,
    )


def _patroni(usual: Usual) -> Band:
    """Death of the primary's node: the lease runs out, a replica notices, takes the key, and the router follows."""
    ttl = TTL if usual.ttl is None else usual.ttl
    loop = LOOP if usual.loop is None else usual.loop
    return Band("Patroni", max(0, ttl - loop), ttl + loop + CANDIDATE + (usual.router or 0), ttl + SECOND)


def outside(found: Bounds, least: int | None, most: int | None) -> str:
    """ "shorter" or "longer" when *found* surely lies outside; "" when it may lie inside."""
    if least is not None and found.upper is not None and found.upper < least:
        return "shorter"
    return "longer" if most is not None and found.lower > most else ""
