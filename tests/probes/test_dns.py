"""DNS probes against a small real name server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from drill.errors import EnvironmentFault
from drill.model import SECOND, Outcome
from drill.probes import Answer
from drill.probes.dns import DnsProbe
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.servers import closed_port, serving

NAME = "orders.example"
EAST, WEST = "192.0.2.1", "192.0.2.2"


@dataclass
class Zone(asyncio.DatagramProtocol):
    """
    A name server for a few names, by UDP and TCP on one port.

    Attributes:
        records: Sets of records as zone files write them, by name and type.

        truncated: Answers by UDP are cut short.

        forged: A datagram with another number goes ahead of every answer.

        wrong: Answers are to another question.

        garbage: Answers are not DNS.

        seen: How each question came.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    truncated: bool = False
    forged: bool = False
    wrong: bool = False
    garbage: bool = False
    port: int = 0
    seen: list[str] = field(default_factory=list)

    def answer(self, wire: bytes) -> dns.message.Message:
        question = dns.message.from_wire(wire)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.AA
        found = self.records.get((name, dns.rdatatype.to_text(asked.rdtype)))
        if found is None:
            known = any(other == name for other, _ in self.records)
            reply.set_rcode(dns.rcode.NOERROR if known else dns.rcode.NXDOMAIN)
        for line in found or []:
            owner, ttl, kind, data = line.split(" ", 3)
            reply.answer.append(dns.rrset.from_text(f"{owner}.", int(ttl), "IN", kind, data))
        if self.wrong:
            reply.question = dns.message.make_query("other.example", "A").question
        return reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.seen.append("udp")
        reply = self.answer(data)
        if self.forged:
            self.transport.sendto((reply.id ^ 1).to_bytes(2) + reply.to_wire()[2:], addr)
        if self.truncated:
            reply.flags |= dns.flags.TC
            reply.answer.clear()
        wire = reply.to_wire()
        self.transport.sendto(wire[:2] + b"?" * 20 if self.garbage else wire, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append("tcp")
        wire = self.answer(await reader.readexactly(int.from_bytes(await reader.readexactly(2)))).to_wire()
        writer.write(len(wire).to_bytes(2) + wire)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def zone(**records: list[str]) -> AsyncIterator[Zone]:
    """A name server whose *records* are those of NAME, by type."""
    world = Zone({(NAME, kind): lines for kind, lines in records.items()})
    async with serving(world.serve) as port:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: world, local_addr=("127.0.0.1", port)
        )
        world.port = port
        try:
            yield world
        finally:
            transport.close()


def a(*addresses: str, ttl: int = 30) -> list[str]:
    return [f"{NAME} {ttl} A {address}" for address in addresses]


@pytest.mark.parametrize(
    ("records", "options", "outcome", "detail", "answers", "value"),
    [
        (a(EAST), {}, Outcome.OK, "", EAST, 30),
        (a(WEST, EAST), {"expect": {"answers": [EAST, WEST]}}, Outcome.OK, "", f"{EAST}, {WEST}", 30),
        (a(WEST), {"expect": {"answers": [EAST]}}, Outcome.FAILED, f"answer {WEST}", WEST, 30),
        (a(WEST), {"expect": {"among": [EAST, WEST]}}, Outcome.OK, "", WEST, 30),
        (a(WEST, "192.0.2.9"), {"expect": {"among": [WEST]}}, Outcome.FAILED, f"answer {WEST}, 192.0.2.9", None, 30),
        (a(EAST, ttl=61), {"expect": {"ttl_at_most": 60 * SECOND}}, Outcome.FAILED, "TTL 61 s", EAST, 61),
        (a(EAST, ttl=60), {"expect": {"ttl_at_most": 60 * SECOND}}, Outcome.OK, "", EAST, 60),
        (a(EAST, ttl=0), {}, Outcome.OK, "", EAST, 0),
        (a(EAST), {"name": "nobody.example"}, Outcome.FAILED, "status NXDOMAIN", "NXDOMAIN", None),
        (a(EAST), {"name": "nobody.example", "expect": {"status": "NXDOMAIN"}}, Outcome.OK, "", "NXDOMAIN", None),
        (a(EAST), {"expect": {"status": "NXDOMAIN"}}, Outcome.FAILED, "status NOERROR", EAST, 30),
        (a(EAST), {"type": "AAAA"}, Outcome.FAILED, "no AAAA record", "NOERROR", None),
    ],
)
async def test_the_answer_decides(
    records: list[str], options: dict, outcome: Outcome, detail: str, answers: str | None, value: float | None
) -> None:
    """Addresses, status and TTL are compared; answer and server are told with each sample, the TTL is its value."""
    async with zone(A=records) as world:
        answer = await ask(DnsProbe, **{"name": NAME, "server": f"127.0.0.1:{world.port}", **options})

    by = answer.served_by if answers is None else f"{answers} from 127.0.0.1:{world.port}"
    assert answer == Answer(outcome, detail, by, value=value)
    assert by.endswith(f" from 127.0.0.1:{world.port}")


