"""Prometheus: the value of a query, and how old it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from drill.errors import EnvironmentFault, Problem, Severity
from drill.model import SECOND, Outcome, Probe
from drill.probes import Answer
from drill.probes.expectation import number
from drill.probes.failure import Broken, failed, said
from drill.spec.shape import Choice, Key, MapOf, Number, Table, boolean, period, text
from drill.spec.shape import number as a_number

if TYPE_CHECKING:
    from drill.probes.http1 import Client


class PrometheusProbe:
    """
    Asks one instant query, and by `max_age` how old what it rests on is.

    An instant query repeats a value for five minutes after its source fell silent
    and stamps it with the time of asking, so a frozen number looks like a live one:
    only `max_age` tells. The age is by the server's own clock.
    """

    keys = Table(
        "prometheus probe",
        Key("url", text, "The server, such as http://prometheus:9090; any that speaks its HTTP API.", required=True),
        Key("query", text, "An instant query in PromQL; the value of its only series is recorded.", required=True),
        Key(
            "expect",
            Table(
                "expect",
                Key("value", a_number, "What the value is."),
                Key("at_least", a_number, "The smallest value that is good."),
                Key("at_most", a_number, "The largest value that is good."),
                Key("series", Number("a whole number, 0 or more", least=0), "How many series there are, instead of 1."),
            ),
            "What a good answer is; without it, one series with a value that is a number.",
        ),
        Key("max_age", period, "The oldest sample that still proves something; an older one is a failure."),
        Key("age_of", text, "The selector whose samples' age counts, when query is more than a selector."),
        Key("headers", MapOf(text), "Headers sent with each request."),
        Key("connection", Choice("fresh", "pooled"), "fresh (default): a new connection each time."),
        Key("verify", boolean, "false accepts any certificate."),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        found = []
        query = str(options.get("query") or "")
        if options.get("max_age") and not options.get("age_of") and "(" in query:
            found.append(
                Problem(
                    "what a function returns is as old as the question: max_age needs age_of",
                    hint="age_of: the selector inside the query",
                    severity=Severity.WARNING,
                )
            )
        if options.get("age_of") and not options.get("max_age"):
            found.append(Problem("age_of needs max_age: how old its samples may be"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._url = str(options["url"]).rstrip("/")
        self._query = options["query"]
        self._expect = options.get("expect") or {}
        self._max_age = options.get("max_age")
        self._age = f"max(time() - timestamp({options.get('age_of') or self._query}))"
        self._headers = options.get("headers") or {}
        self._pooled = options.get("connection") == "pooled"
        self._verify = options.get("verify") is not False
        self._client: Client | None = None

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: The URL cannot be used.
        """
        from drill.probes.http1 import Client, NotConnected, tls_for

        try:
            parts = urlsplit(self._url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            # Without the URL: it may hold a password.
            raise EnvironmentFault("a prometheus probe needs a URL such as http://prometheus:9090")
        self._by = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        self._not_connected = NotConnected
        self._client = Client(pooled=self._pooled, tls=tls_for(self._url, verify=self._verify))

    async def sample(self, id: int | None) -> Answer:
        try:
            found = await self._ask(self._query)
            if isinstance(found, str):
                return Answer(Outcome.FAILED, found, self._by)
            value = found[0] if len(found) == 1 else None
            lacking = self._lacking(found)
            if not lacking and self._max_age is not None and found:
                lacking = self._too_old(await self._ask(self._age))
        except (self._not_connected, Broken, OSError) as error:
            return failed(error)
        except ValueError as error:
            return Answer(Outcome.UNKNOWN, f"the request cannot be sent: {said(error)}")
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, self._by, value=value)

    async def _ask(self, query: str) -> list[float | None] | str:
        """One value for each series, None where it is no number; or in words why there are none."""
        from drill.probes.request import Template

        assert self._client is not None
        url = f"{self._url}/api/v1/query?{urlencode({'query': query})}"
        response = await self._client.ask(Template("GET", url, self._headers, keep=self._pooled).request())
        try:
            answer = json.loads(response.body)
        except (ValueError, RecursionError):
            return f"status {response.status}, and the answer is not JSON"
        if not isinstance(answer, dict) or answer.get("status") != "success":
            kind = answer.get("errorType") if isinstance(answer, dict) else None
            return f"status {response.status}" + (f": {kind}" if isinstance(kind, str) else "")
        values = _values(answer.get("data"))
        return "the query gives neither a number nor series of them" if values is None else values

    def _lacking(self, found: list[float | None]) -> str:
        """Why the values are no good answer, in words; "" when they are."""
        wanted = self._expect.get("series")
        if len(found) != (1 if wanted is None else wanted):
            return "no series" if not found else f"{len(found)} series"
        for value in found:
            if value is None:
                return "the value is not a number"
            exactly, least, most = (self._expect.get(key) for key in ("value", "at_least", "at_most"))
            good = exactly in (None, value) and (least is None or value >= least) and (most is None or value <= most)
            if not good:
                return f"value {value:g}"
        return ""

    def _too_old(self, ages: list[float | None] | str) -> str:
        if isinstance(ages, str):
            return f"the age cannot be told: {ages}"
        if len(ages) != 1 or ages[0] is None:
            return "the age cannot be told: no series"
        assert self._max_age is not None
        return f"{ages[0]:.1f} s old" if ages[0] * SECOND > self._max_age else ""

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        raise EnvironmentFault("a prometheus probe writes nothing, so there are no survivors to read")

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()


def _values(data: Any) -> list[float | None] | None:
    """The values in a scalar or an instant vector; None for anything else."""
    if not isinstance(data, dict):
        return None
    result: Any = data.get("result")
    if data.get("resultType") == "scalar":
        result = [{"value": result}]
    elif data.get("resultType") != "vector":
        return None
    try:
        # [time of asking, "value"]; NaN and infinities are no numbers that anybody could compare.
        return [number(series["value"][1]) for series in result]
    except (TypeError, KeyError, IndexError):
        return None
