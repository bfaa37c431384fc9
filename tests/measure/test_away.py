"""When several were away: on one timeline, whoever was away when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from drill.measure import bad_time, measure_probe, outage, recovery
from drill.measure.away import Away, at_once
from drill.model import Agreement, Plan, Probe, ProbeMeasure
from tests.measure.test_truth import HOLD, PERIOD, Run, inside, runs

Spans = list[tuple[int, int]]


@st.composite
def together(draw: st.DrawFn) -> list[Run]:
    """One fault, as up to four probes saw it."""
    first = draw(runs(most=3))
    return [first, *(draw(runs(most=3, other=first)) for _ in range(draw(st.integers(0, 3))))]


def plan(probes: int, agreement: Agreement, places: Sequence[int]) -> Plan:
    """Probe n looks from vantage places[n]; one at 0 has none."""
    about = [
        Probe(name=f"p{n}", kind="tcp", every=PERIOD, deadline=1, vantage=f"v{places[n]}" if places[n] else "")
        for n in range(probes)
    ]
    return Plan(drill="d", title="", system="s", objectives=(), probes=tuple(about), judged=(), agreement=agreement)


def incidents(run: Run, found: ProbeMeasure) -> Spans:
    """The true outages that a failed sample saw, those of one incident taken together."""
    whole = []
    for each in found.incidents:
        ((start, _),) = [span for span in run.down if span[0] <= each.first_failed < span[1]]
        ((_, end),) = [span for span in run.down if span[0] <= each.last_failed < span[1]]
        whole.append((start, end))
    return whole


def bridged(run: Run) -> Spans:
    """The outages seen, and the pauses between them that no good sample fell into."""
    good = [each.sent for each in run.seen if each.sent is not None and each.outcome.value == "ok"]
    hit = run.hit()
    return hit + [(x, y) for (_, x), (y, _) in pairwise(hit) if not any(x <= at < y for at in good)]


def ticks(told: Plan, each: Sequence[Spans]) -> list[int]:
    """Every tick at which the whole was away, when each probe was so in its spans."""
    when = {
        probe.name: {at for x, y in spans for at in range(x, y)} for probe, spans in zip(told.probes, each, strict=True)
    }
    parts = [when[probe.name] for probe in told.probes if not probe.vantage]
    seen: dict[str, set[int]] = {}
    for probe in told.probes:
        if probe.vantage:
            seen.setdefault(probe.vantage, set()).update(when[probe.name])
    if seen:
        least = len(seen) - told.agreement.needs(len(seen)) + 1
        parts.append({at for at in set().union(*seen.values()) if sum(at in one for one in seen.values()) >= least})
    return sorted(set().union(*parts))


@given(together(), st.sampled_from(Agreement), st.data())
@settings(max_examples=300, deadline=None)
def test_what_several_saw_together_holds_the_truth(seen: list[Run], agreement: Agreement, data: st.DataObject) -> None:
    """Of probes of their own and of vantages that must agree, whichever of them were away one after the other."""
    places = data.draw(st.lists(st.integers(0, 4), min_size=len(seen), max_size=len(seen)))
    told, t0 = plan(len(seen), agreement, places), seen[0].t0
    found = [measure_probe(f"p{n}", run.seen, t0, PERIOD, HOLD) for n, run in enumerate(seen)]

    rto, away, bad = recovery(told, found, t0), outage(told, found), bad_time(told, found)

    truth = ticks(told, [incidents(run, each) for run, each in zip(seen, found, strict=True)])
    if truth:
        assert inside(truth[-1] + 1 - seen[0].fault, rto)
        assert inside(truth[-1] + 1 - truth[0], away)
    else:
        assert rto is not None
        assert away is not None
        assert (rto.lower, away.lower) == (0, 0)
    least, most = (len(ticks(told, [of(run) for run in seen])) for of in (Run.hit, bridged))
    assert bad is not None
    assert bad.lower <= most
    assert bad.upper is None or least <= bad.upper


def test_two_that_were_away_in_turns_were_never_away_at_once() -> None:
    """However late the second came back; nor is one of two enough, and edges that nobody saw stay open."""
    early, late = Away(((10, 20),), 9, 21), Away(((40, 50),), 39, 51)

    assert at_once(2, [early, late]) is None
    assert at_once(2, [early, None]) is None
    assert at_once(1, [early, None, late]) == Away(((10, 20), (40, 50)), 9, 51)
    assert at_once(2, [early, Away(((15, 60),), None, None)]) == Away(((15, 20),), 9, 21)
    assert at_once(2, [Away(((20, 30),), None, 31), early]) == Away(((20, 20),), 9, 21)
    assert at_once(1, [early, Away(((5, 7),), None, None)]) == Away(((5, 7), (10, 20)), None, None)
