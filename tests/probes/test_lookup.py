"""Names are looked up in threads that are used again, and that nobody waits for."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from drill.probes.lookup import lookup


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While it is not set, names ending in .invalid are looked up without end; a resolver that hangs is not at hand."""
    answers = threading.Event()
    real = socket.getaddrinfo

    def slow(host: str, *arguments: object, **named: object) -> object:
        if host.endswith(".invalid"):
            answers.wait()
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return real(host, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    yield answers
    answers.set()


def threads() -> int:
    return sum(thread.name == "lookup" for thread in threading.enumerate())


async def test_one_lookup_after_the_other_needs_one_thread() -> None:
    """Twenty in a row start at most one thread more than there were."""
    before = threads()

    found = [await lookup("127.0.0.1", 80) for _ in range(20)]

    assert {tuple(one[0][4]) for one in found} == {("127.0.0.1", 80)}
    assert threads() <= before + 1


async def test_lookups_that_hang_hold_up_nobody_else(hanging: threading.Event) -> None:
    """Up to a limit, at which this machine is to blame; given up or not, they are over when the resolver answers."""
    waiting = [asyncio.create_task(lookup("no-such-host.invalid", 80)) for _ in range(255)]
    await asyncio.sleep(0)

    assert await asyncio.wait_for(lookup("127.0.0.1", 80), 10)
    waiting.append(asyncio.create_task(lookup("no-such-host.invalid", 80)))
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="memory") as refused:
        await asyncio.wait_for(lookup("127.0.0.1", 80), 10)
    waiting[0].cancel()
    hanging.set()
    ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert refused.value.errno == errno.ENOMEM
    assert isinstance(ended[0], asyncio.CancelledError)
    assert all(isinstance(one, socket.gaierror) for one in ended[1:])
    assert await asyncio.wait_for(lookup("127.0.0.1", 80), 10)
