"""The lab `two-regions`, an order service in two regions with everything a failover needs, and its larger sisters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drill.lab import Lab, up

NAME = "two-regions"

# What `${…}` may name, known without starting anything.
ENDPOINTS: tuple[str, ...] = (
    "lab.folder",
    "orders.url",
    "orders-east.url",
    "orders-west.url",
    "router.url",
    "postgres.dsn",
    "postgres-east.dsn",
    "postgres-west.dsn",
    "patroni-east.url",
    "patroni-west.url",
    "valkey-east.url",
    "valkey-west.url",
    "sentinel-east.url",
    "sentinel-west.url",
)


class TwoRegions:
    """The plug-in: what the lab is called, what it offers, how it comes up."""

    name = NAME
    endpoints: tuple[str, ...] = ENDPOINTS

    async def up(
        self,
        folder: Path | None = None,
        *,
        attached: bool = True,
        progress: Callable[[str], None] = lambda sentence: None,
    ) -> Lab:
        """Bring one up; see `drill.lab.up`."""
        return await up(self.name, folder, attached=attached, progress=progress)


class WithBackup(TwoRegions):
    """The same with an archive in the witness region: base backups, and the write-ahead log as it is written."""

    name = "two-regions-backup"


class WithQueue(TwoRegions):
    """The same with a RabbitMQ cluster, one broker in each region; RabbitMQ must be installed."""

    name = "two-regions-queue"
    endpoints = (*ENDPOINTS, "rabbitmq-east.url", "rabbitmq-west.url", "rabbitmq-witness.url")
