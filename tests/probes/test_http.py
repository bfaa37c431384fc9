"""HTTP probes against a real server that misbehaves."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import resource
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from drill.errors import EnvironmentFault
from drill.model import Fate, Outcome
from drill.probes import Answer
from drill.probes.http import HttpProbe
from drill.probes.tcp import TcpProbe
from tests.probes.asking import ask, opened, sampling, until
from tests.probes.servers import Request, always, closed_port, http, reset, respond, self_signed, serving

CONNECTED = {"status": 200, "json": {"database": "connected"}}


@pytest.mark.parametrize(
    ("answer", "expect", "seen"),
    [
        (respond(200, {"database": "connected", "id": 7}), CONNECTED, Answer(Outcome.OK)),
        (respond(204, text=""), None, Answer(Outcome.OK)),
        (respond(503, {}), None, Answer(Outcome.FAILED, "status 503")),
        (respond(302, {}, location="/elsewhere"), None, Answer(Outcome.FAILED, "status 302")),
        (respond(200, {"database": "lost"}), CONNECTED, Answer(Outcome.FAILED, 'json database is "lost"')),
        (respond(200, {}), CONNECTED, Answer(Outcome.FAILED, "json database is missing")),
        (respond(200, text="<html>"), CONNECTED, Answer(Outcome.FAILED, "the answer is not JSON")),
        (respond(200, [1, {"a": True}]), {"json": [1, {"a": True}]}, Answer(Outcome.OK)),
        (respond(200, {"up": 1}), {"json": {"up": True}}, Answer(Outcome.FAILED, "json up is 1")),
        (respond(418, text="tea"), {"status": [200, 418], "body": "tea"}, Answer(Outcome.OK)),
        (respond(200, text="tea"), {"body": "milk"}, Answer(Outcome.FAILED, "the answer lacks the expected text")),
        (respond(200, {}, x_region="east"), {"header": {"X-Region": "east"}}, Answer(Outcome.OK)),
        (
            respond(200, {}, x_region="east"),
            {"header": {"X-Region": "west"}},
            Answer(Outcome.FAILED, "header X-Region is not as expected"),
        ),
        (b"HTTP/1.1 banana\r\n\r\n", None, Answer(Outcome.FAILED, "the answer is not HTTP")),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None, Answer(Outcome.FAILED, "connection closed before the answer")),
    ],
)
async def test_an_answer_is_good_when_it_is_what_the_file_expects(answer: bytes, expect: Any, seen: Answer) -> None:
    """Status, JSON, text and headers decide, and a bad answer says what it lacked."""

    async def once(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with http(once) as server:
        assert await ask(HttpProbe, url=server.url, expect=expect) == seen


async def test_half_an_answer_is_no_answer() -> None:
    """A connection that is reset in the middle of the body has failed."""

    async def half(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(respond(200, text="x" * 1000)[:500])
        await writer.drain()
        reset(writer)

    async with http(half) as server:
        answer = await ask(HttpProbe, url=server.url)

    assert answer.outcome is Outcome.FAILED
    assert answer.detail in {"connection reset", "the answer was cut short"}


async def test_nobody_there_is_a_failure() -> None:
    """A refused connection is the service's, not this machine's."""
    answer = await ask(HttpProbe, url=f"http://127.0.0.1:{closed_port()}/")

    assert answer == Answer(Outcome.FAILED, "connection refused")


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    """Name lookup is part of the request."""
    answer = await ask(HttpProbe, url="http://no-such-host.invalid/")

    assert answer.outcome is Outcome.FAILED
    assert answer.detail.startswith("name lookup failed")


async def test_no_file_descriptor_left_proves_nothing() -> None:
    """When this machine has no descriptor for the connection, the sample is unknown and the write known not sent."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with (
        http(always(respond(201))) as server,
        opened(HttpProbe, write={"url": server.url, "json": {"id": "${id}"}}) as prober,
    ):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            answer = await prober.sample(1)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert answer == Answer(Outcome.UNKNOWN, "this machine: too many open files", fate=Fate.REFUSED)


async def test_no_secret_is_in_what_a_probe_says() -> None:
    """Passwords in URLs and headers stay out of every detail."""
    secret = "s3cr3t"
    texts = []
    async with http(always(respond(500, {}))) as server:
        for url in (f"http://user:{secret}@127.0.0.1:{closed_port()}/?token={secret}", f"{server.url}/?t={secret}"):
            answer = await ask(HttpProbe, url=url, headers={"X-Key": secret}, expect={"header": {"X": secret}})
            texts.append(answer.detail)

    assert texts == ["connection refused", "status 500"]


