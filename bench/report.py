"""
The report of an hour at 1,000 samples a second: from the journal on disk to the page, with time and memory.

Ten probes, one of them writing; an outage of 40 s in the middle, with writes lost.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import Row, Say, main, peak_mib
from drill.journal import GENESIS, NAME, encode
from drill.model import (
    MILLISECOND,
    SECOND,
    Anchor,
    AnyEvent,
    Began,
    Completion,
    Done,
    Effect,
    Ended,
    Fate,
    Fault,
    Injected,
    Injection,
    Intent,
    Measure,
    Objective,
    Outcome,
    Plan,
    Prepared,
    Probe,
    Restored,
    Sample,
    Samples,
    Step,
    StepBegan,
    StepEnded,
    StepKind,
    SurvivorRead,
    Survivors,
    Undo,
    WritesPlanned,
)

PROBES = 10
EVERY = 10 * MILLISECOND
BATCH = 10  # samples in a journal line, as the sampler hands them over every 100 ms
OUTAGE = 40 * SECOND
LOST_FOR = SECOND
START = 1_000 * SECOND
WALL = 1_790_000_000 * SECOND
BASELINE = 10 * SECOND
GOAL_S, GOAL_MIB, GOAL_MB = 10, 1024, 3


def measure(quick: bool, say: Say) -> list[Row]:
    seconds = 120 if quick else 3600
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir()
        say(f"writing a journal of {seconds} s at {PROBES * SECOND // EVERY:,} samples a second")
        write(folder, seconds * SECOND)
        say(f"{(folder / NAME).stat().st_size / 1e6:.0f} MB; making its reports")
        # In a process of its own, for the peak is the process's.
        argv = [sys.executable, "-m", "bench.report", "--child", str(folder)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        took, used, peak = map(float, done.stdout.split())
        size = (folder / "report.html").stat().st_size / 1e6
    say(f"{took:.1f} s ({used:.1f} s of processor), {peak:.0f} MiB, {size:.2f} MB of HTML")
    only = f"only {seconds} s of it; " if quick else ""

    def row(what: str, value: float, limit: float, goal: str, note: str = "") -> Row:
        note = (only + note).removesuffix("; ")
        return Row(what, value, "limit", limit, value / limit, goal, None if quick else value <= limit, note)

    return [
        row("reports of an hour at 1,000 samples a second, seconds", took, GOAL_S, "10 s", f"processor {used:.1f} s"),
        row("the same, peak memory in MiB", peak, GOAL_MIB, "1 GiB"),
        row("the same, size of the page in MB", size, GOAL_MB, "3 MB"),
    ]


def child(folder: Path) -> None:
    began = time.monotonic()
    # Imported here: starting up is part of what a person waits for.
    from drill.run import finish

    finish(folder)
    print(time.monotonic() - began, time.process_time(), peak_mib())


def write(folder: Path, length: int) -> None:
    """The journal of a run of *length* nanoseconds."""
    previous = GENESIS
    with open(folder / NAME, "wb", buffering=1 << 20) as file:
        for event in events(length):
            line = encode(event, previous)
            previous = hashlib.sha256(line).hexdigest()
            file.write(line)


def plan() -> Plan:
    names = [f"probe-{n}" for n in range(PROBES)]
    probes = tuple(
        Probe(name=name, kind="http", every=EVERY, deadline=SECOND, writes=n == 0) for n, name in enumerate(names)
    )
    return Plan(
        drill="long",
        title="An hour",
        system="orders",
        objectives=(
            Objective(measure=Measure.RTO, target=60 * SECOND),
            Objective(measure=Measure.RPO, target=5 * SECOND),
        ),
        probes=probes,
        judged=tuple(names),
        steps=(
            Step(kind=StepKind.WATCH, within=BASELINE),
            Step(kind=StepKind.INJECT, fault="kill"),
        ),
        faults=(Fault(name="kill", engine="chaostoolkit", title="Kill it"),),
    )


def events(length: int) -> Iterator[AnyEvent]:
    """Every event in order; the samples of a probe in lines of ten."""
    fault = START + length // 2
    yield Began(at=START, run_id="long", plan=plan(), anchor=Anchor(monotonic=START, wall=WALL))
    yield StepBegan(at=START, n=0)
    yield WritesPlanned(at=START, probe="probe-0", first=0, last=length // EVERY)
    ids: list[int] = []
    done = False
    draw = random.Random(1)
    for slot in range(0, length // EVERY, BATCH):
        at = START + slot * EVERY
        if at >= START + BASELINE and at < START + BASELINE + BATCH * EVERY:
            yield StepEnded(at=at, n=0, done=True)
        if at >= fault and not done:
            done = True
            yield from broken(fault)
        for n in range(PROBES):
            seen = tuple(sample(n, each, fault, draw) for each in range(slot, slot + BATCH))
            ids += [s.id for s in seen if s.id is not None and kept(s, fault)]
            yield Samples(at=at + BATCH * EVERY, probe=f"probe-{n}", samples=seen)
    end = START + length
    yield Restored(at=end, fault="kill", verified=True)
    for at in (end + SECOND, end + 4 * SECOND):
        yield Survivors(at=at, probe="probe-0", read=SurvivorRead(sent=at, ended=at, ids=tuple(ids)))
    last = end + 5 * SECOND
    anchor = Anchor(monotonic=last, wall=WALL + last - START)
    yield Ended(at=last, completion=Completion.COMPLETED, anchor=anchor)


def broken(at: int) -> Iterator[AnyEvent]:
    undo = Undo(engine="chaostoolkit", fault="kill")
    yield StepBegan(at=at, n=1)
    yield Prepared(at=at, undo=undo)
    yield Intent(at=at, fault="kill", activity="kill", n=0)
    yield Done(at=at + 5 * MILLISECOND, fault="kill", n=0, ok=True)
    yield Injected(at=at + 6 * MILLISECOND, fault="kill", injection=Injection(effect=Effect.SHOWN, evidence="killed"))
    yield StepEnded(at=at + 6 * MILLISECOND, n=1, done=True)


def sample(n: int, slot: int, fault: int, draw: random.Random) -> Sample:
    planned = START + slot * EVERY + draw.randrange(EVERY // 10)
    sent = planned + draw.randrange(MILLISECOND)
    down = fault + 2 * MILLISECOND <= sent < fault + OUTAGE
    ended = sent + (SECOND if down else 2 * MILLISECOND + draw.randrange(5 * MILLISECOND))
    outcome = Outcome.FAILED if down else Outcome.OK
    id = slot if n == 0 else None
    fate = None if id is None else Fate.REFUSED if down else Fate.ACKNOWLEDGED
    by = None if down else "west/1" if sent > fault else "east/1"
    return Sample(planned, sent, ended, outcome, "connection refused" if down else "", by, id, fate)


def kept(sample: Sample, fault: int) -> bool:
    """Whether a write is still there after the fault."""
    assert sample.sent is not None
    return sample.fate is Fate.ACKNOWLEDGED and not fault - LOST_FOR <= sample.sent < fault


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]))
    else:
        main(measure)
