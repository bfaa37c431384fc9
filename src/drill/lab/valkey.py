"""Valkey with Sentinel: their configuration, and a few questions to them."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from drill.lab.process import valkey_server
from drill.lab.topology import HOME, SERVING, SOURCES, Layout

PRIMARY = "sessions"
DOWN_AFTER_MS = 2000


def write_server(layout: Layout, region: str, folder: Path, primary: str) -> list[str | Path]:
    """Write the configuration of the server in *region*, a replica unless it is the *primary*'s; how to start it."""
    lines = [
        f"bind {HOME}",
        f"port {layout.own[f'valkey-{region}']}",
        f"bind-source-addr {SOURCES[region]}",
        f"replica-announce-ip {HOME}",
        f"replica-announce-port {layout.gate('valkey', None, region)}",
        f"dir {folder}",
        'save ""',
        "appendonly no",
        "protected-mode no",
        "repl-diskless-sync-delay 0",
        "repl-timeout 10",
        "repl-ping-replica-period 1",
        "repl-backlog-size 8mb",
        "loglevel notice",
    ]
    if region != primary:
        lines.append(f"replicaof {HOME} {layout.gate('valkey', None, primary)}")
    (folder / "valkey.conf").write_text("\n".join(lines) + "\n")
    return [valkey_server(), folder / "valkey.conf"]


def write_sentinel(layout: Layout, region: str, folder: Path) -> list[str | Path]:
    """Write the configuration of the sentinel in *region* (kept when it is started again); how to start it."""
    file = folder / "sentinel.conf"
    if not file.exists():
        gate = layout.gate("valkey", None, SERVING[0])
        lines = [
            f"bind {HOME}",
            f"port {layout.own[f'sentinel-{region}']}",
            f"bind-source-addr {SOURCES[region]}",
            f"sentinel announce-ip {HOME}",
            f"sentinel announce-port {layout.gate('sentinel', None, region)}",
            f"dir {folder}",
            "protected-mode no",
            f"sentinel monitor {PRIMARY} {HOME} {gate} 2",
            f"sentinel down-after-milliseconds {PRIMARY} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {PRIMARY} 5000",
            f"sentinel parallel-syncs {PRIMARY} 1",
            # Told what it would find out by itself, but only in its own time: 2 s for others, 10 s for replicas.
            f"sentinel myid {_identity(layout, region)}",
            *(f"sentinel known-replica {PRIMARY} {HOME} {layout.gate('valkey', None, r)}" for r in SERVING[1:]),
            *(
                f"sentinel known-sentinel {PRIMARY} {HOME} {layout.gate('sentinel', None, r)} {_identity(layout, r)}"
                for r in (*SERVING, "witness")
                if r != region
            ),
        ]
        file.write_text("\n".join(lines) + "\n")
    return [valkey_server(), file, "--sentinel"]


def _identity(layout: Layout, region: str) -> str:
    """What a sentinel calls itself: forty hexadecimal digits."""
    return hashlib.sha1(str(layout.gate("sentinel", None, region)).encode(), usedforsecurity=False).hexdigest()


async def ask(port: int, *words: str, within: float = 0.5) -> str | list[str] | None:
    """
    One command to a server or sentinel: a text, a list of texts, or None for no answer or nothing.

    Nested lists are flattened.
    """
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(HOME, port)
            try:
                parts = [f"*{len(words)}\r\n"] + [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
                writer.write("".join(parts).encode())
                return await _reply(reader)
            finally:
                writer.transport.abort()
    except (OSError, EOFError, ValueError, TimeoutError):
        return None


async def _reply(reader: asyncio.StreamReader) -> str | list[str] | None:
    line = (await reader.readline()).rstrip().decode()
    if not line:
        raise EOFError
    kind, rest = line[0], line[1:]
    if kind in "+:":
        return rest
    if kind == "$":
        if rest == "-1":
            return None
        return (await reader.readexactly(int(rest) + 2))[:-2].decode()
    if kind == "*" and rest != "-1":
        found: list[str] = []
        for _ in range(int(rest)):
            item = await _reply(reader)
            found += item if isinstance(item, list) else [item or ""]
        return found
    if kind == "-":
        raise ValueError(rest)
    return None


async def information(port: int, section: str = "replication") -> dict[str, str] | None:
    """INFO of a server as a mapping, or None when it does not answer."""
    text = await ask(port, "INFO", section)
    if not isinstance(text, str):
        return None
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def primary_region(layout: Layout, sentinel: str) -> str | None:
    """Where the sentinel of one region believes the primary is."""
    address = await ask(layout.own[f"sentinel-{sentinel}"], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY)
    if not isinstance(address, list) or len(address) != 2:
        return None
    ports = {str(layout.gate("valkey", None, region)): region for region in SERVING}
    return ports.get(address[1])
