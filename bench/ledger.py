"""
Acknowledged writes a second, beside pgbench doing the same single-row insert over as many connections.

drill writes open loop, one id after the other, journaled; the rate counts only while 99 % are acknowledged and sent
within 5 ms of when they were planned. pgbench has nothing to plan: its is the most it gets done. Both keep their
connections and their prepared insert, and the server keeps every promise (fsync on).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.rows import Row, Say, main, percentile, ratio
from drill.clock import SystemClock
from drill.journal import Journal
from drill.lab import process
from drill.model import MILLISECOND, SECOND, Fate, Outcome, Probe, Sample, Samples, WritesPlanned
from drill.probes import Answer
from drill.probes.postgres import PostgresProbe
from drill.probes.sampler import Sampler

LANES = 8
GOAL = 0.9
LATE_MS = 5.0
WARM_S = 1.0  # in which connections are made; pgbench leaves that out, too
FLAT_RATE = 2_000


def measure(quick: bool, say: Say) -> list[Row]:
    seconds = 2.0 if quick else 8.0
    with postgres() as port:
        peer = pgbench(port, seconds)
        say(f"pgbench, {LANES} connections: {peer:.0f}/s")
        best = highest(port, seconds, peer, quick, say)
        flood = drill(port, 1.25 * peer, seconds, say)
        again = pgbench(port, seconds)
        say(f"pgbench once more: {again:.0f}/s")
    peer = (peer + again) / 2
    share = ratio(best, peer)
    growth = flat(4.0 if quick else 60.0, say)
    return [
        Row(
            f"acknowledged writes a second over {LANES} lanes",
            best,
            "pgbench",
            peer,
            share,
            "0.9 of it",
            None if quick else share is not None and share >= GOAL,
            f"99 % acknowledged, and sent within {LATE_MS:g} ms; the most pgbench gets done"
            + ("" if best else f"; drill did not keep up at the lowest rate tried, {peer / 40:.0f}/s"),
        ),
        Row(
            "the same when asked for a quarter more than pgbench gets done, however late",
            flood["rate"],
            "pgbench",
            peer,
            ratio(flood["rate"], peer),
            note=f"of {flood['planned']:,.0f} {flood['failed']:,.0f} failed, {flood['unknown']:,.0f} are unknown: "
            f"not sent; {flood['us']:.0f} µs of processor time each",
        ),
        Row(
            f"memory that a writing sampler gains in an hour at {FLAT_RATE:,} writes a second, MiB",
            growth,
            "limit",
            16,
            growth / 16,
            "flat: 16 MiB",
            None if quick else growth <= 16,
            "extrapolated from half a minute; without the conductor's watch, whose memory is bounded",
        ),
    ]


# --- the server -----------------------------------------------------------------------------------------------------


@contextmanager
def postgres() -> Iterator[int]:
    """A new PostgreSQL with its defaults, on a free port of loopback."""
    binaries = process.postgres_bin()
    folder = Path(tempfile.mkdtemp(prefix="drill-bench-"))
    try:
        process.account().own(folder)
        initdb = [binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync"]
        process.run_postgres_tool(initdb, folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        server = [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", ""]
        process.start(server, folder, postgres=True)
        ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(300):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise SystemExit(process.tail(folder / "log"))
        yield port
    finally:
        process.sweep(folder)
        shutil.rmtree(folder, ignore_errors=True)


def pgbench(port: int, seconds: float) -> float:
    """Transactions a second of pgbench: one row, one transaction, a new id each."""
    binaries = process.postgres_bin()
    login = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        # Random in 2^62: as good as unique, and needs no second table.
        script.write("\\set id random(1, 4611686018427387904)\nINSERT INTO beside (id) VALUES (:id);\n")
        script.flush()
        columns = "id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp()"
        table = f"CREATE TABLE IF NOT EXISTS beside ({columns})"
        subprocess.run([binaries / "psql", "-Xqc", table, *login], check=True, capture_output=True)
        argv = [binaries / "pgbench", "-n", "-M", "prepared", "-f", script.name, "-c", str(LANES), "-j", "1"]
        said = subprocess.run([*argv, "-T", str(round(seconds)), *login, "postgres"], check=True, capture_output=True)
    found = re.search(r"tps = ([\d.]+)", said.stdout.decode())
    assert found is not None
    return float(found[1])


# --- drill ----------------------------------------------------------------------------------------------------------


def highest(port: int, seconds: float, peer: float, quick: bool, say: Say) -> float | None:
    """The highest rate at which drill keeps up: from a quarter of the peer's up in steps, or down to a fortieth."""
    best, rate, missed = None, peer / 4, 0
    while peer / 40 <= rate < 2 * peer:
        found = drill(port, rate, seconds, say)
        kept_up = found["late_p99_ms"] <= LATE_MS and found["acknowledged"] >= 0.99 * found["planned"]
        if kept_up:
            best, missed = found["rate"], 0
        else:
            missed += 1
        if quick or (missed == 2 and best):
            break
        # One late try may be the machine's: once more before giving up.
        rate = rate * 1.15 if kept_up else rate if missed == 1 else rate / 2
    return best


