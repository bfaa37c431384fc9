"""One JSON line asks, one JSON line answers, over a Unix socket; and the file of marks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault

SOCKET = "control"
MARKS = "marks.jsonl"

Request = dict[str, Any]
Answer = dict[str, Any]


async def serve(folder: Path, answer: Callable[[Request], Awaitable[Answer]]) -> asyncio.Server:
    """Listen in *folder*; an EnvironmentFault or a wrong argument becomes {"error": sentence}."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    reply = await answer(json.loads(line))
                except (EnvironmentFault, OSError, ValueError, KeyError, TypeError) as error:
                    reply = {"error": str(error) if isinstance(error, EnvironmentFault) else repr(error)}
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except OSError:
            pass  # whoever asked has gone
        finally:
            writer.close()

    with _short(folder) as path:
        return await asyncio.start_unix_server(talk, path)


async def ask(folder: Path, request: Request, *, within: float = 10) -> Answer:
    """
    Ask whoever listens in *folder*.

    Raises:
        EnvironmentFault: Nobody listens, no answer came within *within* seconds, or the answer is an error.
    """
    try:
        async with asyncio.timeout(within):
            with _short(folder) as path:
                reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                return _read(await reader.readline(), folder)
            finally:
                writer.close()
    except TimeoutError as error:
        raise _late(folder, request, within) from error
    except OSError as error:
        raise _absent(folder, error) from error


def ask_now(folder: Path, request: Request, *, within: float = 10) -> Answer:
    """The same for code that is not asynchronous."""
    try:
        with socket.socket(socket.AF_UNIX) as line, _short(folder) as path:
            line.settimeout(within)
            line.connect(path)
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as answers:
                return _read(answers.readline(), folder)
    except TimeoutError as error:
        raise _late(folder, request, within) from error
    except OSError as error:
        raise _absent(folder, error) from error


def _read(line: bytes, folder: Path) -> Answer:
    if not line:
        raise EnvironmentFault(f"the lab in {folder} ended while it was asked")
    try:
        found: Answer = json.loads(line)
    except ValueError as error:
        raise EnvironmentFault(f"the lab in {folder} ended while it answered") from error
    if "error" in found:
        raise EnvironmentFault(found["error"])
    return found


def _late(folder: Path, request: Request, within: float) -> EnvironmentFault:
    return EnvironmentFault(f"the lab in {folder} did not answer {request.get('verb')} within {within:g} s")


def _absent(folder: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"no lab answers in {folder}: {error.strerror or error}", hint="drill lab up")


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """The socket's path through a descriptor: the address of a Unix socket holds 107 bytes only."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def mark(lab: Path, name: str, source: str, text: str, *, lower: int, upper: int | None = None) -> None:
    """
    Write down that *name* happened between two monotonic instants (nanoseconds).

    Every process of the lab may; a line is one write, so none is torn.
    """
    line = {"name": name, "lower": lower, "upper": time.monotonic_ns() if upper is None else upper}
    data = json.dumps({**line, "source": source, "text": text}).encode() + b"\n"
    descriptor = os.open(lab / MARKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def marks(lab: Path, since: int = 0) -> list[dict[str, Any]]:
    """Every mark that may lie after *since* (monotonic nanoseconds), oldest first."""
    try:
        lines = (lab / MARKS).read_text().splitlines()
    except FileNotFoundError:
        return []
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return sorted((entry for entry in found if entry["upper"] >= since), key=lambda entry: int(entry["lower"]))
