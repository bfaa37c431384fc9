"""Name lookup for the measuring path: anew for each connection, and a hanging one holds up nobody else."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

# The loop's own pool has a handful of threads: a few hanging lookups would stop every probe. Here each lookup has a
# thread to itself that dies with the program, up to this many at once; a thread that has nothing to do takes the next.
_MOST = 256
_room = threading.BoundedSemaphore(_MOST)
_resting: list[_Thread] = []
# Threads are not there any more in a child that was forked.
os.register_at_fork(after_in_child=_resting.clear)


class _Thread(threading.Thread):
    """Does one lookup after the other; appending to a list and popping from it need no lock."""

    def __init__(self) -> None:
        super().__init__(name="lookup", daemon=True)
        self.next: SimpleQueue[Callable[[], Callable[[], None]]] = SimpleQueue()

    def run(self) -> None:
        while True:
            tell = self.next.get()()
            # Whoever is told may want the next lookup at once.
            _resting.append(self)
            _room.release()
            tell()


async def lookup(host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[Any, ...]]:
    """
    What getaddrinfo says of *host* now, for TCP.

    Raises OSError: gaierror when the name cannot be resolved, ENOMEM when too many lookups already hang here.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()

    def settle(result: list[tuple[Any, ...]] | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    def tell(result: list[tuple[Any, ...]] | OSError) -> None:
        # When the loop has ended meanwhile, nobody waits any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result)

    def work() -> Callable[[], None]:
        result: list[tuple[Any, ...]] | OSError
        try:
            result = list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM))
        except OSError as error:
            result = error
        except UnicodeError:
            result = socket.gaierror(socket.EAI_NONAME, "not a host name")
        return partial(tell, result)

    if not _room.acquire(blocking=False):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    _idle().next.put(work)
    return await found


def _idle() -> _Thread:
    """
    A thread that has nothing to do.

    Raises OSError: There is none, and the system gives no new one.
    """
    try:
        return _resting.pop()
    except IndexError:
        pass
    try:
        thread = _Thread()
        thread.start()
    except RuntimeError as error:
        _room.release()
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
    return thread
