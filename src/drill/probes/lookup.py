"""Name lookup for the measuring path: anew for each connection, and a hanging one holds up nobody else."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from typing import Any

# The loop's own pool has a handful of threads: a few hanging lookups would stop every probe. Each lookup gets a
# thread that dies with the program instead, up to this many at once.
_MOST = 256
_room = threading.BoundedSemaphore(_MOST)


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

    def work() -> None:
        result: list[tuple[Any, ...]] | OSError
        try:
            result = list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM))
        except OSError as error:
            result = error
        except UnicodeError:
            result = socket.gaierror(socket.EAI_NONAME, "not a host name")
        finally:
            _room.release()
        try:
            loop.call_soon_threadsafe(settle, result)
        except RuntimeError:
            # The loop has ended meanwhile; nobody waits any more.
            return

    if not _room.acquire(blocking=False):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    try:
        threading.Thread(target=work, name=f"lookup {host}", daemon=True).start()
    except RuntimeError as error:
        _room.release()
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
    return await found
