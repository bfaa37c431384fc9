"""One request and one answer on real connections, however oddly the other side behaves."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from drill.probes.failure import Broken
from drill.probes.http1 import Client, NotConnected, tls_for
from drill.probes.reply import Reply
from drill.probes.request import Request, Template
from tests.probes.servers import Request as Asked
from tests.probes.servers import always, closed_port, http, reset, respond, self_signed, serving

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextlib.asynccontextmanager
async def client(*, pooled: bool = False) -> AsyncIterator[Client]:
    made = Client(pooled=pooled, tls=tls_for("https://", verify=False))
    try:
        yield made
    finally:
        made.close()


def to(url: str, method: str = "GET", *, keep: bool = True, body: str | None = None) -> Request:
    return Template(method, url, {}, body=body, keep=keep).request()


def saying(*parts: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    """Answers the first request with these parts, each once the other side had time to read the one before."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            for _ in range(5):
                await asyncio.sleep(0)
        writer.close()

    return say


async def told(*parts: bytes, method: str = "GET") -> Reply | str:
    """What one request makes of an answer in these parts: the reply, or what is wrong with it."""
    async with serving(saying(*parts)) as port, client() as asking:  # type: ignore[arg-type]
        try:
            return await asyncio.wait_for(asking.ask(to(f"http://127.0.0.1:{port}/", method)), 10)
        except Broken as error:
            return str(error)


def deflated_raw(data: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(data) + deflating.flush()


def coded(coding: bytes, body: bytes) -> bytes:
    return HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (coding, len(body), body)


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ((HEAD + b"Content-Length: 3\r\n\r\ntea",), b"tea"),
        ((HEAD[:9], HEAD[9:] + b"Content-Len", b"gth: 3\r\n\r\nt", b"ea"), b"tea"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nt\r\n", b"2\r\nea\r\n", b"0\r\n\r\n"), b"tea"),
        ((HEAD + b"\r\nte", b"a"), b"tea"),
        ((b"HTTP/1.0 200 OK\r\n\r\ntea",), b"tea"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + respond(text="tea")), b"tea"),
        ((coded(b"gzip", gzip.compress(b"tea")),), b"tea"),
        ((coded(b"deflate", zlib.compress(b"tea")),), b"tea"),
        ((coded(b"deflate", deflated_raw(b"tea")),), b"tea"),
        ((coded(b"secret", b"tea"),), b"tea"),
        ((b"HTTP/1.1 204 None\r\n\r\n",), b""),
        ((b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00\x01",), b""),
        ((respond(text="tea") + b"and more that nobody asked for",), b"tea"),
    ],
)
async def test_an_answer_is_read_to_its_end(parts: tuple[bytes, ...], body: bytes) -> None:
    """Its end is told by a length, by chunks or by hanging up; it comes in pieces, after hints, compressed."""
    reply = await told(*parts)

    assert isinstance(reply, Reply)
    assert reply.body == body


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ((), "connection closed before the answer"),
        ((HEAD[:9],), "connection closed before the answer"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), "connection closed before the answer"),
        ((HEAD + b"Content-Length: 4\r\n\r\ntea",), "the answer was cut short"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\ntea\r\n",), "the answer was cut short"),
        ((b"SSH-2.0-OpenSSH\r\n",), "the answer is not HTTP"),
        ((HEAD + b"Content-Length: tea\r\n\r\n",), "the answer is not HTTP"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",), "the answer is not HTTP"),
        ((HEAD, *[b"X: " + b"x" * 1000 + b"\r\n"] * 100), "the answer is not HTTP"),
        ((coded(b"gzip", b"tea"),), "the answer cannot be decompressed"),
        ((coded(b"gzip", gzip.compress(b"tea" * 1000)[:-20]),), "the answer cannot be decompressed"),
    ],
)
async def test_what_is_no_answer_says_why(parts: tuple[bytes, ...], wrong: str) -> None:
    """Nothing that was cut short or garbled is taken for an answer."""
    assert await told(*parts) == wrong


async def test_an_answer_to_head_has_no_body() -> None:
    """Whatever length it announces; another request may follow on the same connection."""
    async with http(always(HEAD + b"Content-Length: 1000\r\n\r\n")) as server, client(pooled=True) as asking:
        replies = [await asyncio.wait_for(asking.ask(to(server.url, "HEAD")), 10) for _ in range(3)]

    assert [(reply.status, reply.body, reply.header("CONTENT-LENGTH")) for reply in replies] == [(200, b"", "1000")] * 3
    assert server.connections == 1


async def test_the_first_of_two_headers_of_a_name_counts() -> None:
    """Names in whatever case, values in UTF-8."""
    reply = await told(HEAD + "X-Node: wést\r\nx-node: east\r\nContent-Length: 0\r\n\r\n".encode())

    assert isinstance(reply, Reply)
    assert (reply.header("x-Node"), reply.header("Y")) == ("wést", None)