async def test_every_request_has_a_connection_of_its_own() -> None:
    """A fresh connection each time sees what a new user would see; a pooled one is kept."""
    async with http(always(respond(200))) as server:
        async with opened(HttpProbe, url=server.url) as fresh:
            for _ in range(3):
                await fresh.sample(None)
        assert server.connections == 3

        async with opened(HttpProbe, url=server.url, connection="pooled") as pooled:
            for _ in range(3):
                await pooled.sample(None)
        assert server.connections == 4


async def test_a_pooled_connection_that_died_is_a_failure() -> None:
    """Nothing is tried again, on a kept connection either."""
    answers = iter([respond(200)])

    async def one_only(_: Request, writer: asyncio.StreamWriter) -> bytes | None:
        answer = next(answers, None)
        if answer is None:
            reset(writer)
        return answer

    async with http(one_only) as server, opened(HttpProbe, url=server.url, connection="pooled") as prober:
        first, second = await prober.sample(None), await prober.sample(None)

    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.FAILED)
    assert len(server.seen) == 2


async def test_the_answer_tells_who_gave_it_and_a_number() -> None:
    """served_by and value come from where the file says."""
    answer = respond(200, {"at": {"node": "west-1"}, "lag": [{"s": 1.5}]}, x_epoch="7")
    async with http(always(answer)) as server:
        by_json = await ask(HttpProbe, url=server.url, served_by={"json": "at.node"}, value="lag.0.s")
        by_header = await ask(HttpProbe, url=server.url, served_by={"header": "X-Epoch"}, value="lag.1.s")

    assert by_json == Answer(Outcome.OK, served_by="west-1", value=1.5)
    assert by_header == Answer(Outcome.FAILED, "json lag.1.s is not a number", served_by="7")


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (201, Fate.ACKNOWLEDGED),
        (200, Fate.UNKNOWN),
        (409, Fate.REFUSED),
        (408, Fate.UNKNOWN),
        (429, Fate.REFUSED),
        (500, Fate.UNKNOWN),
        (503, Fate.REFUSED),
    ],
)
async def test_the_status_decides_the_fate_of_a_write(status: int, fate: Fate) -> None:
    """Only the declared status acknowledges; 4xx but 408, and what the file declares, were surely not applied."""
    async with http(always(respond(status, {}))) as server:
        write = {"url": f"{server.url}/orders/${{id}}", "json": {"id": "${id}", "n": "#${id}"}, "acknowledged": 201}
        write["refused"] = 503
        answer = await ask(HttpProbe, 42, write=write)

    assert (answer.outcome, answer.fate) == (Outcome.OK if status == 201 else Outcome.FAILED, fate)
    assert [(seen.method, seen.target, json.loads(seen.body)) for seen in server.seen] == [
        ("POST", "/orders/42", {"id": 42, "n": "#42"})
    ]


@pytest.mark.parametrize("url", ["ftp://host/", "host/orders", "http://", "http:///orders", "http://host:port/"])
async def test_a_url_that_cannot_be_asked_is_told_before_anything_runs(url: str) -> None:
    """A mistake in a file is not an outage of the service."""
    with pytest.raises(EnvironmentFault, match="needs a URL such as"):
        await ask(HttpProbe, url=url)


