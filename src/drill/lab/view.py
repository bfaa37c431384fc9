"""What the lab looks like: roles, lag, who serves, what is missing; and marks for what changed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault
from drill.lab import archive, control, postgres, rabbitmq, valkey
from drill.lab.topology import SERVING, Layout, Member

_PRIMARY = ("primary", "master")
_LEADER_EVERY = 0.15
# Each question to the brokers is a program of its own.
_CLUSTER_EVERY_NS = 700_000_000


@dataclass(slots=True)
class View:
    """
    One look at every member that can answer; None stands for no answer.

    Attributes:
        postgres: What Patroni says, by region.

        valkey: INFO replication, by region.

        believed: Where each sentinel believes the cache's primary is, by the sentinel's region.

        others: How many replicas and other sentinels each sentinel knows.

        orders: What /health of each service says, with its status.

        router: What the router says.

        archived: Whether the archive has a base backup that its log goes on from; None where there is no archive.

        brokers: The regions that have a broker.

        cluster: What the brokers say of themselves.

        asked, answered: When the look began and ended, monotonic nanoseconds.
    """

    postgres: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    valkey: dict[str, dict[str, str] | None] = field(default_factory=dict)
    believed: dict[str, str | None] = field(default_factory=dict)
    others: dict[str, tuple[int, int]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    router: dict[str, Any] | None = None
    archived: bool | None = None
    brokers: tuple[str, ...] = ()
    cluster: rabbitmq.Cluster = field(default_factory=rabbitmq.Cluster)
    asked: int = 0
    answered: int = 0

    # --- who is what ----------------------------------------------------------------------------------------------

    def database_primary(self) -> str | None:
        """The region that leads; of two that believe so, the one with the newer timeline."""
        leading = {r: found for r, found in self.postgres.items() if found and found.get("role") in _PRIMARY}
        return max(leading, key=lambda region: int(leading[region].get("timeline") or 0), default=None)

    def cache_primary(self) -> str | None:
        """The region most sentinels name, those in doubt asked of the servers themselves."""
        named = [region for region in self.believed.values() if region]
        if named:
            return max(sorted(set(named)), key=named.count)
        return next((r for r, found in self.valkey.items() if found and found.get("role") == "master"), None)

    def roles(self) -> dict[str, str]:
        """Member name → primary or replica (databases and caches), active or passive (services)."""
        found: dict[str, str] = {}
        for kind, primary in (("postgres", self.database_primary()), ("valkey", self.cache_primary())):
            if primary:
                found |= {f"{kind}-{r}": "primary" if r == primary else "replica" for r in SERVING}
        leads = [queue.leader for queue in self.cluster.queues]
        if leads:
            leader = max(sorted(set(leads)), key=leads.count)
            found |= {f"rabbitmq-{r}": "leader" if r == leader else "follower" for r in self.brokers}
        if self.router:
            found |= {f"orders-{r}": "active" if r == self.router["active"] else "passive" for r in SERVING}
        return found

    # --- what is missing ------------------------------------------------------------------------------------------

    def missing(self, members: list[Member] | None = None) -> list[str]:
        """Sentences on what keeps these members (default: all) from being whole; empty when nothing does."""
        said = [*self._missing_database(), *self._missing_archive(), *self._missing_cache()]
        said += [*self._missing_brokers(), *self._missing_service()]
        names = None if members is None else {member.name for member in members}
        return [sentence for name, sentence in said if names is None or name in names]

    def _missing_database(self) -> list[tuple[str, str]]:
        primary = self.database_primary()
        said = []
        for region in SERVING:
            name, found = f"postgres-{region}", self.postgres.get(region)
            if found is None:
                said.append((name, f"{name} does not answer"))
            elif primary is None:
                said.append((name, "no PostgreSQL is primary"))
            elif region != primary and found.get("replication_state") != "streaming":
                said.append((name, f"{name} is {found.get('state')}, not streaming from postgres-{primary}"))
            elif region == primary and found.get("state") != "running":
                said.append((name, f"{name} is {found.get('state')}"))
        return said

    def _missing_archive(self) -> list[tuple[str, str]]:
        primary = self.database_primary()
        if self.archived is None or primary is None:
            return []
        if not self.archived:
            return [("archive", "archive has no base backup yet")]
        streams = (self.postgres[primary] or {}).get("replication") or []
        if any(each.get("application_name") == archive.NAME and each.get("state") == "streaming" for each in streams):
            return []
        return [("archive", f"archive does not receive the log of postgres-{primary}")]

    def _missing_cache(self) -> list[tuple[str, str]]:
        primary = self.cache_primary()
        said = []
        for region in SERVING:
            name, found = f"valkey-{region}", self.valkey.get(region)
            if found is None:
                said.append((name, f"{name} does not answer"))
            elif region == primary and found.get("role") != "master":
                said.append((name, f"{name} is not the primary the sentinels name"))
            elif region != primary and found.get("master_link_status") != "up":
                said.append((name, f"{name} is not in sync with the primary"))
        for region, believed in self.believed.items():
            name = f"sentinel-{region}"
            if believed is None:
                said.append((name, f"{name} does not answer"))
            elif believed != primary:
                said.append((name, f"{name} names another primary"))
            elif self.others.get(region) != (1, 2):
                said.append((name, f"{name} does not know one replica and two other sentinels yet"))
        return said

    def _missing_brokers(self) -> list[tuple[str, str]]:
        said = []
        for region in self.brokers:
            name = f"rabbitmq-{region}"
            if region not in self.cluster.running:
                said.append((name, f"{name} is not in the cluster"))
                continue
            lacks = [queue.name for queue in self.cluster.queues if queue.quorum and region not in queue.online]
            said += [(name, f"{name} has no replica of the queue {queue}") for queue in lacks]
        return said

    def _missing_service(self) -> list[tuple[str, str]]:
        said = []
        for region, found in self.orders.items():
            name = f"orders-{region}"
            if found is None:
                said.append((name, f"{name} does not answer"))
            elif found.get("status") != "healthy" or found.get("cache") != "connected":
                said.append((name, f"{name}: database {found.get('database')}, cache {found.get('cache')}"))
        if self.router is None:
            said.append(("router", "the router does not answer"))
        else:
            if self.router["blackhole"]:
                said.append(("router", "the router answers nobody"))
            ill = [region for region, state in self.router["regions"].items() if not state["healthy"]]
            if self.router["active"] in ill:
                said.append(("router", f"the router finds {self.router['active']} unhealthy"))
        return said

    # --- for people -----------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Roles, lag and who serves, for `drill lab status`."""
        roles = self.roles()
        primary = self.database_primary()
        head = postgres.position((self.postgres.get(primary or "") or {}).get("xlog"))
        databases = []
        for region in SERVING:
            found = self.postgres.get(region)
            row: dict[str, Any] = {"member": f"postgres-{region}", "region": region, "answers": found is not None}
            row["role"] = roles.get(f"postgres-{region}") if found else None
            row["state"] = (found.get("replication_state") or found.get("state")) if found else None
            row["timeline"] = found.get("timeline") if found else None
            row["lag_bytes"], row["lag_s"] = (None, None) if region == primary else _lag(found, head)
            databases.append(row)
        caches = [
            {
                "member": f"valkey-{region}",
                "region": region,
                "answers": found is not None,
                "role": roles.get(f"valkey-{region}") if found else None,
                "link": found.get("master_link_status") if found else None,
                "lag_bytes": self._cache_lag(region),
            }
            for region, found in self.valkey.items()
        ]
        return {
            "serving": (self.orders.get((self.router or {}).get("active", "")) or {}).get("served_by"),
            "active": self.router["active"] if self.router else None,
            "healthy": not self.missing(),
            "missing": self.missing(),
            "databases": databases,
            "caches": caches,
            "brokers": [
                {
                    "member": f"rabbitmq-{region}",
                    "region": region,
                    "answers": region in self.cluster.running,
                    "role": roles.get(f"rabbitmq-{region}"),
                    "leads": [queue.name for queue in self.cluster.queues if queue.leader == region],
                }
                for region in self.brokers
            ],
            "sentinels": [{"member": f"sentinel-{r}", "names": named} for r, named in self.believed.items()],
            "services": [
                {"member": f"orders-{region}", "region": region, "answers": found is not None, **(found or {})}
                for region, found in self.orders.items()
            ],
            "router": self.router,
        }

    def _cache_lag(self, region: str) -> int | None:
        primary = self.cache_primary()
        head, own = self.valkey.get(primary or ""), self.valkey.get(region)
        if not head or not own or region == primary or own.get("role") == "master":
            return None
        return max(0, int(head.get("master_repl_offset", 0)) - int(own.get("slave_repl_offset", 0)))


