"""HTTP: one request per sample, on a connection of its own unless the file says pooled."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drill.errors import EnvironmentFault, Problem, Severity
from drill.model import Fate, Outcome, Probe
from drill.probes import Answer
from drill.probes.expectation import MISSING, at, difference, filled, number, shown
from drill.probes.failure import Broken, failed, said
from drill.spec.shape import Choice, Key, ListOf, MapOf, OneOf, Table, anything, boolean, integer, text

if TYPE_CHECKING:
    from drill.probes.http1 import Client
    from drill.probes.reply import Reply

# Reading survivors is not measured; it may take as long as a big table needs.
_SURVIVORS_S = 30.0
_PAGES = 10_000

_status = OneOf(integer, ListOf(integer, least=1), expected="a status such as 200, or a list of them")
_method = Choice("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_good = Table(
    "a good answer",
    Key("status", _status, "The status it has; without it, any from 200 to 299."),
    Key("json", anything, "JSON that it must contain; the answer may contain more."),
    Key("body", text, "Text that it must contain."),
    Key("header", MapOf(text), "Headers it must have."),
)


class HttpProbe:
    """
    Sends one HTTP request and checks status, JSON, text and headers of the answer.

    Redirects are not followed, nothing is retried, cookies are not kept, and
    names are looked up anew for each connection.
    """

    keys = Table(
        "http probe",
        Key("url", text, "What is asked for, for a probe that reads."),
        Key("method", _method, "How; GET unless said otherwise."),
        Key("headers", MapOf(text), "Headers sent with each request."),
        Key("json", anything, "Body sent as JSON."),
        Key("body", text, "Body sent as it stands."),
        Key("expect", _good, "What a good answer is; without it, any status from 200 to 299."),
        Key("connection", Choice("fresh", "pooled"), "fresh (default): a new connection each time, as a new user has."),
        Key("verify", boolean, "false accepts any certificate."),
        Key(
            "served_by",
            Table(
                "served_by",
                Key("json", text, "Dotted path into the answer's JSON."),
                Key("header", text, "Name of a header."),
            ),
            "Where the answer tells who gave it.",
        ),
        Key("value", text, "Dotted path to a number in the answer's JSON, recorded with each sample."),
        Key(
            "write",
            Table(
                "write",
                Key("method", _method, "How; POST unless said otherwise."),
                Key("url", text, "Where ids are written; ${id} is the id.", required=True),
                Key("headers", MapOf(text), "More headers."),
                Key("json", anything, 'Body sent as JSON; "${id}" is the id as a number.'),
                Key("body", text, "Body sent as it stands; ${id} is the id."),
                Key(
                    "acknowledged",
                    OneOf(_status, _good, expected="a status such as 201, or what a good answer is"),
                    "What acknowledges a write; without it, any status from 200 to 299.",
                ),
                Key(
                    "refused",
                    _status,
                    "Statuses that promise that nothing was written, besides 4xx but 408.",
                ),
            ),
            "How the probe writes ids.",
        ),
        Key(
            "survivors",
            Table(
                "survivors",
                Key("url", text, "Lists the ids from ${first_id} on, that one included.", required=True),
                Key("headers", MapOf(text), "More headers."),
                Key("json_path", text, "Dotted path to the list of ids; without it, the answer is the list."),
                Key("item", text, "Dotted path to the id within each item of the list."),
            ),
            "How the ids that the store holds are read back.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        write, survivors = options.get("write"), options.get("survivors")
        found = []
        if not write and not options.get("url"):
            found.append(Problem("an http probe needs the key url, or write", hint="url: what is asked for"))
        if write and any(options.get(key) for key in ("url", "method", "json", "body", "expect")):
            found.append(
                Problem("a probe that writes says url, method, json and body under write, expect as acknowledged")
            )
        if write and "${id}" not in json.dumps(write, default=str):
            found.append(Problem("write must put ${id} into its url, json or body: each write needs its own id"))
        if write and not survivors:
            found.append(
                Problem(
                    "without survivors, nobody can tell which acknowledged writes were lost", severity=Severity.WARNING
                )
            )
        if survivors and not write:
            found.append(Problem("survivors needs write: there is nothing to read back"))
        for part in (options, write or {}):
            if part.get("json") is not None and part.get("body") is not None:
                found.append(Problem("json and body cannot both be the body"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._write = options.get("write")
        self._request = self._write or options
        self._method = self._request.get("method") or ("POST" if self._write else "GET")
        self._headers = {**(options.get("headers") or {}), **(self._request.get("headers") or {})}
        self._good = _expectation(self._write.get("acknowledged") if self._write else options.get("expect"))
        self._refused = _statuses(self._request.get("refused"))
        self._served_by = options.get("served_by") or {}
        self._value = options.get("value")
        self._survivors = options.get("survivors")
        self._pooled = options.get("connection") == "pooled"
        self._verify = options.get("verify") is not False
        self._client: Client | None = None
        wants_json = self._good.get("json") is not None or self._value or self._served_by.get("json")
        self._wants_json = bool(wants_json)

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: The URL cannot be used.
        """
        from drill.probes.http1 import Client, NotConnected, tls_for
        from drill.probes.request import Template

        urls = [url for url in (self._request.get("url"), (self._survivors or {}).get("url")) if url]
        for url in urls:
            if not _usable(filled(url, id=1, first_id=1, last_id=1)):
                # Without the URL: it may hold a password.
                raise EnvironmentFault("an http probe needs a URL such as https://example.org/orders")
        self._template = Template(
            self._method,
            self._request["url"],
            self._headers,
            json=self._request.get("json"),
            body=self._request.get("body"),
            keep=self._pooled,
        )
        self._not_connected = NotConnected
        self._client = Client(pooled=self._pooled, tls=tls_for(*urls, verify=self._verify))

    async def sample(self, id: int | None) -> Answer:
        assert self._client is not None
        unknown = None if id is None else Fate.UNKNOWN
        try:
            request = self._template.request() if id is None else self._template.request(id=id)
        except ValueError as error:
            return Answer(Outcome.UNKNOWN, f"the request cannot be sent: {said(error)}", fate=unknown)
        try:
            reply = await self._client.ask(request)
        except self._not_connected as error:
            # Nothing of the request has left: whatever stopped the connection, the write was not applied.
            return failed(error, None if id is None else Fate.REFUSED)
        except (Broken, OSError) as error:
            return failed(error, unknown)
        return self._judge(reply, id)

    def _judge(self, response: Reply, id: int | None) -> Answer:
        data = _decoded(response.body) if self._wants_json else MISSING
        lacking = self._lacking(response, data)
        value = number(at(data, self._value)) if self._value else None
        if self._value and value is None and not lacking:
            lacking = f"json {self._value} is not a number"
        fate = None
        if id is not None:
            refused = response.status in self._refused or (400 <= response.status < 500 and response.status != 408)
            fate = Fate.ACKNOWLEDGED if not lacking else Fate.REFUSED if refused else Fate.UNKNOWN
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, self._server(response, data), fate, value)

    def _lacking(self, response: Reply, data: Any) -> str:
        """Why the answer is not a good one, in words; "" when it is."""
        if response.status not in (_statuses(self._good.get("status")) or range(200, 300)):
            return f"status {response.status}"
        for name, value in (self._good.get("header") or {}).items():
            found = response.header(name)
            if found != value:
                # Without the values: headers carry tokens.
                return f"header {name} is {'missing' if found is None else 'not as expected'}"
        expected = self._good.get("json")
        if expected is not None:
            lacking = "the answer is not JSON" if data is MISSING else difference(expected, data)
            if lacking:
                return lacking
        words = self._good.get("body")
        return "the answer lacks the expected text" if words and words.encode() not in response.body else ""

    def _server(self, response: Reply, data: Any) -> str | None:
        if path := self._served_by.get("json"):
            found = at(data, path)
            return None if found is MISSING or found is None else str(found)[:200]
        header = self._served_by.get("header")
        return response.header(header) if header else None

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        if self._survivors is None:
            raise EnvironmentFault("this probe does not say how survivors are read")
        ids: list[int] = []
        start = first
        source = ""
        for _ in range(_PAGES):
            page, source = await self._page(start, last)
            new = [id for id in page if start <= id <= last]
            # A service may answer with a limited number of ids: ask on from the newest, which then comes again.
            ids = [id for id in ids if id < start] + new
            newest = max(page, default=start)
            if newest >= last or newest <= start or "${first_id}" not in self._survivors["url"]:
                break
            start = newest
        return sorted(ids), source

    async def _page(self, first: int, last: int) -> tuple[list[int], str]:
        from drill.probes.request import Template

        assert self._client is not None
        assert self._survivors is not None
        headers = {**self._headers, **(self._survivors.get("headers") or {})}
        template = Template("GET", self._survivors["url"], headers, keep=self._pooled)
        try:
            request = template.request(first_id=first, last_id=last)
            async with asyncio.timeout(_SURVIVORS_S):
                response = await self._client.ask(request)
        except (self._not_connected, Broken, OSError, ValueError) as error:
            raise EnvironmentFault(f"the survivors cannot be read: {said(error)}") from error
        if response.status != 200:
            raise EnvironmentFault(f"the survivors cannot be read: status {response.status}")
        data = _decoded(response.body)
        return self._ids(data), self._server(response, data) or f"{request.origin.host}:{request.origin.port}"

    def _ids(self, data: Any) -> list[int]:
        assert self._survivors is not None
        path = self._survivors.get("json_path") or ""
        found = at(data, path) if data is not MISSING else MISSING
        item = self._survivors.get("item")
        ids = [at(one, item) if item else one for one in found] if isinstance(found, list) else None
        if ids is None or not all(isinstance(id, int) and not isinstance(id, bool) for id in ids):
            place = f"at {path} " if path else ""
            sample = "nothing" if found is MISSING else shown(found)
            raise EnvironmentFault(f"the survivors must be a list of whole numbers {place}in the answer, not {sample}")
        return ids

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _usable(url: Any) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        return False


def _expectation(given: Any) -> dict[str, Any]:
    return given if isinstance(given, dict) else {"status": given}


def _statuses(given: int | list[int] | None) -> list[int]:
    return [given] if isinstance(given, int) else given or []


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return MISSING
