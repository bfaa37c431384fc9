"""Load in real processes against a real server: what is sent, what is told of it, and that none is ever left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drill import load as loading
from drill.clock import SystemClock
from drill.errors import Refused
from drill.load import Generator, Sent
from drill.model import SECOND, Load, LoadBegan, LoadEnded, LoadStep, Traffic
from drill.scrub import Scrubber


class Server:
    """Answers every request well, once, and counts them; silent when told so."""

    def __init__(self) -> None:
        self.asked = 0
        self.silent = False
        self.status = b"200 OK"

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                if not self.silent:
                    writer.write(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 4\r\n\r\nfine")
        except (OSError, EOFError):
            pass
        finally:
            writer.close()


async def until(condition: Callable[[], bool], what: str, within: float = 30) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s: {what}"
        await asyncio.sleep(0.05)


def generator(load: Load, root: Path = Path()) -> Generator:
    return Generator(load, root, SystemClock(), Scrubber({}))


def seconds(events: list[Sent]) -> list[tuple[int, int, int]]:
    """(sent, ok, failed) of every whole second told, but the first: it was not whole."""
    found: dict[int, list[int]] = {}
    for event in events:
        if isinstance(event, Traffic):
            for second in event.seconds:
                each = found.setdefault(second.at, [0, 0, 0])
                for n, count in enumerate((second.sent, second.ok, second.failed)):
                    each[n] += count
    return [(sent, ok, failed) for _, (sent, ok, failed) in sorted(found.items())][1:]


def left(events: list[Sent]) -> list[str]:
    return [event.error for event in events if isinstance(event, LoadEnded)]


async def test_a_rate_is_what_is_sent() -> None:
    """Forty requests a second from two processes: so many reach the server, and so many are told."""
    events: list[Sent] = []
    async with Server() as server:
        made = generator(Load(request={"url": server.url}, steps=(LoadStep(rate=40),), processes=2))
        await made.start(events.append)
        await until(lambda: len(seconds(events)) >= 6, "six whole seconds were told")
        await made.stop()

    told = seconds(events)[1:]
    assert next(event for event in events if isinstance(event, LoadBegan)).processes == 2
    assert 0.8 * 40 < sum(sent for sent, _, _ in told) / len(told) < 1.2 * 40
    assert sum(failed for _, _, failed in told) == 0
    assert server.asked >= sum(ok for _, ok, _ in told)
    assert left(events) == ["", ""]


async def test_a_rate_goes_on_when_nobody_answers() -> None:
    """A hanging service is asked as often as before: the load is an open loop, and its failures are told."""
    events: list[Sent] = []
    async with Server() as server:
        made = generator(Load(request={"url": server.url}, steps=(LoadStep(rate=40),), deadline=SECOND // 2))
        await made.start(events.append)
        server.silent = True
        await until(lambda: len([1 for _, ok, failed in seconds(events) if failed and not ok]) >= 4, "it fails")
        await made.stop()

    hanging = [sent for sent, ok, failed in seconds(events) if failed and not ok]
    assert sum(hanging) / len(hanging) > 0.8 * 40
    assert any(errors for event in events if isinstance(event, Traffic) for errors in [event.errors])


async def test_steps_follow_each_other() -> None:
    """A step of ten a second, then one of fifty."""
    events: list[Sent] = []
    async with Server() as server:
        steps = (LoadStep(rate=10, lasts=4 * SECOND), LoadStep(rate=50))
        made = generator(Load(request={"url": server.url}, steps=steps))
        await made.start(events.append)
        await until(lambda: len(seconds(events)) >= 9, "nine whole seconds were told")
        await made.stop()

    sent = [each for each, _, _ in seconds(events)]
    assert max(sent[:2]) < 20
    assert min(sent[-2:]) > 35


async def test_what_is_not_the_status_asked_for_failed() -> None:
    """A 503 is a failed answer, and the reason is told with how many."""
    events: list[Sent] = []
    async with Server() as server:
        server.status = b"503 Service Unavailable"
        made = generator(Load(request={"url": server.url, "status": 200}, steps=(LoadStep(users=2),)))
        await made.start(events.append)
        await until(lambda: any(failed for _, _, failed in seconds(events)), "a failure is told")
        await made.stop()

    reasons = {reason for event in events if isinstance(event, Traffic) for reason in event.errors}
    assert reasons == {"status 503"}


async def test_a_locustfile_says_what_users_do(tmp_path: Path) -> None:
    """A project's own locustfile runs as it is, with its variables."""
    (tmp_path / "shop.py").write_text(
        textwrap.dedent("""
        import os
        from locust import HttpUser, constant, task
        class Buyer(HttpUser):
            wait_time = constant(0.05)
            @task
            def buy(self):
                self.client.get("/" + os.environ["SHELF"])
        """)
    )
    events: list[Sent] = []
    async with Server() as server:
        steps = (LoadStep(users=3),)
        load = Load(request={"url": server.url}, script="shop.py", steps=steps, environment={"SHELF": "books"})
        made = generator(load, tmp_path)
        await made.start(events.append)
        await until(lambda: len(seconds(events)) >= 2, "two whole seconds were told")
        await made.stop()

    assert all(ok > 5 and not failed for _, ok, failed in seconds(events))


