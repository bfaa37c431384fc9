"""Real RabbitMQ and Prometheus servers on loopback, where the system has them."""

from __future__ import annotations

import glob
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from drill.lab import process
from tests.probes.servers import closed_port
from tests.probes.stores import Server, wait


class Rabbitmq(Server):
    """One node with an epmd of its own."""

    def __init__(self, folder: Path, programs: Path) -> None:
        super().__init__(folder, closed_port())
        self.programs = programs
        self._environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(closed_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "drill@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(closed_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # Otherwise a shell stands between us and the node, and waits for it.
            "RUNNING_UNDER_SYSTEMD": "1",
        }
        (folder / "plugins").write_text("[].")
        cookie = folder / ".erlang.cookie"
        cookie.write_text("drill")
        cookie.chmod(0o400)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        process.start([self.programs / "rabbitmq-server"], self.folder, env=self._environment)
        log = self.folder / "log"
        begun = log.read_text().count("Server startup complete") if log.exists() else 0
        wait(lambda: log.read_text().count("Server startup complete") > begun, self, within=90)

    def registered(self, queue: str) -> None:
        """
        Wait until a quorum queue is on disk with all that belongs to it.

        The messages are at once; the register of queues half a second later, and without it there is never a leader.
        """
        kept = sorted((self.folder / "mnesia").glob("*/quorum/*/*.dets"))
        assert kept
        wait(lambda: all(queue.encode() in file.read_bytes() for file in kept), self)

    def control(self, *words: str) -> None:
        """rabbitmqctl; a second or two each."""
        env = {**process._environment(), **self._environment}
        subprocess.run([self.programs / "rabbitmqctl", *words], env=env, check=True, capture_output=True, timeout=60)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Rabbitmq]:
    """A new, empty RabbitMQ; the test is skipped where it is not installed."""
    # Debian's own /usr/sbin/rabbitmq-server insists on being root or the user rabbitmq.
    found = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
    if not found:
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    node = Rabbitmq(folder, Path(sorted(found)[-1]))
    try:
        node.start()
        yield node
    finally:
        node.kill()


class Prometheus(Server):
    """Scrapes one address every second."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        where = [f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'data'}"]
        process.start(["prometheus", *where, f"--web.listen-address=127.0.0.1:{self.port}"], self.folder)

    def knows(self, selector: str) -> bool:
        try:
            with urlopen(f"{self.url}/api/v1/query?query={selector}", timeout=5) as answer:
                return bool(json.load(answer)["data"]["result"])
        except OSError:
            return False


@contextmanager
def prometheus(folder: Path, scraped: int) -> Iterator[Prometheus]:
    """A new Prometheus that scrapes a port of loopback; the test is skipped where it is not installed."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus")
    server = Prometheus(folder, closed_port())
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: lab, static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]}}]\n"
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()
