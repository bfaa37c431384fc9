"""The lab `two-regions`: an order service in two regions, with everything a failover needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drill.lab import Lab, up

NAME = "two-regions"

# What `${…}` may name, known without starting anything.
ENDPOINTS = (
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
    endpoints = ENDPOINTS

    async def up(
        self,
        folder: Path | None = None,
        *,
        attached: bool = True,
        progress: Callable[[str], None] = lambda sentence: None,
    ) -> Lab:
        """Bring one up; see `drill.lab.up`."""
        return await up(NAME, folder, attached=attached, progress=progress)