def _lag(found: dict[str, Any] | None, head: int | None) -> tuple[int | None, float | None]:
    """How far a replica is behind, in bytes, and how old the newest change it applied is, in seconds."""
    here = postgres.position((found or {}).get("xlog"))
    if found is None or head is None or here is None:
        return None, None
    behind = max(0, head - here)
    if behind == 0:
        return 0, 0.0
    stamp = found["xlog"].get("replayed_timestamp")
    try:
        then = datetime.fromisoformat(str(stamp))
    except ValueError:
        return behind, None
    return behind, max(0.0, (datetime.now(UTC) - then.astimezone(UTC)).total_seconds())


class Watcher:
    """Looks at the lab in *folder* again and again, and marks what changes."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = folder
        self._layout = layout
        self._timeline = 0
        self._whole: bool | None = None
        self._whole_asked = 0
        self._cached: str | None = None
        self._cached_asked = 0
        self._cluster = rabbitmq.Cluster()
        self._cluster_asked: int | None = None

    async def look(self) -> View:
        """Ask everybody at once; takes a second at most."""
        own = self._layout.own
        view = View(asked=time.monotonic_ns())
        view.brokers = tuple(member.region for member in self._layout.having("rabbitmq"))
        if self._layout.having("archive"):
            view.archived = archive.protected(self._folder / "archive")

        async def databases(region: str) -> None:
            view.postgres[region] = await postgres.rest(own[f"patroni-{region}"])

        async def caches(region: str) -> None:
            view.valkey[region] = await valkey.information(own[f"valkey-{region}"])

        async def sentinels(region: str) -> None:
            view.believed[region] = await valkey.primary_region(self._layout, region)
            found = await valkey.ask(own[f"sentinel-{region}"], "SENTINEL", "MASTER", valkey.PRIMARY)
            pairs = dict(zip(found[::2], found[1::2], strict=False)) if isinstance(found, list) else {}
            view.others[region] = (int(pairs.get("num-slaves", 0)), int(pairs.get("num-other-sentinels", 0)))

        async def services(region: str) -> None:
            view.orders[region] = None
            try:
                async with asyncio.timeout(1):
                    _, body = await postgres.get(own[f"orders-{region}"], "/health")
                    view.orders[region] = json.loads(body)
            except (OSError, ValueError, EOFError, TimeoutError):
                pass

        async def router() -> None:
            try:
                view.router = await control.ask(self._folder / "router", {"verb": "status"}, within=1)
            except EnvironmentFault:
                view.router = None

        async def brokers() -> None:
            if self._cluster_asked is None or view.asked - self._cluster_asked > _CLUSTER_EVERY_NS:
                self._cluster_asked = view.asked
                self._cluster = await rabbitmq.cluster(self._layout)
            view.cluster = self._cluster

        jobs = [ask(region) for ask in (databases, caches, services) for region in SERVING]
        jobs += [sentinels(region) for region in (*SERVING, "witness")]
        await asyncio.gather(*jobs, router(), brokers())
        # In the order of the regions, not of the answers.
        for part in (view.postgres, view.valkey, view.orders, view.believed):
            ordered = dict(sorted(part.items()))
            part.clear()
            part.update(ordered)  # type: ignore[arg-type]  # one of four types, the same before and after
        view.answered = time.monotonic_ns()
        return view

    async def follow_leader(self, region: str) -> None:
        """
        Ask one Patroni for ever whether its PostgreSQL is primary, and mark the moment it became so.

        The window runs from the last question answered no to the first answer yes; no answer tells nothing.
        """
        port = self._layout.own[f"patroni-{region}"]
        last_no = None
        while True:
            asked = time.monotonic_ns()
            found = await postgres.rest(port, within=0.5)
            # Of a PostgreSQL that does not run, Patroni tells what it was.
            runs = found is not None and found.get("state") == "running"
            if found is not None and runs and found.get("role") in _PRIMARY:
                timeline = int(found.get("timeline") or 0)
                if last_no is not None and timeline > self._timeline:
                    text = f"postgres-{region} is primary on timeline {timeline}"
                    control.mark(self._folder, "promoted", "patroni", text, lower=last_no)
                self._timeline = max(self._timeline, timeline)
                last_no = None
            elif runs:
                last_no = asked
            await asyncio.sleep(_LEADER_EVERY)

    def note(self, view: View) -> None:
        """Mark a new primary of the cache, and a lab that is whole again, since the last look."""
        cached = view.cache_primary()
        if cached is not None:
            if self._cached is not None and cached != self._cached:
                self._mark("decided", "sentinel", f"valkey-{cached} is the cache's primary", self._cached_asked, view)
            self._cached, self._cached_asked = cached, view.asked
        whole = not view.missing()
        if whole and self._whole is False:
            self._mark("redundant", "lab", "every member is back and in sync", self._whole_asked, view)
        self._whole, self._whole_asked = whole, view.asked

    def _mark(self, name: str, source: str, text: str, lower: int, view: View) -> None:
        control.mark(self._folder, name, source, text, lower=lower, upper=view.answered)
