"""Several vantages of one service, and shards."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.limits import limits
from drill.measure import agreed, measure
from drill.model import Agreement, Bounds, Measure, Plan, Probe, ShardMeasure, Sighted, Verdict
from drill.verdict import judge
from tests.measure.worlds import World, bounds, grid, objective, settled, window, writes

PARIS = [(1000, 3000)]
ROME = [(1000, 4000)]
OSLO = [(1000, 9000)]


def seen(agreement: Agreement = Agreement.ALL, **more: object) -> World:
    """One service from three vantages, of which each saw it back at another time."""
    return World(
        samples={name: grid(25_000, down) for name, down in (("paris", PARIS), ("rome", ROME), ("oslo", OSLO))},
        about={name: {"vantage": name, "service": "orders"} for name in ("paris", "rome", "oslo")},
        agreement=agreement,
        objectives=[objective(Measure.RTO, 5_000), objective(Measure.RTO, 5_000, probe="oslo")],
        **more,  # type: ignore[arg-type]
    )


def plan(vantages: int, agreement: Agreement, lone: int = 0) -> Plan:
    probes = [Probe(name=f"p{n}", kind="tcp", every=1, deadline=1, vantage=f"v{n}") for n in range(vantages)]
    probes += [Probe(name=f"lone{n}", kind="tcp", every=1, deadline=1) for n in range(lone)]
    return Plan(drill="d", title="", system="s", objectives=(), probes=tuple(probes), judged=(), agreement=agreement)


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7), st.data()
)
def test_the_time_at_which_enough_vantages_saw_it_back_is_inside(
    each: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """Whatever doubt each vantage has: the true instant at which k of n were back lies in the bounds of k of n."""
    agreement = data.draw(st.sampled_from(Agreement))
    truth = sorted(true for true, _, _ in each)[agreement.needs(len(each)) - 1]
    told = {
        f"p{n}": Bounds(max(0, true - less), data.draw(st.sampled_from([true + more, None])))
        for n, (true, less, more) in enumerate(each)
    }

    found = agreed(plan(len(each), agreement), told)

    assert found is not None
    assert found.lower <= truth <= (inf if found.upper is None else found.upper)


@pytest.mark.parametrize(("vantages", "needs"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)])
def test_a_quorum_is_two_thirds(vantages: int, needs: int) -> None:
    """Rounded up: of two vantages both are needed, for one cannot outvote the other."""
    assert Agreement.QUORUM.needs(vantages) == needs
    assert (Agreement.ANY.needs(vantages), Agreement.ALL.needs(vantages)) == (1, vantages)


@pytest.mark.parametrize(
    ("agreement", "rto", "verdict"),
    [
        (Agreement.ANY, bounds(1940, 2050), Verdict.MET),
        (Agreement.QUORUM, bounds(2940, 3050), Verdict.MET),
        (Agreement.ALL, bounds(7940, 8050), Verdict.MISSED),
    ],
)
def test_the_drill_says_how_many_vantages_must_agree(agreement: Agreement, rto: Bounds, verdict: Verdict) -> None:
    """One, two thirds or all of them; an objective about one probe is about that one whatever the others saw."""
    history = seen(agreement).history()
    measured = measure(history)
    first, one, *_ = judge(history, measured).judged

    assert (measured.rto, first.bounds, first.verdict) == (rto, rto, verdict)
    assert (one.bounds, one.verdict) == (bounds(7940, 8050), Verdict.MISSED)


def test_every_agreement_is_measured_whichever_is_judged() -> None:
    """Each vantage by itself, then any, a quorum and all of them, with recovery time and outage."""
    (found,) = measure(seen().history()).services

    assert found.service == "orders"
    assert found.vantages == (
        Sighted(name="paris", probes=("paris",), rto=bounds(1940, 2050), outage=bounds(1900, 2100)),
        Sighted(name="rome", probes=("rome",), rto=bounds(2940, 3050), outage=bounds(2900, 3100)),
        Sighted(name="oslo", probes=("oslo",), rto=bounds(7940, 8050), outage=bounds(7900, 8100)),
    )
    assert found.together == (
        Sighted(name="any", needs=1, rto=bounds(1940, 2050), outage=bounds(1900, 2100)),
        Sighted(name="quorum", needs=2, rto=bounds(2940, 3050), outage=bounds(2900, 3100)),
        Sighted(name="all", needs=3, rto=bounds(7940, 8050), outage=bounds(7900, 8100)),
    )


def test_whoever_is_outvoted_is_named_with_what_it_saw() -> None:
    """Leaving a vantage out needs its evidence beside it."""
    history = seen(Agreement.QUORUM).history()
    measured = measure(history)
    said = [each.replace("\u00a0", " ") for each in limits(history, measured, judge(history, measured))]

    assert (
        "orders is judged as 2 of 3 vantages saw it (quorum). "
        "What the others saw of its recovery does not count: oslo 7.94–8.05 s."
    ) in said
    all_of_them = seen().history()
    assert not any(
        "vantages saw it" in each
        for each in limits(all_of_them, measure(all_of_them), judge(all_of_them, measure(all_of_them)))
    )


def test_a_vantage_that_never_saw_it_back_is_outvoted_last() -> None:
    """Without an upper bound it is later than any that has one."""
    world = seen(Agreement.ANY)
    # Nobody asked from there after two seconds, so what it saw is short, and without an end.
    world.samples["paris"] = grid(2000, [(1000, 30_000)])
    history = world.history()
    measured = measure(history)
    said = [each.replace("\u00a0", " ") for each in limits(history, measured, judge(history, measured))]

    assert measured.rto == bounds(1040, 3050)
    assert (
        "orders is judged as 1 of 3 vantages saw it (any). "
        "What the others saw of its recovery does not count: oslo 7.94–8.05 s; paris ≥ 1.04 s, never recovered."
    ) in said


def test_every_service_is_told_and_one_without_a_name_is_the_service() -> None:
    """One vantage cannot be outvoted; the next service's can."""
    world = seen(Agreement.QUORUM)
    world.samples["lone"] = grid(25_000, PARIS)
    world.samples = {"lone": world.samples["lone"], **world.samples}
    world.about = {name: {"vantage": name} for name in ("paris", "rome", "oslo")}
    world.about["lone"] = {"vantage": "here", "service": "front"}
    history = world.history()
    measured = measure(history)

    assert [each.partition(" vantages")[0] for each in limits(history, measured, judge(history, measured))][1:2] == [
        "The service is judged as 2 of 3"
    ]


