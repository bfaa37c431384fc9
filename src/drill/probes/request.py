"""An HTTP/1.1 request as the bytes that are sent, and where they go. Nothing is sent here."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from drill import __version__
from drill.probes.expectation import filled

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# With any of these in a value, whoever fills it in could write headers of their own.
_ENDS_A_LINE = re.compile(r"[\r\n\0]")
# Of these, servers expect no body, nor to be told that there is none.
_BODILESS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Where requests go.

    Attributes:
        host: A name in its ASCII form, or an IP address without brackets.

        literal: The address, when *host* is one and nothing is to be looked up: family and socket address.
    """

    tls: bool
    host: str
    port: int
    literal: tuple[int, tuple[Any, ...]] | None


@dataclass(frozen=True, slots=True)
class Request:
    """
    Attributes:
        data: Head and body.

        bodiless: The answer ends with its head, whatever length that announces (HEAD).
    """

    origin: Origin
    data: bytes
    bodiless: bool


class Template:
    """A request that differs from sample to sample only by what is filled in, such as `${id}`."""

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Any],
        *,
        json: Any = None,
        body: str | None = None,
        keep: bool,
    ) -> None:
        """*keep* asks the server to keep the connection."""
        self._method = method
        self._url = url
        self._headers = dict(headers)
        self._json = json
        self._body = body
        self._keep = keep
        # Of every sample the same, unless something is filled in; made when it is first needed.
        self._fixed: Request | None = None
        self._fixed_headers = not _varies(self._headers)
        self._made: dict[Origin, bytes] = {}

    def request(self, **values: int) -> Request:
        """
        The request with these values filled in, as it stands without any.

        Raises:
            ValueError: It cannot be sent: the URL is none, or a header would end its line.
        """
        if values:
            return self._make(values)
        if self._fixed is None:
            self._fixed = self._make(values)
        return self._fixed

    def _make(self, values: Mapping[str, int]) -> Request:
        origin, target, host, login = _parsed(str(filled(self._url, **values)))
        content = b""
        if self._json is not None:
            content = json.dumps(filled(self._json, **values)).encode()
        elif self._body:
            content = str(filled(self._body, **values)).encode()
        head = self._made.get(origin)
        if head is None:
            head = self._head(host, login, values)
            if self._fixed_headers:
                self._made = {origin: head}
        length = b"" if not content and self._method in _BODILESS else b"Content-Length: %d\r\n" % len(content)
        data = b"%s %s HTTP/1.1\r\n%s%s\r\n%s" % (self._method.encode(), target, head, length, content)
        return Request(origin, data, self._method == "HEAD")

    def _head(self, host: str, login: str | None, values: Mapping[str, int]) -> bytes:
        """Every header but the length; those of the file come instead of ours."""
        given = filled(self._headers, **values)
        names = {name.lower() for name in given}
        lines = [*(pair for pair in self._ours(host, login) if pair[0].lower() not in names), *given.items()]
        for name, value in lines:
            if not _TOKEN.fullmatch(name) or _ENDS_A_LINE.search(str(value)):
                raise ValueError("a header that is none")
        return "".join(f"{name}: {value}\r\n" for name, value in lines if name.lower() != "content-length").encode()

    def _ours(self, host: str, login: str | None) -> Iterator[tuple[str, str]]:
        yield "Host", host
        yield "Accept", "*/*"
        yield "Accept-Encoding", "gzip, deflate"
        yield "User-Agent", f"drill/{__version__}"
        if login is not None:
            yield "Authorization", login
        if self._json is not None:
            yield "Content-Type", "application/json"
        elif self._body:
            yield "Content-Type", "text/plain; charset=utf-8"
        if not self._keep:
            yield "Connection", "close"


def _varies(part: Any) -> bool:
    return "${" in json.dumps(part, default=str)


@lru_cache(maxsize=64)
def _parsed(url: str) -> tuple[Origin, bytes, str, str | None]:
    """
    Origin, request target, Host header and Authorization header of *url*.

    Raises ValueError when it is no URL.
    """
    from yarl import URL  # lazily: reading a probe file needs none of it

    parsed = URL(url)
    if parsed.scheme not in {"http", "https"} or not parsed.raw_host or not parsed.port:
        raise ValueError("not a URL that can be asked")
    login = None
    if parsed.user is not None or parsed.password is not None:
        login = "Basic " + base64.b64encode(f"{parsed.user or ''}:{parsed.password or ''}".encode()).decode()
    host = parsed.raw_host
    origin = Origin(parsed.scheme == "https", host, parsed.port, _literal(host, parsed.port))
    return origin, parsed.raw_path_qs.encode(), parsed.host_port_subcomponent or host, login


def _literal(host: str, port: int) -> tuple[int, tuple[Any, ...]] | None:
    for family, rest in ((socket.AF_INET, ()), (socket.AF_INET6, (0, 0))):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, (host, port, *rest)
    return None
