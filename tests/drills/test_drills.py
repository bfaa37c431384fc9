"""Every shipped drill, run from end to end on the real lab, passes or fails for the right reason."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from drill import lab as labs
from drill.journal import replay
from drill.model import Done, Fate
from tests.drills.running import ROOT, run

pytestmark = [pytest.mark.drills, pytest.mark.timeout(400)]


def test_region_failover_is_met_by_patronis_own_failover(tmp_path: Path) -> None:
    """Every process of east is killed; west serves within 30 s, once Patroni's lease has run out."""
    done = run("region-failover", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    lower, upper = done.bounds("rto")
    # The lease is 20 s and is renewed every second or two: nothing faster could be a real failover.
    assert 15 < lower <= upper < 30
    promoted = [phase for phase in done.record["phases"] if phase["name"] == "promoted"]
    # The probe sent straight to it and Patroni tell of one promotion, each a little later than it was.
    assert {phase["source"] for phase in promoted} == {"postgres-west", "patroni"}
    assert all("postgres-west" in (phase["source"], phase["text"].split()[0]) for phase in promoted)


def test_database_failover_promotes_the_other_node(tmp_path: Path) -> None:
    """The primary's node dies alone; its region lives on and writes through the link."""
    done = run("database-failover", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    assert done.bounds("rto")[0] > 15


def test_a_hanging_database_is_found_out_too(tmp_path: Path) -> None:
    """A frozen primary answers nothing and refuses nothing; it is measured like a dead one."""
    done = run("database-hang", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    assert done.bounds("rto")[0] > 15


def test_losing_the_cache_does_not_move_the_region(tmp_path: Path) -> None:
    """Orders go on from east within 1 % errors while the cache fails over."""
    done = run("cache-loss", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    assert "routed" not in [phase["name"] for phase in done.record["phases"]]
    assert done.record["faults"][0]["effect"] == "shown"


def test_an_emptied_cache_is_warm_again_soon(tmp_path: Path) -> None:
    """The hit ratio is back within 10 s; meanwhile the database bears a multiple of its load, and goes on."""
    done = run("cold-cache", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    # Two hundred articles, fifty reads a second: it cannot be warm at once.
    assert done.bounds("cold_cache")[0] > 0.5
    assert done.record["measured"]["origin_amplification"]["value"] > 2
    reads = [sample.value for sample in replay(done.folder).samples("orders-origin") if sample.value is not None]
    assert max(reads) > 3 * (sum(reads[:30]) / 30)


def test_a_partition_is_survived_by_the_majority(tmp_path: Path) -> None:
    """East lives on, cut off, and loses what it still acknowledges; west serves after east's lease has run out."""
    done = run("partition", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    (store,) = done.record["split_brain"]["stores"]
    assert store["servers"] == ["east/postgres-east, epoch 1", "west/postgres-west, epoch 2"]
    assert store["overlap"] == {"lower_s": 0.0, "upper_s": 0.0, "reason": None}
    ledgers = {ledger["probe"]: ledger for ledger in done.record["ledger"]}
    assert [ledgers[name]["lost"] for name in ("orders-writes", "orders-west-writes")] == [0, 0]
    assert ledgers["orders-east-writes"]["late_loss"] > 0
    assert all((ledger["phantom"], ledger["settled"]) == (0, True) for ledger in ledgers.values())


async def test_data_loss_counts_exactly_the_orders_that_are_missing(tmp_path: Path) -> None:
    """Acknowledged orders are really lost, the objective is missed, and the database itself agrees on each."""
    lab = await labs.up(folder=None)
    try:
        done = run("data-loss", tmp_path, "--on", str(lab.folder))
        connection = await asyncpg.connect(lab.endpoints["postgres.dsn"])
        rows = {row["id"] for row in await connection.fetch("select id from orders")}
        await connection.close()
    finally:
        await lab.down()

    samples = replay(done.folder).samples("orders-writes")
    missing = sorted(s.id for s in samples if s.fate is Fate.ACKNOWLEDGED and s.id is not None and s.id not in rows)
    ledger = done.record["ledger"][0]
    assert done.code == 1, done.said
    assert done.verdicts()["rpo"] == "missed"
    assert missing
    assert (ledger["lost"], ledger["rpo"]["lower_s"] > 1.0) == (len(missing), True)
    assert set(ledger["examples"]["lost"]) <= set(missing)
    assert done.record["measured"]["lost_writes"] == {"lower": len(missing), "upper": len(missing), "reason": None}


def test_a_lost_database_is_restored_from_backup_and_archived_log(tmp_path: Path) -> None:
    """Both nodes and their data are gone; what is measured is the restore, and each of its phases is told."""
    done = run("database-restore", tmp_path)

    assert (done.code, done.record["result"]) == (0, "met"), done.said
    assert done.verdicts()["rpo"] == "met"
    told = [phase["name"] for phase in done.record["phases"] if phase["source"] in ("archive", "patroni")]
    assert [name for name in told if name != "promoted"] == ["requested", "available", "accepting", "verified"]
    assert "every page was checked" in str([event.output for event in replay(done.folder).of(Done)])


def test_a_fault_that_does_nothing_is_inconclusive(tmp_path: Path) -> None:
    """The service was fine throughout, and yet nothing is proved."""
    done = run("no-effect", tmp_path)

    assert done.code == 3, done.said
    assert [(o["id"], o["verdict"], o["reason"]) for o in done.record["objectives"]] == [
        ("rto", "inconclusive", "no_effect")
    ]


def test_a_failover_under_load_keeps_its_customers(tmp_path: Path) -> None:
    """West carries the same load as east did; the router's own mark tells when the outage was detected."""
    done = run("failover-under-load", tmp_path)

    load = done.record["load"]
    assert (done.code, load["short"]) == (0, []), done.said
    assert set(done.verdicts().items()) >= {("capacity", "met"), ("detected", "met"), ("latency_p99", "met")}
    before, during, after = load["phases"]
    assert before["wanted_per_s"] == 50
    assert (before["error_ratio"], after["error_ratio"]) == (0, 0)
    assert during["error_ratio"] > 0.9
    assert done.record["cycle_s"] == 5


def test_every_shipped_drill_is_run() -> None:
    """A new file in drills/ needs a test of what it shows, here or (those with a queue) in tests/lab/test_queue.py."""
    shipped = {path.stem for path in (ROOT / "drills").glob("*.yaml")}
    run_here = {
        "region-failover",
        "failover-under-load",
        "database-failover",
        "database-hang",
        "database-restore",
        "cache-loss",
        "cold-cache",
        "partition",
        "data-loss",
        "no-effect",
        "queue-loss",
        "queue-loss-transient",
    }
    assert shipped == run_here