async def test_a_write_whose_answer_was_cut_off_is_unknown() -> None:
    """Sent and then reset: neither lost nor safe. Refused at the door: known not applied."""

    async def reset_it(_: Request, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async with http(reset_it) as server:
        cut = await ask(HttpProbe, 1, write={"url": server.url, "json": {"id": "${id}"}})
    refused = await ask(HttpProbe, 1, write={"url": f"http://127.0.0.1:{closed_port()}/${{id}}"})

    assert (cut.outcome, cut.fate) == (Outcome.FAILED, Fate.UNKNOWN)
    assert (refused.outcome, refused.fate) == (Outcome.FAILED, Fate.REFUSED)


async def test_survivors_are_read_page_by_page() -> None:
    """A service that lists two ids at a time is asked on, and an id that stands there twice is reported twice."""
    held = [3, 4, 6, 6, 7, 9, 11]

    async def page(request: Request, _: asyncio.StreamWriter) -> bytes:
        since = int(request.target.partition("since=")[2])
        return respond(200, {"found": [{"id": id} for id in held if id >= since][:3], "by": "west"})

    async with (
        http(page) as server,
        opened(
            HttpProbe,
            write={"url": server.url, "json": {"id": "${id}"}},
            survivors={"url": f"{server.url}/ids?since=${{first_id}}", "json_path": "found", "item": "id"},
            served_by={"json": "by"},
        ) as prober,
    ):
        assert await prober.survivors(4, 10) == ([4, 6, 6, 7, 9], "west")


@pytest.mark.parametrize("answer", [respond(500, {}), respond(200, {"ids": ["a"]}), respond(200, {}), b"nonsense"])
async def test_survivors_that_cannot_be_read_are_not_taken_for_none(answer: bytes) -> None:
    """An error, or an answer that is no list of ids, is an error and never an empty list."""

    async def once(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with (
        http(once) as server,
        opened(HttpProbe, write={"url": server.url}, survivors={"url": server.url, "json_path": "ids"}) as prober,
    ):
        with pytest.raises(EnvironmentFault, match="survivors"):
            await prober.survivors(1, 10)


async def test_a_hanging_service_fails_at_the_deadline_and_comes_back() -> None:
    """While nothing answers every request fails at its deadline; the first good answer afterwards is good at once."""
    hanging = asyncio.Event()

    async def maybe(_: Request, __: asyncio.StreamWriter) -> bytes:
        if hanging.is_set():
            await asyncio.Event().wait()
        return respond(201)

    async with (
        http(maybe) as server,
        sampling(HttpProbe, ids=itertools.count(1), write={"url": f"{server.url}/${{id}}"}) as (sampler, seen),
    ):
        await until(sampler, Outcome.OK)
        hanging.set()
        await until(sampler, Outcome.FAILED, times=20)
        hanging.clear()
        await until(sampler, Outcome.OK)

    failed = [sample for sample in seen if sample.outcome is Outcome.FAILED]
    assert {(sample.detail, sample.fate) for sample in failed} == {("no answer within 300 ms", Fate.UNKNOWN)}
    assert all(sample.ended - sample.sent >= 300e6 for sample in failed)
    ids = sorted(sample.id for sample in seen if sample.sent)
    assert ids == list(range(1, len(ids) + 1))


async def test_a_loop_that_stands_still_is_not_an_outage() -> None:
    """While this process does nothing for a second, samples are unknown; none is blamed on the service."""
    async with (
        http(always(respond(200))) as server,
        sampling(HttpProbe, url=server.url) as (sampler, seen),
    ):
        await until(sampler, Outcome.OK)
        await asyncio.sleep(0.011)
        time.sleep(1)  # noqa: ASYNC251 standing still is what is tested
        await until(sampler, Outcome.OK)

    slots = sorted(sample.planned for sample in seen)
    assert {sample.outcome for sample in seen} == {Outcome.OK, Outcome.UNKNOWN}
    assert max(later - sooner for sooner, later in itertools.pairwise(slots)) <= 22e6
    assert sampler.counts.unknown >= 40


async def talks_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say HTTP to whoever connects, TLS or not."""
    writer.write(respond(400))
    await writer.drain()
    writer.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """Certificates are verified unless the file says not to."""
    certificate, key = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async with http(always(respond(200)), context) as server:
        url = f"https://127.0.0.1:{server.port}/"
        verified = await ask(HttpProbe, url=url)
        accepted = await ask(HttpProbe, url=url, verify=False)
        by_tcp = await ask(TcpProbe, address=url, tls=True)
        accepted_by_tcp = await ask(TcpProbe, address=url, tls=True, verify=False)
    async with serving(talks_plainly) as port:
        no_tls = await ask(HttpProbe, url=f"https://127.0.0.1:{port}/")

    assert verified == by_tcp == Answer(Outcome.FAILED, "certificate refused: self-signed certificate")
    assert accepted == Answer(Outcome.OK)
    assert accepted_by_tcp == Answer(Outcome.OK, served_by=f"127.0.0.1:{server.port}")
    assert no_tls == Answer(Outcome.FAILED, "TLS failed: wrong version number")


def test_what_does_not_fit_together_is_told_before_anything_runs() -> None:
    """Keys that contradict each other are problems of the file."""
    problems = [
        HttpProbe.check(options)
        for options in (
            {},
            {"url": "http://x", "write": {"url": "http://x", "json": {"id": "${id}"}}, "survivors": {"url": "y"}},
            {"write": {"url": "http://x"}, "survivors": {"url": "y"}},
            {"url": "http://x", "survivors": {"url": "y"}},
            {"url": "http://x", "json": {}, "body": "x"},
            {"url": "http://x"},
        )
    ]

    assert [len(found) for found in problems] == [1, 1, 1, 1, 1, 0]


def test_errno_names_are_those_of_this_machine() -> None:
    """The four errors that prove nothing about the service."""
    from drill.probes.failure import OURS

    assert {errno.errorcode[number] for number in OURS} == {"EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOMEM"}
