"""
HTTP/1.1 as the measuring stream needs it: one request, one answer.

Nothing is retried, followed, cached or remembered, and no deadline is kept:
whoever asks gives up by cancelling, which drops the connection at once. Names
are looked up anew for each connection, and their addresses tried in turn: two
at once would hide that one of them is dead.

It works on plain sockets, for a stream per connection costs as much again as
all the rest: a fresh connection takes about 170 µs of processor time instead
of 440 with aiohttp, most of it the kernel's (bench/probing.py).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any

import httptools

from drill.probes.failure import Broken
from drill.probes.lookup import lookup
from drill.probes.reply import Reply, first_header, inflated
from drill.probes.request import Origin, Request

# A kept connection that rested longer is not used again: servers and balancers give up on it about then.
_RESTED_S = 15.0
_CHUNK = 64 * 1024
_MOST_HEAD = 64 * 1024


class NotConnected(Exception):
    """There was no connection, so nothing of the request has left; the cause says why."""


def tls_for(*urls: str, verify: bool) -> ssl.SSLContext | None:
    """
    How TLS is spoken with these, without *verify* with anybody; None when none of them is an https: URL.

    The machine's certificates are read for it, which takes tens of milliseconds: not while samples are taken.
    """
    if not any(url.lower().startswith("https:") for url in urls):
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """Asks; with *pooled* on connections that it keeps, else on a new one each time."""

    def __init__(self, *, pooled: bool, tls: ssl.SSLContext | None) -> None:
        """Without *tls* it cannot ask what an https: URL names."""
        self._pooled = pooled
        self._tls = tls
        self._resting: dict[Origin, deque[tuple[float, _Connection]]] = {}

    async def ask(self, request: Request) -> Reply:
        """
        Send the request and return the whole answer, whatever its status.

        Raises:
            NotConnected: Nothing was sent.

            Broken: What came was no answer.

            OSError: The connection was lost.
        """
        connection = self._rested(request.origin) or await self._connect(request.origin)
        kept = False
        try:
            reply = await connection.exchange(request)
            kept = self._pooled and connection.usable
        finally:
            if not kept:
                connection.close()
        if kept:
            self._rest(request.origin, connection)
        return reply

    def close(self) -> None:
        """Drop every kept connection."""
        for resting in self._resting.values():
            for _, connection in resting:
                connection.close()
        self._resting.clear()

    def _rest(self, origin: Origin, connection: _Connection) -> None:
        """Keep a connection; those that have rested too long beside it are let go."""
        now = asyncio.get_running_loop().time()
        resting = self._resting.setdefault(origin, deque())
        resting.append((now, connection))
        while not resting[0][1].usable or now - resting[0][0] > _RESTED_S:
            resting.popleft()[1].close()

    def _rested(self, origin: Origin) -> _Connection | None:
        """
        The kept connection used last, if nothing has happened to it since.

        A server drops those that rest; one taken just then would fail a request of a healthy service.
        """
        resting = self._resting.get(origin)
        while resting:
            since, connection = resting.pop()
            if connection.usable and asyncio.get_running_loop().time() - since <= _RESTED_S:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> _Connection:
        failure = OSError("the name has no address")
        try:
            found: Iterable[tuple[int, tuple[Any, ...]]]
            if origin.literal:
                found = (origin.literal,)
            else:
                found = [(family, address) for family, _, _, _, address in await lookup(origin.host, origin.port)]
        except OSError as error:
            raise NotConnected from error
        for family, address in found:
            try:
                return _Connection(await self._open(family, address, origin))
            except OSError as error:
                failure = error
        raise NotConnected from failure

    async def _open(self, family: int, address: tuple[Any, ...], origin: Origin) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = opened.connect_ex(address)
            if number == errno.EINPROGRESS:
                number = 0
                # On loopback it is there already, and a turn of the loop is saved.
                if not _has_peer(opened):
                    await _ready(opened, to_write=True)
                    number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))
            if origin.tls:
                opened = await self._secured(opened, origin.host)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _secured(self, opened: socket.socket, host: str) -> ssl.SSLSocket:
        assert self._tls is not None
        secured = self._tls.wrap_socket(opened, server_hostname=host, do_handshake_on_connect=False)
        try:
            while True:
                try:
                    secured.do_handshake()
                except ssl.SSLWantReadError:
                    await _ready(secured, to_write=False)
                except ssl.SSLWantWriteError:
                    await _ready(secured, to_write=True)
                else:
                    return secured
        except BaseException:
            secured.close()
            raise


class _Connection:
    """
    One connection, and the exchange that is under way on it.

    Attributes:
        usable: Another request may be sent on it.
    """

    def __init__(self, opened: socket.socket) -> None:
        self.usable = True
        self._loop = asyncio.get_running_loop()
        self._socket = opened
        self._secured = isinstance(opened, ssl.SSLSocket)
        self._reply: asyncio.Future[Reply] | None = None
        self._parser: Any = None
        self._unsent: memoryview = memoryview(b"")
        self._writing = False
        self._number = opened.fileno()
        self._loop.add_reader(self._number, self._readable)

    async def exchange(self, request: Request) -> Reply:
        """Send a request and wait for its answer; afterwards `usable` says whether another may follow."""
        self._reply = self._loop.create_future()
        self._bodiless = request.bodiless
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._head_size = 0
        self._head_done = self._done = False
        self._parser = httptools.HttpResponseParser(self)
        self._unsent = memoryview(request.data)
        self._send()
        try:
            return await self._reply
        finally:
            # The parser holds this object, and this object the parser: without, only the collector could free them.
            self._reply = self._parser = None

    def close(self) -> None:
        """Drop the connection; whatever is still unsent is not sent."""
        self.usable = False
        if self._number < 0:
            return
        self._loop.remove_reader(self._number)
        if self._writing:
            self._loop.remove_writer(self._number)
        self._number = -1
        self._socket.close()

    # --- the socket --------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLWantReadError:
            return  # tried again when something has come
        except OSError as error:
            self._fail(error)
            return
        if bool(self._unsent) != self._writing:
            self._writing = not self._writing
            if self._writing:
                self._loop.add_writer(self._number, self._send)
            else:
                self._loop.remove_writer(self._number)

    def _readable(self) -> None:
        # Of a plain socket the loop tells again; what TLS has already read nobody would tell of.
        while self._read() and self._secured:
            pass
        if self._unsent and not self._writing and self._asking():
            self._send()

    def _read(self) -> bool:
        """Whether something came and more may be waited for."""
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as error:
            self._fail(error)
            data = b""
        if not self._asking():
            # Nothing was asked, or it is answered: the server hangs up, or says what nobody wants to know.
            self.close()
        elif data:
            self._feed(data)
        else:
            self._hung_up()
        return self._asking()

    def _asking(self) -> bool:
        return self._reply is not None and not self._reply.done()

    def _feed(self, data: bytes) -> None:
        if not self._head_done:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.usable = False
        except httptools.HttpParserError:
            self._fail(Broken("the answer is not HTTP"))
        if not self._head_done and self._head_size > _MOST_HEAD:
            self._fail(Broken("the answer is not HTTP"))

    def _hung_up(self) -> None:
        self.usable = False
        if not self._head_done:
            self._fail(Broken("connection closed before the answer"))
        elif any(first_header(self._headers, name) is not None for name in (b"content-length", b"transfer-encoding")):
            self._fail(Broken("the answer was cut short"))
        else:
            # Its end is the end of the connection.
            self._finish()

    def _fail(self, error: Exception) -> None:
        self.usable = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    # --- what the parser found ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._done:
            self.usable = False  # more than was asked for
            return
        # After 1xx, the real answer.
        self._headers = []
        self._head_done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._done:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._head_done = not self._interim()
        if self._bodiless and self._head_done and not self._done:
            self.usable = self.usable and self._parser.should_keep_alive()
            self._finish()

    def on_body(self, part: bytes) -> None:
        if not self._done:
            self._body.append(part)

    def on_message_complete(self) -> None:
        if self._done or self._interim():
            return
        self.usable = self.usable and self._parser.should_keep_alive()
        self._finish()

    def _interim(self) -> bool:
        status = self._parser.get_status_code()
        return bool(100 <= status < 200 and status != 101)

    def _finish(self) -> None:
        self._done = True
        if self._unsent:
            self.usable = False  # answered before all of it was sent
        body = b"".join(self._body)
        coding = first_header(self._headers, b"content-encoding") if body else None
        try:
            body = inflated(body, coding.strip().lower()) if coding else body
        except ValueError:
            self._fail(Broken("the answer cannot be decompressed"))
            return
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(Reply(self._parser.get_status_code(), self._headers, body))


def _has_peer(opened: socket.socket) -> bool:
    try:
        opened.getpeername()
    except OSError:
        return False
    return True


async def _ready(opened: socket.socket, *, to_write: bool) -> None:
    """Wait until the socket can be written, or has something to read or to report."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)
    add(opened, _wake, woken)
    try:
        await woken
    finally:
        remove(opened)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
