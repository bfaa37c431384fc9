"""Who lives where in a lab of two regions, and on which port. Pure but for finding free ports."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

# Regions that serve, in order of preference at the start; then those that only help.
SERVING = ("east", "west")
REGIONS = (*SERVING, "witness", "edge")

# Programs whose listening address is one for all callers tell their own region by where they dial from.
SOURCES = {"east": "127.0.0.11", "west": "127.0.0.12", "witness": "127.0.0.13", "edge": "127.0.0.14"}
HOME = "127.0.0.1"

# Below the range from which the kernel picks ports for outgoing connections, so that a
# member that is started again still finds its port free.
_PORTS = range(15_000, 32_000)


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One thing that can be killed: a program (with its children) in a region."""

    kind: str
    region: str

    @property
    def name(self) -> str:
        return self.kind if self.kind in ("router", "archive") else f"{self.kind}-{self.region}"


MEMBERS = (
    Member("raft", "witness"),
    *(Member(kind, region) for kind in ("postgres", "valkey", "orders") for region in SERVING),
    *(Member("sentinel", region) for region in (*SERVING, "witness")),
    Member("router", "edge"),
)

# What some labs have besides, by the lab's name.
EXTRAS = {
    "two-regions-backup": (Member("archive", "witness"),),
    # Three brokers: of two, none has a majority once the other is dead, and the queue stands still.
    "two-regions-queue": tuple(Member("rabbitmq", region) for region in (*SERVING, "witness")),
}


@dataclass(frozen=True, slots=True)
class Gate:
    """
    A listening port of the network: everything from *source* to one port of a region goes through it.

    Attributes:
        what: The kind of traffic.

        source: Region of the callers; None when each is told by the address it dials from.

        target: Region that is called.

        port: Where it listens.

        to: The member's own port.
    """

    what: str
    source: str | None
    target: str
    port: int
    to: int


@dataclass(frozen=True, slots=True)
class Layout:
    """
    The ports of one lab.

    Attributes:
        own: What each member listens on: {"postgres-east": …, "patroni-east": …, "raft-east": …}.

        gates: The network's ports, by (what, source or None, target).

        members: Everybody who lives here.
    """

    own: dict[str, int]
    gates: dict[tuple[str, str | None, str], Gate] = field(default_factory=dict)
    members: tuple[Member, ...] = MEMBERS

    def having(self, kind: str) -> list[Member]:
        """The members of one kind; none when this lab has no such."""
        return [member for member in self.members if member.kind == kind]

    def named(self, name: str) -> Member | None:
        """The member of this name."""
        return next((member for member in self.members if member.name == name), None)

    def gate(self, what: str, source: str | None, target: str) -> int:
        """The port through which *source* reaches *what* in *target*."""
        return self.gates[what, source, target].port

    def endpoints(self, folder: str) -> dict[str, str]:
        """The addresses people and probes use; all but orders.url are the members' own."""
        own = self.own
        hosts = ",".join(f"{HOME}:{own[f'postgres-{region}']}" for region in SERVING)
        found = {
            "orders.url": f"http://{HOME}:{own['router']}",
            "router.url": f"http://{HOME}:{own['router']}",
            "postgres.dsn": f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write",
            "lab.folder": folder,
        }
        for region in SERVING:
            found[f"orders-{region}.url"] = f"http://{HOME}:{own[f'orders-{region}']}"
            found[f"postgres-{region}.dsn"] = f"postgresql://postgres@{HOME}:{own[f'postgres-{region}']}/postgres"
            found[f"patroni-{region}.url"] = f"http://{HOME}:{own[f'patroni-{region}']}"
            found[f"valkey-{region}.url"] = f"valkey://{HOME}:{own[f'valkey-{region}']}"
            found[f"sentinel-{region}.url"] = f"valkey://{HOME}:{own[f'sentinel-{region}']}"
        for member in self.having("rabbitmq"):
            found[f"{member.name}.url"] = f"amqp://guest:guest@{HOME}:{own[member.name]}/"
        return found


def lay_out(ports: Iterable[int] | None = None, name: str = "two-regions") -> Layout:
    """Give every member and every crossing of the lab *name* a free port of this machine."""
    supply = iter(free_ports() if ports is None else ports)
    members = (*MEMBERS, *EXTRAS.get(name, ()))
    brokers = [member.region for member in members if member.kind == "rabbitmq"]
    names = [member.name for member in members]
    names += [f"{extra}-{region}" for extra in ("patroni", "raft") for region in SERVING]
    # Where a broker is called by the others, and where it asks for their addresses.
    names += [f"{extra}-{region}" for extra in ("cluster", "names") for region in brokers]
    own = {name: next(supply) for name in names}
    gates: dict[tuple[str, str | None, str], Gate] = {}

    def add(what: str, source: str | None, target: str, to: str) -> None:
        gates[what, source, target] = Gate(what, source, target, next(supply), own[to])

    for region, other in (SERVING, SERVING[::-1]):
        # Two ends only: each direction has a port of its own.
        add("postgres", other, region, f"postgres-{region}")
        add("patroni", other, region, f"patroni-{region}")
        add("orders", "edge", region, f"orders-{region}")
        # One address for all callers.
        for what in ("raft", "valkey", "sentinel"):
            add(what, None, region, f"{what}-{region}")
    add("raft", None, "witness", "raft-witness")
    add("sentinel", None, "witness", "sentinel-witness")
    if any(member.kind == "archive" for member in members):
        for region in SERVING:
            add("postgres", "witness", region, f"postgres-{region}")
    for source in brokers:
        for target in brokers:
            if source != target:
                add("rabbitmq", source, target, f"cluster-{target}")
    return Layout(own, gates, members)


def free_ports() -> Iterable[int]:
    """Ports of 127.0.0.1 that nobody listens on, each given once."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind((HOME, port))
            except OSError:
                continue
        yield port