def drill(port: int, rate: float, seconds: float, say: Say) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.ledger", "--child", str(port), str(rate), str(seconds)]
    found: dict[str, float] = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout)
    say(
        f"drill at {rate:.0f}/s: {found['acknowledged']:.0f} of {found['planned']:.0f} acknowledged, "
        f"{found['failed']:.0f} failed, p99 {found['late_p99_ms']:.1f} ms late, {found['us']:.0f} µs a write"
    )
    return found


async def write(port: int, rate: float, seconds: float) -> dict[str, float]:
    """Write as a drill does, one probe per lane, in this process."""
    clock = SystemClock()
    seen: list[Sample] = []
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / "run")

        def sink(probe: str, batch: tuple[Sample, ...]) -> None:
            journal.append(Samples(at=clock.now(), probe=probe, samples=batch))
            seen.extend(batch)

        first = time.time_ns() // SECOND * 1_000_000
        running = []
        for lane in range(LANES):
            options = {
                "dsn": f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable",
                "connection": "pooled",
                "write": {"table": "ids", "create": True},
            }
            every = int(SECOND * LANES / rate)
            probe = Probe(name=f"w{lane}", kind="postgres", every=every, deadline=SECOND, options=options, writes=True)
            prober = PostgresProbe(probe)
            await prober.open()
            running.append((Sampler(probe, prober, clock, sink, ids=numbered(journal, clock, lane, first)), prober))
        gc.collect()
        gc.freeze()
        tasks = [asyncio.create_task(sampler.run()) for sampler, _ in running]
        await asyncio.sleep(WARM_S)
        began, used = time.monotonic_ns(), time.process_time()
        await asyncio.sleep(seconds)
        took, used = (time.monotonic_ns() - began) / SECOND, time.process_time() - used
        for sampler, _ in running:
            sampler.stop()
        await asyncio.gather(*tasks)
        for _, prober in running:
            await prober.close()
        journal.close()
    seen = [each for each in seen if began <= each.planned < began + took * SECOND]
    acknowledged = sum(each.fate is Fate.ACKNOWLEDGED for each in seen)
    late = [(each.sent - each.planned) / MILLISECOND for each in seen if each.sent is not None]
    return {
        "planned": len(seen),
        "acknowledged": acknowledged,
        "failed": sum(each.outcome is Outcome.FAILED for each in seen),
        "unknown": sum(each.outcome is Outcome.UNKNOWN for each in seen),
        "rate": acknowledged / took,
        "late_p99_ms": percentile(late, 0.99),
        "us": used / len(seen) * 1e6,
    }


def numbered(journal: Journal, clock: SystemClock, lane: int, first: int) -> Iterator[int]:
    """Ids of one lane, ten thousand of them journaled ahead, as the conductor does."""
    n = first + lane
    while True:
        last = n + 9_999 * LANES
        journal.append(WritesPlanned(at=clock.now(), probe=f"w{lane}", first=n, last=last, stride=LANES))
        for n in range(n, last + 1, LANES):  # noqa: B020 goes on where the last range ended
            yield n
        n += LANES


# --- memory ---------------------------------------------------------------------------------------------------------


def flat(seconds: float, say: Say) -> float:
    """MiB that a sampler would gain in an hour, from what it gained from its middle to its end."""
    argv = [sys.executable, "-m", "bench.ledger", "--flat", str(seconds)]
    middle, end, rows = map(float, subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.split())
    say(f"memory after {rows / 2:,.0f} writes {middle / 1024:.1f} MiB, after {rows:,.0f} {end / 1024:.1f} MiB")
    return max(0.0, end - middle) / 1024 / (rows / 2) * FLAT_RATE * 3600


class Instant:
    """A store that acknowledges at once: what is left is the sampler."""

    async def sample(self, id: int | None) -> Answer:
        return Answer(Outcome.OK, served_by="here", fate=Fate.ACKNOWLEDGED)


async def stay(seconds: float) -> None:
    """Sample and journal for so long; print resident KiB in the middle and at the end, and how many rows."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / "run")

        def sink(probe: str, batch: tuple[Sample, ...]) -> None:
            journal.append(Samples(at=clock.now(), probe=probe, samples=batch))

        probe = Probe(name="w0", kind="instant", every=SECOND // FLAT_RATE, deadline=SECOND, writes=True)
        sampler = Sampler(probe, Instant(), clock, sink, ids=numbered(journal, clock, 0, 0))  # type: ignore[arg-type]
        task = asyncio.create_task(sampler.run())
        await asyncio.sleep(seconds / 2)
        middle = resident_kib()
        await asyncio.sleep(seconds / 2)
        sampler.stop()
        await task
        journal.close()
    print(middle, resident_kib(), sampler.counts.sent)


def resident_kib() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asyncio.run(write(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))))
    elif sys.argv[1:2] == ["--flat"]:
        asyncio.run(stay(float(sys.argv[2])))
    else:
        main(measure)
