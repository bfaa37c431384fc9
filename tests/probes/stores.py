"""Real PostgreSQL and Valkey servers on loopback, to be frozen, killed and demoted."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drill.lab import process
from tests.probes.servers import closed_port


@dataclass
class Server:
    """A server whose processes are all those marked with its folder."""

    folder: Path
    port: int

    def freeze(self) -> None:
        process.signal_all(self.folder, signal.SIGSTOP)

    def thaw(self) -> None:
        process.signal_all(self.folder, signal.SIGCONT)

    def kill(self) -> None:
        process.sweep(self.folder)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self.freeze()
        try:
            yield
        finally:
            self.thaw()


class Postgres(Server):
    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def sql(self, query: str) -> str:
        psql = [
            process.postgres_bin() / "psql",
            "-XAtqc",
            query,
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "postgres",
        ]
        return subprocess.run(psql, check=True, capture_output=True, text=True, timeout=20).stdout.strip()

    def start(self) -> None:
        start = [process.postgres_bin() / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        process.start([*start, "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"], self.folder, postgres=True)
        ready = [process.postgres_bin() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait(lambda: subprocess.run(ready, check=False).returncode == 0, self)


class Valkey(Server):
    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--save", "", "--repl-diskless-sync-delay", "0"]
        process.start([process.valkey_server(), *options], self.folder)
        wait(lambda: self.command("PING").startswith("+PONG"), self)

    def command(self, *words: str) -> str:
        """What the server answers, as it comes over the wire."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(" ".join(words).encode() + b"\r\n")
                return connection.recv(65536).decode()
        except OSError as error:
            return str(error)


def wait(true: Callable[[], bool], server: Server, within: float = 30) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, process.tail(server.folder / "log")
        time.sleep(0.02)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A new, empty PostgreSQL."""
    server = Postgres(folder, closed_port())
    process.account().own(folder)
    initdb = [process.postgres_bin() / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync"]
    process.run_postgres_tool(initdb, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def replica(primary: Postgres, folder: Path, name: str) -> Iterator[Postgres]:
    """A streaming standby of *primary*."""
    server = Postgres(folder, closed_port())
    process.account().own(folder)
    source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}"
    backup = [process.postgres_bin() / "pg_basebackup", "-D", folder / "data", "-d", source, "-R", "-c", "fast"]
    process.run_postgres_tool([*backup, "--no-sync"], folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def valkey(folder: Path) -> Iterator[Valkey]:
    """A new, empty Valkey."""
    server = Valkey(folder, closed_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
