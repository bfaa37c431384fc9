"""Ten million writes judged against what the store still holds: time and memory of `drill.measure.ledger`."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.rows import Row, Say, main, peak_mib
from drill.measure.ledger import ledger, writes_of
from drill.model import MILLISECOND, SECOND, Bounds, Fate, Outcome, Sample, SurvivorRead, Window

EVERY = MILLISECOND
LOST = 1_500  # the newest before the fault
UNKNOWN = 1_000  # how every so-manieth write ends


def measure(quick: bool, say: Say) -> list[Row]:
    size = 100_000 if quick else 10_000_000
    say(f"{size:,} rows")
    # In a process of its own, for the peak is the process's.
    argv = [sys.executable, "-m", "bench.verification", "--child", str(size)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    seconds, used, before, peak = map(float, done.stdout.split())
    say(f"{seconds:.1f} s ({used:.1f} s of processor), {peak:.0f} MiB ({before:.0f} MiB before it began)")
    only = f"only {size:,} rows; " if quick else ""

    def row(what: str, value: float, limit: float, goal: str, note: str) -> Row:
        reached = None if quick else value <= limit
        return Row(what, value, "limit", limit, value / limit, goal, reached, only + note)

    return [
        row("10 million ledger rows verified, seconds", seconds, 60, "60 s", f"processor {used:.1f} s"),
        row("the same, peak memory in MiB", peak, 1024, "1 GiB", f"{before:.0f} of it before, for the two readings"),
    ]


def child(size: int) -> None:
    """Writes, one a millisecond, of which the newest before a fault near the end are lost; then two readings."""
    fault = (size - size // 20) * EVERY
    t0 = Window(fault, fault + MILLISECOND)
    last_kept = fault // EVERY - LOST
    first_after = fault // EVERY + 3_000

    def survived(n: int) -> bool:
        return n < last_kept or n >= first_after

    def samples():  # type: ignore[no-untyped-def]
        for n in range(size):
            sent = n * EVERY
            away = last_kept + LOST <= n < first_after
            fate = Fate.REFUSED if away else Fate.UNKNOWN if n % UNKNOWN == 7 else Fate.ACKNOWLEDGED
            outcome = Outcome.OK if fate is Fate.ACKNOWLEDGED else Outcome.FAILED
            yield Sample(sent, sent, sent + MILLISECOND, outcome, "", "east" if n < first_after else "west", n, fate)

    # Both readings share their ids, as they do when a journal is read back.
    found = tuple(n for n in range(size) if survived(n))
    end = size * EVERY + SECOND
    reads = [SurvivorRead(sent=at, ended=at + SECOND, ids=found) for at in (end, end + 3 * SECOND)]
    before = peak_mib()
    began, used = time.monotonic(), time.process_time()
    told = ledger("orders", writes_of(samples()), reads, t0)
    took, used = time.monotonic() - began, time.process_time() - used
    lost = sum(1 for n in range(last_kept, last_kept + LOST) if n % UNKNOWN != 7)
    assert told.lost_writes == Bounds(lost, lost), told.lost_writes
    assert told.settled
    assert not told.holes
    print(took, used, before, peak_mib())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]))
    else:
        main(measure)