async def test_a_large_body_is_sent_whole() -> None:
    """More than the system takes at once."""
    body = "x" * 5_000_000
    async with http(always(respond(201))) as server, client() as asking:
        reply = await asyncio.wait_for(asking.ask(to(server.url, "POST", body=body)), 30)

    assert reply.status == 201
    assert [len(seen.body) for seen in server.seen] == [5_000_000]


async def test_an_answer_may_come_before_everything_was_sent() -> None:
    """A server that refuses a large body early has answered; the connection is not used again."""

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(respond(413, text=""))
        await asyncio.Event().wait()

    async with serving(early) as port, client(pooled=True) as asking:
        request = to(f"http://127.0.0.1:{port}/", "POST", body="x" * 20_000_000)
        statuses = [(await asyncio.wait_for(asking.ask(request), 30)).status for _ in range(2)]

    assert statuses == [413, 413]


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (respond(200), 1),
        (respond(200, connection="close"), 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 3),
        (respond(200) + b"more", 3),
    ],
)
async def test_a_connection_is_kept_only_when_the_server_keeps_it(answer: bytes, connections: int) -> None:
    """A server that closes it, or says more than it was asked, has a new one the next time."""
    async with http(always(answer)) as server, client(pooled=True) as asking:
        for _ in range(3):
            await asyncio.wait_for(asking.ask(to(server.url)), 10)

    assert server.connections == connections


async def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    """What was noticed in time is no failure: a new connection is made."""
    closing: list[asyncio.StreamWriter] = []

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> bytes:
        closing.append(writer)
        return respond(200)

    async with http(answer) as server, client(pooled=True) as asking:
        await asking.ask(to(server.url))
        closing[0].close()
        await closing[0].wait_closed()
        for _ in range(5):
            await asyncio.sleep(0)
        reply = await asyncio.wait_for(asking.ask(to(server.url)), 10)

    assert (reply.status, server.connections) == (200, 2)


async def test_the_connection_used_last_is_taken_and_one_that_rests_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two requests at once, one connection serves all that follow; the server is not left to drop the other."""
    monkeypatch.setattr("drill.probes.http1._RESTED_S", 0.2)
    both = asyncio.Event()
    used: list[asyncio.StreamWriter] = []

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> bytes:
        used.append(writer)
        if len(used) == 2:
            both.set()
        await both.wait()
        return respond(200)

    async with http(answer) as server, client(pooled=True) as asking:
        await asyncio.wait_for(asyncio.gather(asking.ask(to(server.url)), asking.ask(to(server.url))), 10)
        async with asyncio.timeout(10):
            while not any(writer.is_closing() for writer in used[:2]):
                await asking.ask(to(server.url))
                await asyncio.sleep(0.01)


async def test_tls_connections_are_kept_too(tmp_path: Path) -> None:
    """Tickets that the server sends meanwhile are no answer that nobody asked for; large answers come whole."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*self_signed(tmp_path))
    text = "x" * 1_000_000
    async with http(always(respond(200, text=text)), context) as server, client(pooled=True) as asking:
        url = f"https://127.0.0.1:{server.port}/"
        sizes = [
            len((await asyncio.wait_for(asking.ask(to(url, "POST", body=body)), 10)).body) for body in ("", text, text)
        ]

    assert sizes == [1_000_000] * 3
    assert server.connections == 1


async def test_a_name_has_its_addresses_tried_in_turn() -> None:
    """Looked up for each connection; when nobody answers, the last refusal is what is told."""
    async with http(always(respond(200))) as server, client() as asking:
        reply = await asyncio.wait_for(asking.ask(to(f"http://localhost:{server.port}/")), 10)
        with pytest.raises(NotConnected) as refused:
            await asyncio.wait_for(asking.ask(to(f"http://localhost:{closed_port()}/")), 10)

    assert reply.status == 200
    assert isinstance(refused.value.__cause__, ConnectionRefusedError)


async def test_giving_up_drops_the_connection_at_once() -> None:
    """The server sees the end of it, and no descriptor is left; the same after every kind of failure."""
    asked, gone = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.release()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.transport.abort()
        gone.release()

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    before = len(os.listdir("/proc/self/fd"))
    async with serving(hang) as hanging, serving(resets) as resetting, client(pooled=True) as asking:
        given_up = asyncio.create_task(asking.ask(to(f"http://127.0.0.1:{hanging}/")))
        in_handshake = asyncio.create_task(asking.ask(to(f"https://127.0.0.1:{hanging}/")))
        for _ in range(2):
            await asyncio.wait_for(asked.acquire(), 10)
        given_up.cancel()
        in_handshake.cancel()
        ended = await asyncio.gather(given_up, in_handshake, return_exceptions=True)
        for _ in range(2):
            await asyncio.wait_for(gone.acquire(), 10)
        for url in (f"http://127.0.0.1:{resetting}/", f"https://127.0.0.1:{resetting}/"):
            with pytest.raises((OSError, NotConnected)):
                await asyncio.wait_for(asking.ask(to(url)), 10)

    for _ in range(100):
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        await asyncio.sleep(0.02)
    assert all(isinstance(one, asyncio.CancelledError) for one in ended)
    assert len(os.listdir("/proc/self/fd")) <= before
