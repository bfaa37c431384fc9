"""
Random outages of a server that knows when they were: is the truth inside the bounds, and how wide are they?

Beside it, the same outages as seen by a closed loop (a script around curl) and by Chaos Toolkit's own continuous
hypothesis, with the same period and the same deadline. A request that arrives as the server switches may meet either
state, and needs a moment to get there: the truth is known to that moment, which is measured and printed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench.outages import KINDS, Span
from bench.rows import Row, Say, main, percentile
from bench.watchers import Check
from drill.measure import measure_probe
from drill.model import MILLISECOND, Bounds, Outcome, Parameters, Sample, Window

STREAMS = 4
EVERY_MS = 50
DEADLINE_MS = 400
HOLD_MS = 1000
WIDTH_MS = EVERY_MS + 10


@dataclass(frozen=True)
class Seen:
    """
    One outage: the truth, and what each watcher made of it.

    Attributes:
        truth: How long it was, a window; nanoseconds.

        rto, outage: drill's bounds.

        gap: drill says itself that it did not sample at an edge.

        known: The server could run all the while: nothing but the outage kept it from answering.

        loop, chaos: What the others saw; None when they saw nothing.

        beyond: Of what failed although it was sent after the outage: how long after, how long until the server looked
            at it (None: never), how long until drill gave up, milliseconds; and why.
    """

    kind: str
    truth: Span
    rto: Bounds | None
    outage: Bounds | None
    gap: bool
    known: bool
    loop: int | None
    chaos: int | None
    beyond: tuple[tuple[float, float | None, float, str], ...] = ()

    def inside(self) -> bool:
        """Whether both bounds contain the truth, as far as it is known."""
        return all(
            found is not None and found.lower <= self.truth[1] and (found.upper is None or found.upper >= self.truth[0])
            for found in (self.rto, self.outage)
        )

    def error(self, seen: int) -> int:
        """How far a single number is from the truth."""
        return max(0, self.truth[0] - seen, seen - self.truth[1])


def measure(quick: bool, say: Say) -> list[Row]:
    streams = 2 if quick else STREAMS
    each = 4 if quick else 56  # eight of each kind on every stream
    kinds = [[KINDS[(n + 3 * stream) % len(KINDS)] for n in range(each)] for stream in range(streams)]
    say(f"{streams * each} outages, about {each * 3.4 + 3:.0f} s")
    with tempfile.TemporaryDirectory() as name:
        seen = watched(kinds, Path(name))
    found = [one for one in seen if one.known]
    if not found:
        raise SystemExit("this machine is too busy: its server stood still around every outage")
    for one in found:
        if not one.inside():
            say(f"outside: {one}")
    return rows(found, len(seen) - len(found), quick)


def rows(found: Sequence[Seen], left_out: int, quick: bool) -> list[Row]:
    inside = sum(one.inside() for one in found)
    closed = [one for one in found if one.rto is not None and one.rto.upper is not None]
    widths = [(one.rto.upper - one.rto.lower) / MILLISECOND for one in closed if one.rto and one.rto.upper is not None]
    doubt = percentile([(one.truth[1] - one.truth[0]) / MILLISECOND for one in found], 0.99)
    errors = [
        one.error((one.rto.lower + one.rto.upper) // 2) for one in closed if one.rto and one.rto.upper is not None
    ]
    gaps = sum(one.gap for one in found)
    what = f"random outages of {len({one.kind for one in found})} kinds"
    table = [
        Row(
            f"{what} whose truth is inside the bounds",
            inside,
            "outages",
            len(found),
            inside / len(found),
            "every one",
            inside == len(found),
            f"the truth itself is known to {doubt:.1f} ms (99 %); {left_out} more are left out, for around them "
            "the machine did not let the server run",
        ),
        Row(
            "the widest bounds of a recovery time, ms",
            max(widths, default=None),
            "limit: period + 10 ms",
            WIDTH_MS,
            max(widths) / WIDTH_MS if widths else None,
            f"{WIDTH_MS} ms on an idle machine",
            None if quick or not widths else max(widths) <= WIDTH_MS,
            f"middle {statistics.median(widths):.0f} ms, 99 % within {percentile(widths, 0.99):.0f} ms; "
            f"{gaps} with a gap that drill reports, {len(found) - len(closed)} without an upper bound"
            if widths
            else "no recovery was seen",
        ),
    ]
    mine = _spread(errors)
    for who, seen in (
        ("a closed loop", [(one, one.loop) for one in found]),
        ("Chaos Toolkit's continuous hypothesis", [(one, one.chaos) for one in found]),
    ):
        theirs = [one.error(said) for one, said in seen if said is not None]
        missed = sum(said is None for _, said in seen)
        for share, value in mine.items():
            peer = _spread(theirs)[share] if theirs else None
            table.append(
                Row(
                    f"error of the length of an outage, {share}, ms",
                    value,
                    who,
                    peer,
                    None if value is None or not peer else value / peer,
                    note=f"drill: the middle of its bounds; of {len(found)} the other missed {missed}",
                )
            )
    return table


def _spread(errors: Sequence[int]) -> dict[str, float | None]:
    if not errors:
        return {"middle": None, "99 %": None}
    return {"middle": statistics.median(errors) / MILLISECOND, "99 %": percentile(errors, 0.99) / MILLISECOND}


# --- watching -------------------------------------------------------------------------------------------------------


def watched(kinds: list[list[str]], folder: Path) -> list[Seen]:
    """Let the server suffer and everybody watch."""
    spec = {"seed": 1, "deadline_ms": DEADLINE_MS, "hold_ms": HOLD_MS, "streams": kinds}
    pipe = subprocess.PIPE
    argv = [sys.executable, "-m", "bench.outages", json.dumps(spec), str(folder / "truth")]
    server = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
    watching: dict[str, subprocess.Popen[str]] = {}
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        ports = json.loads(server.stdout.readline())
        for who in ("chaos", "loop", "drill"):
            said = [who, str(folder / who), str(EVERY_MS), str(DEADLINE_MS), *map(str, ports)]
            watching[who] = subprocess.Popen([sys.executable, "-m", "bench.watchers", *said], stdin=pipe, text=True)
        # They take a while to import what they need; a watcher that begins late is seen as one that saw nothing.
        time.sleep(4)
        print("go", file=server.stdin, flush=True)
        server.stdout.readline()
        for each in watching.values():
            assert each.stdin is not None
            each.stdin.close()
            if each.wait(timeout=60) != 0:
                raise SystemExit(f"a watcher failed: {each.args}")
    finally:
        for each in (*watching.values(), server):
            each.kill()
            each.wait()
    truth = json.loads((folder / "truth").read_text())
    drill = msgspec.json.decode((folder / "drill").read_bytes(), type=list[list[Sample]])
    loop, chaos = (json.loads((folder / who).read_text()) for who in ("loop", "chaos"))
    still = [(begin, end) for begin, end in truth["stood_still"]]
    streams = zip(truth["streams"], drill, loop, chaos, strict=True)
    return [one for parts in streams for one in compared(*parts, still)]


def compared(
    truth: dict[str, Any], samples: list[Sample], loop: list[Check], chaos: list[Check], still: list[Span]
) -> list[Seen]:
    """Every outage of one stream, each from shortly before it until the next one can be felt."""
    outages = truth["outages"]
    looked_at = {int(id): at for id, at in truth["looked_at"].items()}
    found = []
    for n, outage in enumerate(outages):
        began, ended = outage["began"], outage["ended"]
        first = began[0] - 300 * MILLISECOND
        last = ended[1] + (HOLD_MS + 500) * MILLISECOND
        if n + 1 < len(outages):
            # What is still under way when the next outage begins belongs to that one.
            last = outages[n + 1]["began"][0] - DEADLINE_MS * MILLISECOND
        here = [each for each in samples if first <= (each.planned if each.sent is None else each.sent) < last]
        measured = measure_probe(
            "here", here, Window(*began), EVERY_MS * MILLISECOND, Parameters(hold=HOLD_MS * MILLISECOND)
        )
        found.append(
            Seen(
                kind=outage["kind"],
                truth=true_length(outage, here, looked_at),
                rto=measured.rto,
                outage=measured.outage,
                gap=measured.gap,
                known=not any(begin < last and end > first for begin, end in still),
                loop=length([check for check in loop if first <= check[0] < last]),
                chaos=length([check for check in chaos if first <= check[0] < last]),
                beyond=tuple(late_failures(here, ended[1], looked_at)),
            )
        )
    return found


def late_failures(
    samples: Sequence[Sample], end: int, looked_at: dict[int, int]
) -> Iterator[tuple[float, float | None, float, str]]:
    """What failed after the outage: without it nobody could tell a mistake of ours from a busy machine."""
    for each in samples:
        if each.sent is None or each.ended is None or each.sent <= end or each.outcome is not Outcome.FAILED:
            continue
        met = looked_at.get(each.id or 0)
        took = None if met is None else (met - each.sent) / MILLISECOND
        yield (each.sent - end) / MILLISECOND, took, (each.ended - each.sent) / MILLISECOND, each.detail


def true_length(outage: dict[str, Any], samples: Sequence[Sample], looked_at: dict[int, int]) -> Span:
    """
    How long requests sent would have failed: from switch to switch, counted by when they were sent.

    A request that was on its way at a switch met the new state although it was
    sent before it: the switch, as requests sent see it, may be as early as that.
    """
    began, ended = outage["began"], outage["ended"]
    start = under_way(samples, began, looked_at), began[1]
    if outage["kind"] != "stall":
        end = under_way(samples, ended, looked_at), ended[1]
    else:
        # All are answered at its end, so those sent within the last deadline were in time, if their answer arrived.
        deadline = DEADLINE_MS * MILLISECOND
        arrived = [each.ended for each in samples if each.sent and each.ended and each.sent < ended[0] <= each.ended]
        late = max([at for at in arrived if at < ended[1] + deadline], default=ended[1])
        end = ended[0] - deadline, max(ended[1], late) - deadline
    return end[0] - start[1], end[1] - start[0]


def under_way(samples: Sequence[Sample], edge: Span, looked_at: dict[int, int]) -> int:
    """When the earliest request that was still under way at *edge* was sent, or the edge itself."""
    found = [edge[0]]
    for each in samples:
        if each.sent is None or each.ended is None or each.sent > edge[0]:
            continue
        met = looked_at.get(each.id or 0, each.ended)
        # What was never looked at and ended by its deadline was left hanging long before, or refused.
        if met >= edge[0] and (each.id in looked_at or each.ended - each.sent < DEADLINE_MS * MILLISECOND):
            found.append(each.sent)
    return min(found)


def length(checks: Sequence[Check]) -> int | None:
    """From the first check that failed to the first good one after the last that did, as they were known; or None."""
    failed = [n for n, check in enumerate(checks) if not check[2]]
    if not failed or failed[-1] + 1 >= len(checks):
        return None
    return checks[failed[-1] + 1][1] - checks[failed[0]][1]


if __name__ == "__main__":
    main(measure)