@pytest.mark.parametrize(
    ("kind", "line", "expected", "answer"),
    [
        ("CNAME", f"{NAME} 5 CNAME West.Example.", "west.example", "west.example."),
        ("TXT", f'{NAME} 5 TXT "primary=west"', "primary=west", "primary=west"),
        ("AAAA", f"{NAME} 5 AAAA 2001:db8:0:0::1", "2001:DB8::1", "2001:db8::1"),
        ("SRV", f"{NAME} 5 SRV 0 5 5432 west.example.", "0 5 5432 west.example.", "0 5 5432 west.example."),
    ],
)
async def test_records_of_every_type_are_compared_by_what_they_mean(
    kind: str, line: str, expected: str, answer: str
) -> None:
    """However addresses and names are spelled, the same is the same."""
    async with zone(**{kind: [line]}) as world:
        seen = await ask(
            DnsProbe, name=NAME, type=kind, server=f"127.0.0.1:{world.port}", expect={"answers": [expected]}
        )

    assert seen == Answer(Outcome.OK, served_by=f"{answer} from 127.0.0.1:{world.port}", value=5)


async def test_an_alias_is_followed_and_its_shorter_life_counts() -> None:
    """The answer is the address at the end; it may be kept only as long as everything that led there."""
    records = [f"{NAME} 10 CNAME west.example.", f"west.example 300 A {WEST}"]
    async with zone(A=records) as world:
        answer = await ask(DnsProbe, name=NAME, server=f"127.0.0.1:{world.port}", expect={"answers": [WEST]})

    assert answer == Answer(Outcome.OK, served_by=f"{WEST} from 127.0.0.1:{world.port}", value=10)


async def test_a_truncated_answer_is_asked_for_by_tcp() -> None:
    """As every resolver does; one question by each."""
    async with zone(A=a(EAST)) as world:
        world.truncated = True
        answer = await ask(DnsProbe, name=NAME, server=f"127.0.0.1:{world.port}")

    assert (answer.outcome, answer.value, world.seen) == (Outcome.OK, 30, ["udp", "tcp"])


@pytest.mark.parametrize(
    ("spoil", "detail"), [("forged", ""), ("wrong", "the answer is not DNS"), ("garbage", "the answer is not DNS")]
)
async def test_what_is_no_answer_to_the_question_is_not_taken_for_one(spoil: str, detail: str) -> None:
    """A datagram with another number is passed over; nonsense under the right one is a failure."""
    async with zone(A=a(EAST)) as world:
        setattr(world, spoil, True)
        answer = await ask(DnsProbe, name=NAME, server=f"127.0.0.1:{world.port}")

    assert (answer.outcome, answer.detail) == (Outcome.FAILED if detail else Outcome.OK, detail)


async def test_nothing_is_sent_again() -> None:
    """A question whose datagram is lost fails at its deadline; the server saw it once per sample."""
    seen: list[bytes] = []

    class Silent(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            seen.append(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Silent, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with sampling(DnsProbe, every=50, deadline=200, name=NAME, server=f"127.0.0.1:{port}") as (sampler, samples):
        await until(sampler, Outcome.FAILED)
    transport.close()

    assert {sample.detail for sample in samples if sample.sent} == {"no answer within 200 ms"}
    assert len(seen) == sum(sample.sent is not None for sample in samples)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_nobody_there_is_told_at_once(protocol: str) -> None:
    """A refused datagram is heard, not waited for."""
    answer = await ask(DnsProbe, name=NAME, server=f"127.0.0.1:{closed_port()}", protocol=protocol)

    assert answer == Answer(Outcome.FAILED, "connection refused")


async def test_the_name_servers_of_the_system_are_asked_in_turn() -> None:
    """Without a server those of the system are asked, the next when one refuses, and the answer says which told."""
    async with zone(A=a(EAST)) as world, opened(DnsProbe, name=NAME) as prober:
        known = prober._servers
        prober._servers = [("127.0.0.2", world.port), ("127.0.0.1", world.port)]
        answer = await prober.sample(None)

    assert known == [(server, 53) for server in dns.resolver.Resolver().nameservers]
    assert answer == Answer(Outcome.OK, served_by=f"{EAST} from 127.0.0.1:{world.port}", value=30)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "a..b"}, "a..b is not a domain name"),
        ({"name": NAME, "expect": {"answers": ["west"]}}, '"west" is not what a A record holds'),
        ({"name": NAME, "server": "one two"}, "server must be host, host:port or [IPv6]:port, not one two"),
    ],
)
async def test_what_cannot_be_asked_is_told_before_the_drill(options: dict, problem: str) -> None:
    """A name, an expected answer or a server that cannot be one keeps the probe from beginning."""
    with pytest.raises(EnvironmentFault) as refused:
        await ask(DnsProbe, **{"server": "127.0.0.1", **options})

    assert str(refused.value) == problem


def test_a_name_that_must_not_exist_has_no_answers() -> None:
    """The contradiction is told when the file is read."""
    (problem,) = DnsProbe.check({"name": NAME, "expect": {"status": "NXDOMAIN", "answers": [EAST]}})

    assert problem.message == "a name that must not exist has no answers: leave out answers, among and ttl_at_most"
