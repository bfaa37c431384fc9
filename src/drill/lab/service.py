"""
The order service of one region.

    python -m drill.lab.service

    POST /orders {"id": 7}            201 {"id", "served_by"}; 409 known already; 503 surely not written;
                                      504 nobody knows (the database went away in between)
    GET  /orders/latest               {"id", "database", "cache": hit|miss|unavailable, "region", "served_by"}
    GET  /orders/ids?since=1&limit=9  {"ids": […], "complete", "served_by"}, from the primary
    GET  /articles/7                  {"id", "name", "price", "cache", "hit": 1|0, "region", "served_by"}; 404
    GET  /articles/any                the same for one picked at random, as many customers would
    GET  /health                      200 or 503 {"status", "database", "cache", "region", "database_reads_per_s"}

It finds the primary of the database itself and the cache's by Sentinel.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drill.lab.database import Ambiguous, Database, Duplicate, Unavailable
from drill.lab.postgres import ARTICLES
from drill.lab.sessions import Cache
from drill.lab.topology import HOME

if TYPE_CHECKING:
    from aiohttp import web

_LATEST = "orders:latest"
_FRESH_MS = 1000
# Spread, so that what was cached together does not expire together.
_ARTICLE_FRESH_MS = (30_000, 90_000)
_ASK_EVERY = 0.2


class Orders:
    """The handlers of one region."""

    def __init__(self, region: str, database: Database, cache: Cache) -> None:
        self.region = region
        self.database = database
        self.cache = cache

    async def create(self, request: web.Request) -> web.Response:
        try:
            order = int((await request.json())["id"])
        except (ValueError, TypeError, KeyError):
            return _json({"error": "an order has an id, a number"}, 400)
        try:
            served_by = await self.database.insert(order, self.region)
        except Duplicate:
            return _json({"error": f"order {order} is known already"}, 409)
        except Ambiguous as error:
            return _json({"error": str(error), "outcome": "unknown"}, 504)
        except Unavailable as error:
            return _json({"error": str(error)}, 503)
        return _json({"id": order, "served_by": served_by}, 201)

    async def latest(self, request: web.Request) -> web.Response:
        cached = await self.cache.get(_LATEST)
        served_by = self.database.primary
        if cached.value is not None and served_by is not None:
            found: dict[str, Any] = {"id": json.loads(cached.value), "database": "connected", "cache": "hit"}
        else:
            try:
                order, served_by = await self.database.latest()
            except Unavailable as error:
                return _json({"error": str(error), "database": "unavailable", "region": self.region}, 503)
            if cached.available:
                await self.cache.put(_LATEST, json.dumps(order), _FRESH_MS)
            found = {"id": order, "database": "connected", "cache": "miss" if cached.available else "unavailable"}
        return _json({**found, "region": self.region, "served_by": served_by})

    async def article(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        # Which one is no secret.
        number = random.randint(1, ARTICLES) if wanted == "any" else int(wanted)  # noqa: S311
        cached = await self.cache.get(_article(number))
        if cached.value is not None:
            found, served_by = json.loads(cached.value), self.database.primary
        else:
            try:
                found, served_by = await self.database.article(number)
            except Unavailable as error:
                return _json({"error": str(error), "database": "unavailable", "region": self.region}, 503)
            if found is None:
                return _json({"error": f"there is no article {number}"}, 404)
            if cached.available:
                await self.cache.put(_article(number), json.dumps(found), _article_fresh())
        how = "hit" if cached.value is not None else "miss" if cached.available else "unavailable"
        answer = {**found, "cache": how, "hit": int(how == "hit"), "region": self.region, "served_by": served_by}
        return _json(answer)

    async def warm(self) -> None:
        """Once database and cache are there, fill the cache with the articles it lacks."""
        while not (self.database.primary and self.cache.reachable):  # noqa: ASYNC110  two watchers know, neither tells
            await asyncio.sleep(_ASK_EVERY)
        try:
            articles = await self.database.articles()
        except Unavailable:
            return  # then customers fill it
        for each in articles:
            # As if customers had filled it little by little, long before.
            left = random.randint(1, _article_fresh())  # noqa: S311  nothing secret
            await self.cache.put(_article(each["id"]), json.dumps(each), left, only_new=True)

    async def ids(self, request: web.Request) -> web.Response:
        try:
            since = int(request.query.get("since", "0"))
            limit = int(request.query.get("limit", "1000000"))
        except ValueError:
            return _json({"error": "since and limit are numbers"}, 400)
        try:
            found, served_by = await self.database.ids(since, limit)
        except Unavailable as error:
            return _json({"error": str(error)}, 503)
        return _json({"ids": found, "complete": len(found) < limit, "served_by": served_by})

    async def health(self, request: web.Request) -> web.Response:
        primary = self.database.primary
        answer = {
            "status": "healthy" if primary else "unhealthy",
            "database": "connected" if primary else "unavailable",
            "cache": "connected" if self.cache.reachable else "unavailable",
            "region": self.region,
            "served_by": primary,
            "database_reads_per_s": self.database.reads_per_s(),
        }
        return _json(answer, 200 if primary else 503)


def _article(number: int) -> str:
    return f"article:{number}"


def _article_fresh() -> int:
    return random.randint(*_ARTICLE_FRESH_MS)  # noqa: S311  nothing secret


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    from aiohttp import web

    headers = {"X-Served-By": str(value["served_by"])} if value.get("served_by") else None
    return web.json_response(value, status=status, headers=headers)


async def main(config: dict[str, Any]) -> None:
    from aiohttp import web

    region = config["region"]
    database = Database({node: (HOME, port) for node, port in config["databases"].items()})
    cache = Cache(region, (HOME, config["sentinel"]))
    orders = Orders(region, database, cache)
    app = web.Application()
    app.add_routes(
        [
            web.post("/orders", orders.create),
            web.get("/orders/latest", orders.latest),
            web.get("/orders/ids", orders.ids),
            web.get(r"/articles/{id:any|\d{1,9}}", orders.article),
            web.get("/health", orders.health),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOME, config["port"]).start()
    print(f"{time.strftime('%H:%M:%S')} serving {region} on port {config['port']}", flush=True)
    async with asyncio.TaskGroup() as watching:
        watching.create_task(database.watch())
        watching.create_task(cache.watch())
        watching.create_task(orders.warm())


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path("service.json").read_text())))
