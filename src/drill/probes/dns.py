"""DNS: what a name server, or the system's resolver, answers for a name, and for how long that may be kept."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from drill.errors import EnvironmentFault, Problem
from drill.model import SECOND, Outcome, Probe
from drill.probes import Answer
from drill.probes.failure import failed
from drill.probes.lookup import lookup
from drill.spec.shape import Choice, Key, ListOf, Table, duration, text

if TYPE_CHECKING:
    from dns.message import Message

_PORT = 53
_TYPES = ("A", "AAAA", "CNAME", "TXT", "SRV", "MX", "NS", "PTR", "SOA")
_SERVER = r"(?:\[([^\]]+)\]|([^:\s/]+))(?::(\d+))?"


class DnsProbe:
    """
    Sends one question from a port of its own and checks the answer.

    Nothing is sent again and nothing is kept. A truncated answer is asked for once
    more by TCP, as every resolver does. Of several name servers in the system's
    settings each is tried in turn for an equal share of the deadline.
    """

    keys = Table(
        "dns probe",
        Key("name", text, "What is asked for, with its whole domain.", required=True),
        Key("type", Choice(*_TYPES), "The type of record; A unless said otherwise."),
        Key(
            "server",
            text,
            "The name server as host, host:port or [IPv6]:port, best an authoritative one; default the system's.",
        ),
        Key("protocol", Choice("udp", "tcp"), "udp (default) or tcp."),
        Key(
            "expect",
            Table(
                "expect",
                Key("answers", ListOf(text, least=1), "Exactly these, in any order."),
                Key("among", ListOf(text, least=1), "Every answer is one of these."),
                Key("status", Choice("NOERROR", "NXDOMAIN"), "NXDOMAIN: there is no such name, and that is good."),
                Key("ttl_at_most", duration, "The longest an answer may be kept."),
            ),
            "What a good answer is; without it, any record of that type.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        expect = options.get("expect") or {}
        if expect.get("status") == "NXDOMAIN" and any(expect.get(key) for key in ("answers", "among", "ttl_at_most")):
            return [Problem("a name that must not exist has no answers: leave out answers, among and ttl_at_most")]
        return []

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._name = options["name"]
        self._type = options.get("type") or "A"
        self._server = options.get("server")
        self._by_tcp = options.get("protocol") == "tcp"
        self._expect = options.get("expect") or {}
        self._deadline = probe.deadline / SECOND
        self._servers: list[tuple[str, int]] = []

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: The name cannot be a domain name, or the system names no server.
        """
        import dns.exception
        import dns.name
        import dns.resolver

        self._foreign = dns.exception.DNSException
        try:
            self._asked = dns.name.from_text(self._name)
            if self._server:
                self._servers = [_place(self._server)]
            else:
                found = dns.resolver.Resolver().nameservers
                self._servers = [(str(server), _PORT) for server in found]
        except dns.resolver.NoResolverConfiguration as error:
            raise EnvironmentFault("this system names no DNS server", hint="say server: host") from error
        except dns.exception.DNSException as error:
            raise EnvironmentFault(f"{self._name} is not a domain name") from error
        wanted = [*(self._expect.get("answers") or []), *(self._expect.get("among") or [])]
        for one in wanted:
            self._read(one)

    def _read(self, written: str) -> str:
        """An expected answer as DNS writes it: addresses in their shortest form, names with the last dot."""
        import dns.exception
        import dns.name
        import dns.rdata

        try:
            read = dns.rdata.from_text("IN", self._type, written, origin=dns.name.root, relativize=False)
        except (dns.exception.DNSException, ValueError) as error:
            raise EnvironmentFault(f'"{written}" is not what a {self._type} record holds') from error
        return _shown(read)

    async def sample(self, id: int | None) -> Answer:
        last: Answer | None = None
        for server in self._servers:
            try:
                # The last one may use up what is left of the deadline.
                share = None if server is self._servers[-1] else self._deadline / len(self._servers)
                async with asyncio.timeout(share):
                    message = await self._ask(server)
                return self._judge(message, f"{server[0]}:{server[1]}")
            except self._foreign:
                last = Answer(Outcome.FAILED, "the answer is not DNS")
            except (OSError, EOFError) as error:
                last = failed(error)
        assert last is not None
        return last

    async def _ask(self, server: tuple[str, int]) -> Message:
        import dns.exception
        import dns.flags
        import dns.message

        question = dns.message.make_query(self._asked, self._type)
        answer = None
        if not self._by_tcp:
            answer = dns.message.from_wire(await _by_udp(server, question), ignore_trailing=True)
        if answer is None or answer.flags & dns.flags.TC:
            answer = dns.message.from_wire(await _by_tcp(server, question))
        if not question.is_response(answer):
            raise dns.exception.FormError
        return answer

    def _judge(self, message: Message, server: str) -> Answer:
        import dns.rcode
        import dns.rdatatype

        status = dns.rcode.to_text(message.rcode())
        kind = dns.rdatatype.from_text(self._type)
        # Whatever aliases lead there, the answer is what is of the type asked for; all of them may be kept only as
        # long as the shortest-lived.
        records = [record for record in message.answer if record.rdtype == kind]
        answers = sorted(_shown(one) for record in records for one in record)
        ttl = min((record.ttl for record in message.answer), default=None) if answers else None
        by = f"{', '.join(answers) or status} from {server}"[:200]
        lacking = self._lacking(status, answers, ttl)
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, by, value=None if ttl is None else float(ttl))

    def _lacking(self, status: str, answers: list[str], ttl: int | None) -> str:
        """Why an answer is not a good one, in words; "" when it is."""
        if status != (self._expect.get("status") or "NOERROR"):
            return f"status {status}"
        if status != "NOERROR":
            return ""
        if not answers:
            return f"no {self._type} record"
        exactly, among = self._expect.get("answers"), self._expect.get("among")
        if exactly and answers != sorted(self._read(one) for one in exactly):
            return f"answer {', '.join(answers)}"[:200]
        if among and not set(answers) <= {self._read(one) for one in among}:
            return f"answer {', '.join(answers)}"[:200]
        longest = self._expect.get("ttl_at_most")
        return f"TTL {ttl} s" if longest is not None and ttl is not None and ttl * SECOND > longest else ""

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        raise EnvironmentFault("a dns probe writes nothing, so there are no survivors to read")

    async def close(self) -> None: ...