def test_probes_of_one_vantage_must_agree_first() -> None:
    """From one place, reads and writes must both be back; a service of its own is needed beside."""
    two = {f"p{n}": Bounds(n, n + 1) for n in range(3)} | {"lone0": Bounds(7, 9)}
    probes = [
        Probe(name=name, kind="tcp", every=1, deadline=1, vantage=vantage)
        for name, vantage in (("p0", "here"), ("p1", "here"), ("p2", "there"), ("lone0", ""))
    ]
    any_of = Plan(
        drill="d", title="", system="s", objectives=(), probes=tuple(probes), judged=(), agreement=Agreement.ANY
    )

    assert agreed(any_of, {name: two[name] for name in ("p0", "p1", "p2")}) == Bounds(1, 2)
    assert agreed(any_of, two) == Bounds(7, 9)
    assert agreed(any_of, {**two, "p2": None}) is None
    assert agreed(any_of, {}) is None


def test_each_shard_is_told_apart() -> None:
    """One shard of two was hit: its times and its lost writes stand by themselves, and the whole is the worst."""
    about = {"a": {"shard": "eu"}, "b": {"shard": "us"}, "writes": {"shard": "us"}}
    world = World(
        samples={"a": grid(20_000), "b": grid(20_000, [(1000, 6000)])},
        ledger=writes(800),
        reads=settled(12_000, range(150)),
        about=about,
    )
    measured = measure(world.history())
    (ledger,) = measured.ledgers

    assert measured.shards == (
        ShardMeasure(name="eu", probes=("a",), hit=False, rto=bounds(0, 100), outage=bounds(0, 100), error_time=0),
        ShardMeasure(
            name="us",
            probes=("b", "writes"),
            hit=True,
            rto=measured.rto,
            outage=measured.outage,
            error_time=5_000_000_000,
            rpo=ledger.rpo,
            lost_writes=Bounds(650, 650),
        ),
    )


def test_a_shard_that_nobody_judges_says_so() -> None:
    """Redundancy of a shard alone gives no outage of it."""
    world = World(
        samples={"a": grid(20_000)}, redundancy={"replicas": grid(20_000)}, about={"replicas": {"shard": "eu"}}
    )

    assert measure(world.history()).shards == (ShardMeasure(name="eu", probes=("replicas",)),)


def test_outages_of_two_services_one_after_the_other_add_up() -> None:
    """One away from 10 to 20 s, the other from 20 to 30 s: their users were without service for 20 s, not ten."""
    world = World(
        samples={"a": grid(45_000, [(10_000, 20_000)]), "b": grid(45_000, [(20_000, 30_000)])},
        t0=window(9950, 9960),
        objectives=[objective(Measure.OUTAGE, 15_000), objective(Measure.BAD_TIME, 15_000)],
    )
    history = world.history()
    measured = measure(history)

    assert (measured.rto, measured.outage, measured.bad_time) == (
        bounds(19_940, 20_050),
        bounds(19_900, 20_100),
        bounds(9900, 20_100),
    )
    assert [each.verdict for each in judge(history, measured).judged[:2]] == [Verdict.MISSED, Verdict.INCONCLUSIVE]


@pytest.mark.parametrize(
    ("agreement", "rto", "outage", "bad_time"),
    [
        (Agreement.ANY, bounds(0, 10_050), bounds(0, 10_100), bounds(0, 10_100)),
        (Agreement.QUORUM, bounds(19_940, 20_050), bounds(19_900, 20_100), bounds(0, 20_100)),
        (Agreement.ALL, bounds(19_940, 20_050), bounds(19_900, 20_100), bounds(19_900, 20_100)),
    ],
)
def test_vantages_are_put_on_one_timeline(agreement: Agreement, rto: Bounds, outage: Bounds, bad_time: Bounds) -> None:
    """Away from 10 to 20, 20 to 30 and 10 to 30 s: two of three always saw it away, and all three never."""
    downs = {"paris": (10_000, 20_000), "rome": (20_000, 30_000), "oslo": (10_000, 30_000)}
    world = World(
        samples={name: grid(45_000, [down]) for name, down in downs.items()},
        t0=window(9950, 9960),
        about={name: {"vantage": name} for name in downs},
        agreement=agreement,
    )
    measured = measure(world.history())

    assert (measured.rto, measured.outage, measured.bad_time) == (rto, outage, bad_time)


def test_vantages_that_went_away_in_turns_never_made_it_late() -> None:
    """Each of three was away for a while, two of them late, but never two at a time: a quorum may always have been."""
    downs = {"paris": [(10_000, 11_000), (50_000, 51_000)], "rome": [(75_000, 76_000)], "oslo": [(15_000, 16_000)]}
    world = World(
        samples={name: grid(90_000, down) for name, down in downs.items()},
        t0=window(9950, 9960),
        about={name: {"vantage": name} for name in downs},
        agreement=Agreement.QUORUM,
    )

    assert measure(world.history()).rto == bounds(0, 41_050)
