"""The lab as a whole: it comes up, it fails over, and nothing of it is ever left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from drill.errors import EnvironmentFault
from drill.lab import find, process, running, up

pytestmark = pytest.mark.lab

# One number for slow machines.
PATIENCE = float(os.environ.get("DRILL_TEST_PATIENCE", "1"))
# What else this machine had to do while the lab came up.
BUSY = 2 * os.getloadavg()[0] / (os.cpu_count() or 1)

OWNER = """
import asyncio, resource, sys, time
from pathlib import Path
from drill.lab import up
if sys.argv[1] == "cramped":
    # No file may grow over 4 MB: PostgreSQL cannot even begin.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, 1 << 22))
lab = asyncio.run(up("of a test", Path(sys.argv[2]), attached=sys.argv[1] != "detached"))
print(lab.folder, flush=True)
if sys.argv[1] != "detached":
    time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Starts a process that brings up a lab in `tmp_path / "lab"` and says so."""
    started = []

    def start(mode="attached"):
        process_ = subprocess.Popen(
            [sys.executable, "-c", OWNER, mode, tmp_path / "lab"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process_)
        return process_

    yield start
    for each in started:
        each.kill()
        each.communicate()


async def has_arrived(number, dsn):
    """An order is in the database at *dsn*."""
    connection = await asyncpg.connect(dsn)
    end = time.monotonic() + 10 * PATIENCE
    while not await connection.fetchval("SELECT count(*) FROM orders WHERE id = $1", number):
        assert time.monotonic() < end, f"order {number} arrives"
        await asyncio.sleep(0.05)
    await connection.close()


async def until(true, what, within=10.0):
    end = time.monotonic() + within * PATIENCE
    while not true():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.05)


def traces(folder):
    """What is left of a lab: its processes, its janitor, its folder, and how it is found."""
    janitors = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"drill.lab.janitor" in words and os.fsencode(folder) in words:
                janitors.append(int(entry))
    return [*process.belonging(folder), *janitors, *([folder] if folder.exists() else [])]


async def order(url, number):
    async with aiohttp.ClientSession() as session, session.post(f"{url}/orders", json={"id": number}) as answer:
        return answer.status, await answer.json()


async def latest(url):
    async with aiohttp.ClientSession() as session, session.get(f"{url}/orders/latest") as answer:
        return answer.status, await answer.json()


async def test_it_comes_up_whole_with_east_in_charge():
    """Everything of a new lab runs, east is primary and serves, west follows without lag."""
    lab = await up()
    try:
        status = await lab.status()
    finally:
        await lab.down()

    assert status["healthy"], status["missing"]
    assert [(row["role"], row["state"]) for row in status["databases"]] == [
        ("primary", "running"),
        ("replica", "streaming"),
    ]
    assert [row["role"] for row in status["caches"]] == ["primary", "replica"]
    assert (status["active"], status["serving"]) == ("east", "east/postgres-east/1")
    assert all(state["state"] == "running" and state["pids"] for state in status["processes"].values())
    assert lab.seconds < 15 * max(PATIENCE, BUSY)


async def test_an_order_is_taken_once_and_read_back(lab):
    """201 with who took it, 409 for the same again, and the latest is read, the second time from the cache."""
    url = lab.endpoints["orders.url"]
    number = time.time_ns() // 1000

    status, taken = await order(url, number)
    assert (status, taken["id"]) == (201, number)
    assert taken["served_by"].split("/")[1].startswith("postgres-")
    assert (await order(url, number))[0] == 409
    found = [(await latest(url))[1] for _ in range(2)]
    assert found[1]["database"] == "connected"
    assert found[1]["cache"] == "hit"

    async with aiohttp.ClientSession() as session, session.get(f"{url}/orders/ids?since={number}") as answer:
        assert (await answer.json())["ids"] == [number]


async def test_an_article_is_read_from_the_cache_and_from_the_database_when_it_is_not_there(lab):
    """A miss after a flush, then a hit with the same article; one that does not exist is 404."""
    url = lab.endpoints["orders.url"]
    await lab.ask("flush")

    async with aiohttp.ClientSession() as session:
        found = [await (await session.get(f"{url}/articles/7")).json() for _ in range(2)]
        nowhere = (await session.get(f"{url}/articles/1000")).status
        anyone = await (await session.get(f"{url}/articles/any")).json()

    served = {"id": 7, "name": "article 7", "price": 700, "region": found[0]["region"]}
    assert [{key: each[key] for key in served} for each in found] == [served, served]
    assert [(each["cache"], each["hit"]) for each in found] == [("miss", 0), ("hit", 1)]
    assert nowhere == 404
    assert 1 <= anyone["id"] <= 200


async def test_it_is_found_by_name_by_folder_and_by_environment(lab, monkeypatch):
    """Actions find the lab a person means."""
    assert find(str(lab.folder)).endpoints == lab.endpoints
    monkeypatch.setenv("DRILL_LAB", str(lab.folder))
    assert find().folder == lab.folder
    assert lab.folder in [each.folder for each in running()]
    with pytest.raises(EnvironmentFault, match="no lab is running in /nowhere"):
        find("/nowhere")


async def test_a_region_goes_dark_and_the_other_serves_then_the_first_rejoins(lab):
    """West is promoted and takes orders on a new timeline; nothing confirmed is lost; the old primary follows."""
    status = await lab.status()
    region = next(row["region"] for row in status["databases"] if row["role"] == "primary")
    other = {"east": "west", "west": "east"}[region]
    await lab.ask("prefer", region=region)
    url, before = lab.endpoints["orders.url"], time.monotonic_ns()
    first = time.time_ns() // 1000
    taken = [number for number in range(first, first + 20) if (await order(url, number))[0] == 201]

    await lab.ask("link", action="cut", region=region)
    killed = await lab.ask("kill", members=[f"region {region}"])
    assert len(killed["pids"]) > 10

    end = time.monotonic() + 45 * PATIENCE
    while True:
        try:
            status, answer = await order(url, first + 100)
        except aiohttp.ClientError:
            status, answer = 0, {}
        if status == 201:
            break
        assert time.monotonic() < end, f"orders are taken in {other}"
        await asyncio.sleep(0.2)

    assert answer["served_by"].startswith(f"{other}/postgres-{other}/")
    async with aiohttp.ClientSession() as session, session.get(f"{url}/orders/ids?since={first}") as read:
        assert set(taken) <= set((await read.json())["ids"])
    seen = {mark["name"]: mark for mark in await lab.marks(before)}
    end = time.monotonic() + 10 * PATIENCE
    while not {"detected", "promoted", "routed"} <= set(seen):
        assert time.monotonic() < end, f"detection, promotion and switch are marked: {sorted(seen)}"
        await asyncio.sleep(0.1)
        seen = {mark["name"]: mark for mark in await lab.marks(before)}
    assert seen["promoted"]["text"].startswith(f"postgres-{other} is primary on timeline")

    await lab.ask("link", action="restore")
    restored = await lab.ask("start", answer_within=100, members=[f"region {region}"], within=90)
    assert restored["roles"][f"postgres-{region}"] == "replica"
    assert (await lab.status())["healthy"]


async def test_what_replication_had_not_delivered_is_lost_with_its_region(lab):
    """Acknowledged orders held on a slow link are gone when the primary dies: exactly those, and no other."""
    url = lab.endpoints["orders.url"]
    status = await lab.status()
    region = next(row["region"] for row in status["databases"] if row["role"] == "primary")
    other = {"east": "west", "west": "east"}[region]
    # Served by the other region, each order would wait for the slow link itself.
    await lab.ask("prefer", region=region)
    first = time.time_ns() // 1000
    await order(url, first)
    await has_arrived(first, lab.endpoints[f"postgres-{other}.dsn"])
    await lab.ask("link", action="slow", source=region, target=other, what="postgres", latency_s=30)
    late = [number for number in range(first + 1, first + 11) if (await order(url, number))[0] == 201]

    await lab.ask("kill", members=["postgres primary"])
    await lab.ask("link", action="restore")
    await lab.ask("start", answer_within=130, members=["postgres"], within=120)

    status = await lab.status()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/orders/ids?since={first}") as read:
        survivors = (await read.json())["ids"]
    leads = next(row["region"] for row in status["databases"] if row["role"] == "primary")
    assert len(late) == 10
    # A killed primary that is started at once may lead again: then nothing is lost.
    assert survivors == ([first] if leads == other else [first, *late])


async def test_a_lab_that_cannot_come_up_says_why_and_leaves_nothing(owner, tmp_path):
    """The error carries the end of the log of the member that failed."""
    failed = owner("cramped")

    out, error = failed.communicate(timeout=60 * PATIENCE)

    assert out == ""
    assert "the lab did not come up: postgres-east ended while the lab came up; the end of its log:" in error
    assert "File too large" in error
    await until(lambda: not traces(tmp_path / "lab"), "nothing is left")


@pytest.mark.parametrize("killed", ["owner", "keeper", "janitor then keeper"])
async def test_whoever_is_killed_nothing_is_left(owner, killed):
    """kill -9 of the owner, of the keeper, or of the janitor and then the keeper: gone within seconds."""
    started = owner()
    folder = Path(started.stdout.readline().strip())
    keeper = json.loads((folder / "lab.json").read_text())["pid"]
    janitors = [pid for pid in traces(folder)[:-1] if pid not in process.belonging(folder)]
    for pid in process.belonging(folder):
        if pid != keeper:
            os.kill(pid, signal.SIGSTOP)  # frozen ones must go, too

    if killed == "owner":
        started.kill()
    elif killed == "keeper":
        os.kill(keeper, signal.SIGKILL)
    else:
        os.kill(janitors[0], signal.SIGKILL)
        await until(lambda: set(traces(folder)[:-1]) - set(process.belonging(folder)) - set(janitors), "a new janitor")
        os.kill(keeper, signal.SIGKILL)

    await until(lambda: not traces(folder), f"nothing is left: {killed}")


async def test_a_detached_lab_runs_beside_another_until_it_is_told_to_end(lab, owner):
    """Two labs share no port; the detached one outlives its owner, and ends without the first one noticing."""
    started = owner("detached")
    folder = Path(started.stdout.readline().strip())
    started.wait()

    second = find(str(folder))
    assert (await second.status())["healthy"]
    assert not set(second.endpoints.values()) & set(lab.endpoints.values())
    await second.down()

    await until(lambda: not traces(folder), "nothing is left after down")
    assert (await lab.status())["healthy"]