def _place(server: str) -> tuple[str, int]:
    found = re.fullmatch(_SERVER, server)
    if not found:
        raise EnvironmentFault(f"server must be host, host:port or [IPv6]:port, not {server}")
    six, host, port = found.groups()
    return six or host, int(port or _PORT)


def _shown(record: Any) -> str:
    text = str(record.to_text())
    # Names are the same in any case; text is not.
    return text.strip('"') if record.rdtype.name == "TXT" else text.lower()


class _Question(asyncio.DatagramProtocol):
    """Waits for the datagram that answers one question; others, late or forged, are passed over."""

    def __init__(self, question: Message) -> None:
        self.question = question
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.answer.done() and data[:2] == self.question.id.to_bytes(2) and len(data) >= 12:
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _by_udp(server: tuple[str, int], question: Message) -> bytes:
    # Connected, so that a refusal is heard and nobody else can answer.
    address = await _address(server)
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Question(question), remote_addr=address
    )
    try:
        transport.sendto(question.to_wire())
        return await protocol.answer
    finally:
        transport.abort()


async def _by_tcp(server: tuple[str, int], question: Message) -> bytes:
    reader, writer = await asyncio.open_connection(*await _address(server))
    try:
        wire = question.to_wire()
        writer.write(len(wire).to_bytes(2) + wire)
        await writer.drain()
        size = int.from_bytes(await reader.readexactly(2))
        return await reader.readexactly(size)
    finally:
        writer.transport.abort()


async def _address(server: tuple[str, int]) -> tuple[str, int]:
    """The name server's address; it may itself be given by name."""
    _, _, _, _, found = (await lookup(*server))[0]
    return str(found[0]), int(found[1])
