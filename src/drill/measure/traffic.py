"""
What the load was really like: offered, sent and answered, before the fault, during and after it.

Only whole seconds count, and only those that lie inside a stretch: a second
that holds the fault belongs to none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from drill.model import (
    SECOND,
    Bounds,
    History,
    Load,
    LoadBegan,
    LoadEnded,
    LoadMeasure,
    LoadPhase,
    ProbeMeasure,
    Traffic,
    TrafficSecond,
    Window,
)

MILLION = 1_000_000

# Bands of latency, each 5 % wider than the one before, in microseconds.
STEP = 1.05

# A stretch shorter than this shows a hiccup, not a rate.
SHORTEST = 3 * SECOND

# What may be missing of a rate before the load counts as not reached: users come and go by the second.
SHORTFALL = 0.05


def band(ns: int) -> int:
    """The band that a latency of so many nanoseconds falls into; up to 1.05 microseconds is band 0."""
    return max(0, math.floor(math.log(max(ns, 1000) / 1000, STEP)))


def edges(number: int) -> Bounds:
    """The latencies that band *number* holds, nanoseconds, rounded outwards."""
    lower = 0 if number == 0 else math.floor(STEP**number * 1000 * (1 - 1e-9))
    return Bounds(lower, math.ceil(STEP ** (number + 1) * 1000 * (1 + 1e-9)))


def quantile(bands: Counter[int], thousandths: int) -> Bounds | None:
    """Nearest rank: the band of the smallest latency that so many thousandths do not exceed; None without any."""
    rank = max(1, -(-bands.total() * thousandths // 1000))
    for number in sorted(bands):
        rank -= bands[number]
        if rank <= 0:
            return edges(number)
    return None


def wanted(load: Load, start: int, lower: int, upper: int) -> tuple[float | None, int | None]:
    """
    What should have been sent between two instants: requests, and user seconds.

    None for what the load does not ask for. The last step lasts to the end.
    """
    requests, user_ns, at = 0.0, 0, start
    for n, step in enumerate(load.steps):
        end = max(upper, at) if step.lasts is None or n == len(load.steps) - 1 else at + step.lasts
        overlap = max(0, min(upper, end) - max(lower, at))
        requests += (step.rate or 0) * overlap / SECOND
        user_ns += (step.users or 0) * overlap
        at = end
    rated = any(step.rate is not None for step in load.steps)
    peopled = any(step.users is not None for step in load.steps)
    return (requests if rated else None), (round(user_ns / SECOND) if peopled else None)


def measure_load(history: History, t0: Window | None, judged: Sequence[ProbeMeasure], undo: int | None) -> LoadMeasure:
    """
    The load of a run whose plan has one.

    *undo* is when the undo that ends the measuring began; None when there was
    none, or when it is the recovery under test.
    """
    load = history.plan.load
    assert load is not None
    began: LoadBegan | None = next(iter(history.of(LoadBegan)), None)
    if began is None:
        return LoadMeasure(processes=0, phases=(), short=("the load was never begun",))
    seconds = [second for event in history.of(Traffic) for second in event.seconds]
    phases = tuple(
        _phase(name, begin, end, load, began, seconds)
        for name, begin, end in _stretches(history, began.at, t0, judged, undo)
    )
    lacking = [why for phase in phases for why in _short(phase, began.processes, broken=t0 is not None)]
    short = (*_died(history), *lacking)
    return LoadMeasure(processes=began.processes, phases=phases, short=short, capacity=_capacity(phases))


def _stretches(
    history: History, began: int, t0: Window | None, judged: Sequence[ProbeMeasure], undo: int | None
) -> Iterator[tuple[str, int, int]]:
    """Name, begin and end of each stretch, shrunk to whole seconds; those of no second left out."""
    end = history.latest
    stops = [event.at for event in history.of(LoadEnded) if not event.error]
    end = min([end, *stops])
    found = [("before", began, end if t0 is None else t0.lower)]
    if t0 is not None:
        until = end if undo is None else min(end, undo)
        hit = [probe.incidents[-1].recovered for probe in judged if probe.incidents]
        back = None if None in hit else max((at for at in hit if at is not None), default=t0.upper)
        found.append(("during", t0.lower, until if back is None else back))
        if back is not None:
            found.append(("after", back, until))
    for name, first, last in found:
        first, last = -(-first // SECOND) * SECOND, last // SECOND * SECOND
        if last > first:
            yield name, first, last


def _phase(
    name: str, begin: int, end: int, load: Load, began: LoadBegan, seconds: Sequence[TrafficSecond]
) -> LoadPhase:
    inside = [second for second in seconds if begin <= second.at < end]
    bands: Counter[int] = Counter()
    for second in inside:
        bands.update(dict(second.latency))
    requests, users = wanted(load, began.at, begin, end)
    return LoadPhase(
        name=name,
        begin=begin,
        end=end,
        wanted=requests,
        users=users,
        ran=sum(second.users for second in inside),
        sent=sum(second.sent for second in inside),
        ok=sum(second.ok for second in inside),
        failed=sum(second.failed for second in inside),
        missing=(end - begin) // SECOND * began.processes - len({(second.at, second.process) for second in inside}),
        p50=quantile(bands, 500),
        p95=quantile(bands, 950),
        p99=quantile(bands, 990),
    )


def _died(history: History) -> Iterator[str]:
    for event in history.of(LoadEnded):
        if event.error:
            yield f"process {event.process + 1} of the load is gone: {event.error}"


def _short(phase: LoadPhase, processes: int, *, broken: bool) -> Iterator[str]:
    """How a stretch of the load was not what was asked for; what nobody reported was not sent as far as we know."""
    long = (phase.end - phase.begin) // SECOND
    before = "before the fault" if broken else "in the whole drill"
    when = {"before": before, "during": "during the outage", "after": "after recovery"}[phase.name]
    if phase.missing > processes:
        yield f"{when}, what the load did is not known for {phase.missing} of {long * processes} seconds"
    if phase.end - phase.begin < SHORTEST:
        return
    if phase.wanted and phase.sent < phase.wanted * (1 - SHORTFALL):
        yield f"{when}, {phase.sent / long:.4g} requests were sent a second instead of {phase.wanted / long:.4g}"
    if phase.users and phase.ran < phase.users * (1 - SHORTFALL):
        yield f"{when}, {phase.ran / long:.4g} users ran instead of {phase.users / long:.4g}"
    if phase.wanted is None and not phase.sent and phase.name == "before":
        yield f"{when}, the load sent nothing"


def _capacity(phases: Sequence[LoadPhase]) -> Bounds | None:
    """Good answers after recovery as a share of before, each of the load that was asked for; ppm."""
    named = {phase.name: phase for phase in phases if phase.end - phase.begin >= SHORTEST}
    before, after = named.get("before"), named.get("after")
    if before is None or after is None or not before.ok or before.missing or after.missing:
        return None
    asked_before = before.wanted or before.users or (before.end - before.begin) / SECOND
    asked_after = after.wanted or after.users or (after.end - after.begin) / SECOND
    share = (after.ok / asked_after) / (before.ok / asked_before) * MILLION
    return Bounds(math.floor(share), math.ceil(share))
