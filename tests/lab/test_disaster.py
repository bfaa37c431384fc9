"""The whole database lost and brought back from the archive."""

import asyncio
import time

import aiohttp
import pytest

from drill.actions import lab as actions
from drill.errors import EnvironmentFault
from drill.lab import up
from tests.actions.running import EXPERIMENTS, broken_and_restored

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab():
    """A lab with an archive, for all tests of this file; each leaves it whole."""
    made = asyncio.run(up("two-regions-backup"))
    yield made
    asyncio.run(made.down())


async def taken(lab, count=20):
    """Orders that were acknowledged."""
    first = time.time_ns() // 1000
    url = f"{lab.endpoints['orders.url']}/orders"
    async with aiohttp.ClientSession() as session:
        sent = [(number, await session.post(url, json={"id": number})) for number in range(first, first + count)]
    return [number for number, answer in sent if answer.status == 201]


async def there(lab, since):
    url = f"{lab.endpoints['orders.url']}/orders/ids?since={since}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.json())["ids"]


async def served(lab, within=20.0):
    """Wait until orders are taken again; the router needs a moment to believe it."""
    end = time.monotonic() + within
    while not await taken(lab, 1):
        assert time.monotonic() < end, "orders are taken again"
        await asyncio.sleep(0.2)


async def test_what_was_shipped_before_the_loss_comes_back_and_goes_on(lab):
    """Both nodes and all their data are gone; the archive has every order that was shipped, from both timelines."""
    before = await taken(lab)
    leads = next(row["region"] for row in (await lab.status())["databases"] if row["role"] == "primary")
    await lab.ask("switchover", answer_within=70, region={"east": "west", "west": "east"}[leads], within=60)
    await served(lab)
    since = await taken(lab)
    await lab.ask("wait", answer_within=70, within=60)
    await asyncio.sleep(0.5)  # the last order is on its way to the archive

    lost = await lab.ask("lose_databases")
    gone = [(lab.folder / member / "data").exists() for member in lost["members"]]
    found = await lab.ask("restore_backup", answer_within=100, within=90)
    await served(lab)

    assert (len(before), len(since)) == (20, 20)
    assert gone == [False, False]
    assert lost["bytes"] > 10_000_000
    assert found["restored"]
    assert await lab.ask("restore_backup", answer_within=100, within=90) == {"restored": False, "roles": found["roles"]}
    assert set(before + since) <= set(await there(lab, before[0]))
    marks = [mark["name"] for mark in await lab.marks(found["lower"] - 1_000_000)]
    assert [name for name in marks if name in ("requested", "available", "accepting", "verified")] == [
        "requested",
        "available",
        "accepting",
        "verified",
    ]


async def test_a_database_that_has_its_data_is_never_overwritten(lab):
    """One node died and one lost all it had: the other one's newest orders are not given up for an old backup."""
    orders = await taken(lab)
    leads = next(row["region"] for row in (await lab.status())["databases"] if row["role"] == "primary")
    replica = f"postgres-{ {'east': 'west', 'west': 'east'}[leads] }"
    await lab.ask("kill", members=[replica])

    found = await lab.ask("restore_backup", answer_within=100, within=90)

    assert not found["restored"]
    assert found["roles"][replica] == "replica"
    assert set(orders) <= set(await there(lab, orders[0]))


@pytest.mark.parametrize("file", EXPERIMENTS["two-regions-backup"], ids=lambda path: path.stem)
def test_an_experiment_breaks_something_and_restores_it(file, lab, tmp_path):
    """Plain `chaos run`: its action shows an effect, and after its rollbacks the lab is whole."""
    broken_and_restored(file, lab, tmp_path)


def test_a_backup_is_taken_at_any_time(lab):
    """A new one beside those before it."""
    made = actions.take_backup(configuration={"lab": str(lab.folder)})

    assert (lab.folder / "archive" / made["backup"] / "PG_VERSION").read_text() == "18\n"
    assert made["evidence"].endswith("every page and file checked")


async def test_the_archive_comes_back_after_it_was_killed(lab):
    """It is a member like others: while it is gone the lab is not whole, and starting it makes it so."""
    killed = await lab.ask("kill", members=["archive"])
    missing = (await lab.status())["missing"]
    await lab.ask("start", answer_within=60, members=["archive"], within=50)

    assert killed["pids"]
    assert missing == [f"archive does not receive the log of {primary(await lab.status())}"]
    assert (await lab.status())["missing"] == []


def primary(status):
    return next(row["member"] for row in status["databases"] if row["role"] == "primary")


async def test_a_lab_without_an_archive_says_so(one_lab):
    """Nothing is deleted where nothing could be restored."""
    with pytest.raises(EnvironmentFault, match="this lab keeps no archive"):
        await one_lab.ask("lose_databases")

    assert (await one_lab.status())["healthy"]
