"""PostgreSQL under Patroni: its configuration, and what its REST interface tells."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

from drill.lab import archive
from drill.lab.process import postgres_bin, python
from drill.lab.topology import HOME, SERVING, SOURCES, Layout

# As many as the schema makes.
ARTICLES = 200

SCHEMA = (
    "create table orders (id bigint primary key, region text not null,"
    " at timestamptz not null default clock_timestamp());"
    "create table articles (id int primary key, name text not null, price int not null);"
    "insert into articles select n, 'article ' || n, 100 * n from generate_series(1, 200) as n"
)

# Patroni's smallest: a dead leader is missed for up to this long.
TTL = 20


def configuration(layout: Layout, region: str, folder: Path, backup: Path | None = None) -> dict[str, Any]:
    """
    Patroni's configuration of the member in *region*, whose folder is *folder*.

    A new cluster begins empty, or with a base *backup* and all of the archived log that follows it.
    """
    other = next(name for name in SERVING if name != region)
    everyone = {"username": "postgres"}
    config: dict[str, Any] = {
        "scope": "orders",
        "name": f"postgres-{region}",
        "log": {"level": "INFO"},
        "restapi": {
            "listen": f"{HOME}:{layout.own[f'patroni-{region}']}",
            "connect_address": f"{HOME}:{layout.gate('patroni', other, region)}",
        },
        "raft": {**raft(layout, region), "data_dir": str(folder / "raft")},
        "postgresql": {
            "listen": f"{HOME}:{layout.own[f'postgres-{region}']}",
            "connect_address": f"{HOME}:{layout.gate('postgres', other, region)}",
            "data_dir": str(folder / "data"),
            "bin_dir": str(postgres_bin()),
            "pgpass": str(folder / "pgpass"),
            "authentication": {"superuser": everyone, "replication": everyone, "rewind": everyone},
            "pg_hba": ["host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"],
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "parameters": {"unix_socket_directories": ""},
        },
    }
    if region == SERVING[0]:
        # Only this one may begin the cluster, so that the lab always starts the same way.
        config["bootstrap"] = {"dcs": _dcs(), **(_new() if backup is None else _restored(backup, folder / "data"))}
    return config


def _new() -> dict[str, Any]:
    psql = [str(postgres_bin() / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-c", SCHEMA]
    return {
        "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}, "data-checksums", "no-sync"],
        "post_init": shlex.join(psql),
    }


def _restored(backup: Path, data: Path) -> dict[str, Any]:
    return {
        "method": "archive",
        "archive": {
            "command": shlex.join(["cp", "-a", str(backup), str(data)]),
            "no_params": True,
            "recovery_conf": {
                "restore_command": archive.restore_command(backup.parent),
                "recovery_target_timeline": "latest",
                "recovery_target_action": "promote",
            },
        },
    }


def _dcs() -> dict[str, Any]:
    return {
        "ttl": TTL,
        "loop_wait": 1,
        "retry_timeout": 3,
        "primary_start_timeout": 0,
        "maximum_lag_on_failover": 1 << 30,
        "synchronous_mode": False,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": 60,
                "shared_buffers": "16MB",
                "wal_level": "replica",
                "wal_keep_size": "256MB",
                "max_wal_senders": 8,
                "max_replication_slots": 5,
                "synchronous_commit": "on",
                "wal_receiver_status_interval": "1s",
                "wal_sender_timeout": "10s",
                "wal_receiver_timeout": "10s",
                "wal_retrieve_retry_interval": "500ms",
                "autovacuum": "off",
                "jit": "off",
            },
        },
    }


def raft(layout: Layout, region: str) -> dict[str, Any]:
    """How one node of the raft group listens, and what it and the others are called."""
    named = {name: f"{HOME}:{layout.gate('raft', None, name)}" for name in (*SERVING, "witness")}
    return {
        "self_addr": named[region],
        "bind_addr": f"{HOME}:{layout.own[f'raft-{region}']}",
        "partner_addrs": [address for name, address in named.items() if name != region],
    }


def write(layout: Layout, region: str, folder: Path, backup: Path | None = None) -> list[str | Path]:
    """Write the files of a member (or of the witness) and return how to start it; *backup* as in `configuration`."""
    (folder / "raft").mkdir(exist_ok=True)
    if region in SERVING:
        config = configuration(layout, region, folder, backup)
    else:
        config = {"raft": {**raft(layout, region), "data_dir": str(folder / "raft")}}
    # JSON is YAML.
    (folder / "patroni.yml").write_text(json.dumps(config, indent=1))
    return python("drill.lab.patroni", "member" if region in SERVING else "witness", SOURCES[region], "patroni.yml")


async def rest(port: int, path: str = "/patroni", within: float = 1.0) -> dict[str, Any] | None:
    """What Patroni says of its member, or None when it does not answer in time."""
    try:
        async with asyncio.timeout(within):
            _, body = await get(port, path)
        found = json.loads(body)
    except (OSError, ValueError, EOFError, TimeoutError):
        return None
    return found if isinstance(found, dict) else None


async def get(port: int, path: str) -> tuple[int, bytes]:
    """The smallest HTTP GET: status and body. Raises OSError, ValueError or EOFError; the caller sets the deadline."""
    return await _request(port, f"GET {path}", b"")


async def post(port: int, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """The same for POST of a JSON body."""
    return await _request(port, f"POST {path}", json.dumps(body).encode())


async def _request(port: int, what: str, body: bytes) -> tuple[int, bytes]:
    head = f"{what} HTTP/1.0\r\nHost: {HOME}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection(HOME, port)
    try:
        writer.write(head.encode() + body)
        answer = await reader.read(-1)
    finally:
        writer.transport.abort()
    first, _, content = answer.partition(b"\r\n\r\n")
    return int(first.split(None, 2)[1] if first.count(b" ") else b""), content


def position(xlog: Any) -> int | None:
    """The write-ahead log position in Patroni's answer: a primary's written one, a replica's received one; bytes."""
    if not isinstance(xlog, dict):
        return None
    found = xlog.get("location", xlog.get("received_location"))
    return found if isinstance(found, int) else None