async def test_a_load_that_cannot_begin_is_refused(tmp_path: Path) -> None:
    """A locustfile that breaks is a refusal in its own words, and no process is left."""
    (tmp_path / "broken.py").write_text("raise RuntimeError('no shop today')\n")
    made = generator(Load(script="broken.py", steps=(LoadStep(users=1),)), tmp_path)

    with pytest.raises(Refused, match="no shop today"):
        await made.start(lambda event: None)

    assert all(child.process.returncode is not None for child in made._children)


async def test_a_process_that_dies_is_told() -> None:
    """A load whose process is killed says so; nobody takes the silence for a quiet service."""
    events: list[Sent] = []
    async with Server() as server:
        made = generator(Load(request={"url": server.url}, steps=(LoadStep(rate=20),)))
        await made.start(events.append)
        os.kill(made._children[0].process.pid, signal.SIGKILL)
        await until(lambda: bool(left(events)), "its end is told")
        await made.stop()

    assert len(left(events)) == 1
    assert "in the middle of the drill" in left(events)[0]


def test_the_load_is_gone_with_whoever_started_it() -> None:
    """kill -9 of the conductor's process takes the load with it."""
    script = textwrap.dedent("""
        import asyncio
        from pathlib import Path
        from drill.clock import SystemClock
        from drill.load import Generator
        from drill.model import Load, LoadStep
        from drill.scrub import Scrubber
        async def main():
            made = Generator(
                Load(request={"url": "http://127.0.0.1:9/"}, steps=(LoadStep(rate=20),), processes=2),
                Path(), SystemClock(), Scrubber({}))
            await made.start(lambda event: None)
            print(*(child.process.pid for child in made._children), flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    conductor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert conductor.stdout is not None
    pids = [int(pid) for pid in conductor.stdout.readline().split()]
    conductor.kill()
    conductor.communicate()

    def gone(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    assert len(pids) == 2
    end = time.monotonic() + 10
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < end, "the load outlives the process that started it"
        time.sleep(0.02)


def test_k6_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is touched, with what to do."""
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(Refused, match="k6 is not on the PATH"):
        loading.check(Load(tool="k6", script="checkout.js"))


def words(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


K6 = """#!{python}
# Writes what k6 writes with --out json=-, for as long as it is let.
import json, sys, time, datetime
assert sys.argv[1:3] == ["run", "--quiet"] and sys.argv[-1].endswith("checkout.js"), sys.argv
print(json.dumps({{"type": "Metric", "metric": "http_req_duration", "data": {{"name": "http_req_duration"}}}}))
n = 0
while True:
    n += 1
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    tags = {{"status": "503", "expected_response": "false", "error_code": "1503"}} if n % 10 == 0 else \\
        {{"status": "200", "expected_response": "true"}}
    for metric, value in (("vus", 5), ("http_req_duration", 12.5)):
        point = {{"time": now, "value": value, "tags": tags if metric != "vus" else {{}}}}
        print(json.dumps({{"type": "Point", "metric": metric, "data": point}}), flush=True)
    time.sleep(0.02)
"""


async def test_a_k6_stream_is_counted(tmp_path: Path) -> None:
    """What k6 tells of each request becomes seconds of good and failed answers; k6 itself is gone at the end."""
    program = tmp_path / "bin" / "k6"
    program.parent.mkdir()
    program.write_text(K6.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "checkout.js").write_text("// the real k6 would read this\n")
    events: list[Sent] = []
    path = f"{program.parent}:{os.environ['PATH']}"
    made = Generator(
        Load(tool="k6", script="checkout.js", steps=(LoadStep(users=5),)),
        tmp_path,
        SystemClock(),
        Scrubber({}),
        {**os.environ, "PATH": path},
    )
    await made.start(events.append)
    await until(lambda: len(seconds(events)) >= 3, "three whole seconds were told")
    await made.stop()

    told = seconds(events)
    assert all(ok > failed > 0 for _, ok, failed in told)
    assert {reason for event in events if isinstance(event, Traffic) for reason in event.errors} == {"status 503"}
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(program) in words(path)]
