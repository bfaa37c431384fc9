"""Prometheus probes against a real server that scrapes a real page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from drill.errors import EnvironmentFault
from drill.model import SECOND, Outcome
from drill.probes import Answer
from drill.probes.prometheus import PrometheusProbe
from tests.probes.asking import ask
from tests.probes.brokers import Prometheus, prometheus
from tests.probes.servers import always, http, respond
from tests.probes.stores import wait

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Knows a lag, two of a pair, one value that is no number, and one that is 100 seconds old."""
    old = round(time.time() * 1000) - 100_000
    page = f'lag_seconds 1.5\npair{{n="1"}} 1\npair{{n="2"}} 2\nnone NaN\nold 5 {old}\n'.encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as scraped:
        threading.Thread(target=scraped.serve_forever, daemon=True).start()
        with prometheus(tmp_path_factory.mktemp("prometheus"), scraped.server_port) as started:
            wait(lambda: started.knows("lag_seconds") and started.knows("old"), started)
            yield started
        scraped.shutdown()


@pytest.mark.parametrize(
    ("query", "expect", "outcome", "detail", "value"),
    [
        ("lag_seconds", None, Outcome.OK, "", 1.5),
        ("lag_seconds", {"at_most": 1.5, "at_least": 1}, Outcome.OK, "", 1.5),
        ("lag_seconds", {"at_most": 1}, Outcome.FAILED, "value 1.5", 1.5),
        ("lag_seconds > 2", None, Outcome.FAILED, "no series", None),
        ("lag_seconds > 2", {"series": 0}, Outcome.OK, "", None),
        ("pair", None, Outcome.FAILED, "2 series", None),
        ("pair", {"series": 2, "at_most": 2}, Outcome.OK, "", None),
        ("pair", {"series": 2, "at_most": 1}, Outcome.FAILED, "value 2", None),
        ("sum(pair)", {"value": 3}, Outcome.OK, "", 3),
        ("scalar(lag_seconds) * 0", {"value": 0}, Outcome.OK, "", 0),
        ("none", None, Outcome.FAILED, "the value is not a number", None),
        ("lag_seconds[1m]", None, Outcome.FAILED, "the query gives neither a number nor series of them", None),
        ("sum(", None, Outcome.FAILED, "status 400: bad_data", None),
    ],
)
async def test_the_value_decides(
    server: Prometheus, query: str, expect: dict, outcome: Outcome, detail: str, value: float | None
) -> None:
    """Values and the number of series are compared; what is no number stays nothing, never 0."""
    answer = await ask(PrometheusProbe, url=server.url, query=query, expect=expect)

    assert answer == Answer(outcome, detail, f"127.0.0.1:{server.port}", value=value)


async def test_an_old_value_proves_nothing(server: Prometheus) -> None:
    """Prometheus goes on answering with what it last heard; only its age tells."""
    ask_old = {"url": server.url, "query": "old"}
    unlimited = await ask(PrometheusProbe, **ask_old)
    limited = await ask(PrometheusProbe, **ask_old, max_age=60 * SECOND)
    within = await ask(PrometheusProbe, **ask_old, max_age=3000 * SECOND)
    fresh = await ask(PrometheusProbe, url=server.url, query="lag_seconds", max_age=60 * SECOND)
    derived = await ask(PrometheusProbe, url=server.url, query="sum(old)", age_of="old", max_age=60 * SECOND)

    assert [answer.outcome for answer in (unlimited, limited, within, fresh, derived)] == [
        Outcome.OK,
        Outcome.FAILED,
        Outcome.OK,
        Outcome.OK,
        Outcome.FAILED,
    ]
    assert limited.detail.endswith(" s old")
    assert 100 <= float(limited.detail.split(" ")[0]) < 400
    assert limited.value == 5


async def test_an_answer_that_is_not_prometheus_is_a_failure() -> None:
    """Whatever else answers under that address is no value."""
    for answer, detail in (
        (respond(200, text="hello"), "status 200, and the answer is not JSON"),
        (respond(503, {"status": "error", "errorType": "unavailable"}), "status 503: unavailable"),
        (respond(200, {"status": "success", "data": 7}), "the query gives neither a number nor series of them"),
        (
            respond(200, {"status": "success", "data": {"resultType": "vector", "result": [{"value": "7"}]}}),
            "the query gives neither a number nor series of them",
        ),
    ):
        async with http(always(answer)) as world:
            seen = await ask(PrometheusProbe, url=world.url, query="up")

        assert seen == Answer(Outcome.FAILED, detail, f"127.0.0.1:{world.port}")


async def test_a_url_that_is_none_is_told_without_its_password() -> None:
    """What cannot be asked keeps the probe from beginning."""
    with pytest.raises(EnvironmentFault) as refused:
        await ask(PrometheusProbe, url="ftp://me:s3cr3t@host", query="up")

    assert str(refused.value) == "a prometheus probe needs a URL such as http://prometheus:9090"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "sum(old)", "max_age": SECOND}, "what a function returns is as old as the question"),
        ({"query": "old", "age_of": "old"}, "age_of needs max_age"),
    ],
)
def test_an_age_that_would_not_be_one_is_told(options: dict, message: str) -> None:
    """A sum is always as young as the question: whose age counts must be said."""
    (problem,) = PrometheusProbe.check(options)

    assert problem.message.startswith(message)
    assert not PrometheusProbe.check({"query": "sum(old)", "age_of": "old", "max_age": SECOND})
