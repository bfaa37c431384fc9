"""What a report says a run does not show, and what it asks about its own figures."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from drill.limits import Unmeasured, limits
from drill.measure import measure
from drill.model import (
    SECOND,
    Began,
    Effect,
    Fate,
    History,
    Measure,
    Outcome,
    Parameters,
    Sample,
    StepBegan,
    StepEnded,
    Usual,
)
from drill.verdict import judge
from tests.measure.worlds import (
    AWAIT,
    INJECT,
    MS,
    RESTORE,
    WATCH,
    World,
    grid,
    objective,
    read,
    settled,
    window,
    write,
    writes,
)

DOWN_5S = [(1000, 6000)]


def said(history: History) -> list[str]:
    """Every limit, with ordinary spaces."""
    measured = measure(history)
    return [each.replace("\u00a0", " ") for each in limits(history, measured, judge(history, measured))]


def of(**world: Any) -> list[str]:
    return said(World(**world).history())


def planned(history: History, **changes: Any) -> History:
    began, *rest = history.events
    assert isinstance(began, Began)
    return History((replace(began, plan=replace(began.plan, **changes)), *rest))


@pytest.mark.parametrize(
    ("usual", "finding"),
    [
        (
            Usual(kind="patroni"),
            "Finding: a recovery time of 4.94–5.05 s is shorter than is usual for Patroni (20 s to 42 s): "
            "was something else measured?",
        ),
        (
            Usual(at_most=4 * SECOND),
            "Finding: a recovery time of 4.94–5.05 s is longer than is usual for such a failover (0 s to 4 s): "
            "was something else measured?",
        ),
        (
            Usual(at_least=10 * SECOND),
            "Finding: a recovery time of 4.94–5.05 s is shorter than is usual for such a failover (10 s to any): "
            "was something else measured?",
        ),
        (Usual(kind="aurora"), None),
        (Usual(at_least=5 * SECOND), None),
        (None, None),
    ],
)
def test_an_unusual_recovery_time_is_a_question(usual: Usual | None, finding: str | None) -> None:
    """Only where it surely lies outside of what is usual; no verdict hangs on it."""
    found = said(planned(World(samples={"reads": grid(20_000, DOWN_5S)}).history(), usual=usual))

    assert [each for each in found if each.startswith("Finding")] == ([finding] if finding else [])


def test_an_unusual_loss_is_a_finding() -> None:
    """A second and a half, where nothing at all is usual."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(500)),
        t0=window(4013, 4014),
    ).history()

    assert "Finding: a data loss of 1.51–1.52 s is more than is usual for Aurora with a replica (0 s at most)." in said(
        planned(history, usual=Usual(kind="aurora"))
    )
    assert "Finding: a data loss of 1.51–1.52 s is more than is usual for such a failover (1 s at most)." in said(
        planned(history, usual=Usual(loss=SECOND))
    )


def test_a_partial_outage_says_how_much_its_edges_blur() -> None:
    """Every second request failed for five seconds: the edges are good to 3T/f."""
    half = [(at, at + 100) for at in range(1000, 6000, 200)]

    assert (
        "reads: 51.02 % of the requests failed during its outage, not all: "
        "its edges are estimates, good to about 589 ms." in of(samples={"reads": grid(20_000, half)})
    )


def test_a_flap_does_not_make_an_outage_partial() -> None:
    """One good answer in five seconds."""
    found = of(samples={"reads": grid(20_000, [(1000, 3000), (3100, 6000)])})

    assert not any("its edges are estimates" in each for each in found)


def test_each_probe_whose_outage_was_partial_is_named() -> None:
    """Up to nine failures of ten; a total outage beside them is not one."""
    half = [(at, at + 100) for at in range(1000, 6000, 200)]
    nine_of_ten = [(1000, 1500), (1600, 2000)]
    found = of(samples={"all": grid(20_000, DOWN_5S), "half": grid(20_000, half), "most": grid(20_000, nine_of_ten)})

    assert [each.partition(" of the requests")[0] for each in found if "its edges are estimates" in each] == [
        "half: 51.02 %",
        "most: 90 %",
    ]


def test_an_edge_that_was_not_measured_is_told() -> None:
    """More than three periods without an answer."""
    found = of(samples={"reads": grid(20_000, DOWN_5S, missing=set(range(5600, 7000, 100)))})

    assert "reads: an edge of the outage falls in a stretch that was not measured." in found


def test_a_cache_that_was_cold_has_no_sharp_edge() -> None:
    """Its hits come back one by one."""
    hits = [replace(each, value=0.0 if 1000 * MS <= each.planned < 5000 * MS else 1.0) for each in grid(30_000)]
    sentence = "When the cache was warm again is an estimate: a share of requests has no sharp edges."

    assert sentence in of(samples={"reads": grid(30_000)}, cache={"hits": hits})
    assert sentence not in of(samples={"reads": grid(30_000)}, cache={"hits": grid(30_000)})


def test_capacity_that_is_an_objective_was_not_forgotten() -> None:
    """Its verdict says why it is not known."""
    found = of(samples={"reads": grid(20_000, DOWN_5S)}, objectives=[objective(Measure.CAPACITY, 800_000)])

    assert NO_CAPACITY not in found


def test_one_way_to_write_sees_one_server() -> None:
    """Unless it saw two."""
    alone = [write(i, 5 * i, 5 * i + 1, served_by="east/1") for i in range(800)]
    twice = [write(i, 5 * i, 5 * i + 1, served_by=f"node-{i % 2}/{i % 2}") for i in range(800)]
    sentence = (
        "writes: two servers at once would only have shown on the way that writes takes; "
        "a probe that writes straight to each server (with the same store) sees more."
    )

    assert sentence in of(samples={"reads": grid(20_000)}, ledger=alone)
    assert sentence not in of(samples={"reads": grid(20_000)}, ledger=twice)
    assert sentence not in of(samples={"reads": grid(20_000)}, ledger=alone, judge_ledger=False)


def test_answers_that_name_nobody_show_no_split_brain() -> None:
    """And the report says so."""
    sentence = (
        "writes: whether two servers took writes at once is not known, because no answer names a server and its epoch."
    )

    assert sentence in of(samples={"reads": grid(20_000)}, ledger=writes(800))


def test_a_loss_of_an_observed_ledger_is_told() -> None:
    """Nobody asked for it, and still it is gone."""
    world: dict[str, Any] = {
        "samples": {"reads": grid(30_000, [(4100, 9000)])},
        "ledger": writes(800),
        "reads": settled(20_000, range(799)),
        "t0": window(4013, 4014),
    }
    sentence = "writes, observed and not judged: 1 acknowledged write is gone."

    assert sentence in of(**world, judge_ledger=False)
    assert sentence not in of(**world)
    more = world | {"reads": settled(20_000, range(798))}
    assert "writes, observed and not judged: 2 acknowledged writes are gone." in of(**more, judge_ledger=False)


def test_an_extrapolated_loss_is_marked_as_one() -> None:
    """Whatever was lost."""
    history = World(
        samples={"reads": grid(30_000, [(4100, 9000)])},
        ledger=writes(800),
        reads=settled(20_000, range(800)),
        t0=window(4013, 4014),
    ).history()
    sentence = "The loss at 250 commits per second is an extrapolation: losses in one failover are not independent."

    assert sentence in said(planned(history, commit_rate=250.0))
    assert sentence not in said(history)


# --- whole lists ------------------------------------------------------------------------------------------------------

ONE_PLACE = (
    "The service was watched from one place, the machine that ran drill. "
    "A failure that began and ended within 100 ms may not have been seen."
)
NO_DATA = "Data loss was not looked for: no probe of this drill writes."
NO_CAPACITY = "Capacity after recovery was not tested: no minimum_capacity is set."
NO_REPLICAS = "Whether replicas came back was not tested: no probe of redundancy is named."
NO_SERVERS = (
    "writes: whether two servers took writes at once is not known, because no answer names a server and its epoch."
)


def test_a_clean_run_still_has_its_limits() -> None:
    """One run, one place, and what it did not look at."""
    found = of(
        samples={"reads": grid(20_000, DOWN_5S)},
        objectives=[objective(Measure.RTO, 30_000)],
        steps=(WATCH, INJECT, AWAIT, RESTORE),
    )

    assert found == [
        ONE_PLACE,
        NO_DATA,
        NO_CAPACITY,
        NO_REPLICAS,
        "This is one run. One clean run shows, with 95 % confidence, that at least 5 % of such runs are met.",
    ]


def test_a_run_that_broke_nothing_and_was_killed_says_both() -> None:
    """And which objective that leaves open."""
    found = of(samples={"reads": grid(5000)}, t0=None, completion=None, objectives=[objective(Measure.RTO, 30_000)])

    assert found == [
        "rto is not decided: no fault was carried out",
        "The journal has no end: whatever happened after its last line is not known.",
        "No fault was carried out, so this run says nothing of recovery.",
        NO_DATA,
    ]


def test_everything_that_went_wrong_is_told() -> None:
    """Steps, faults, samples and clocks."""
    odd = [
        Sample(at * MS, None, None, Outcome.UNKNOWN, why)
        for at, why in ((300, "a long stall"), (2000, "no sockets left"), (2100, "no sockets left"))
    ]
    seen = [each for each in grid(20_000, [(500, 600), *DOWN_5S]) if each.planned not in {one.planned for one in odd}]
    found = of(
        samples={"reads": sorted([*seen, *odd], key=lambda each: each.planned), "more": grid(20_000, unknown={400.0})},
        effect=Effect.NONE,
        failed=("orders answered 500",),
        step_ends={
            1: StepEnded(at=9000 * MS, n=1, done=False, reason="it failed"),
            2: StepEnded(at=9000 * MS, n=2, done=False),
        },
        verified=False,
        parameters=Parameters(onset_ratio=0.05, minimum_capacity=0.5),
        boot_jump=5000,
    )

    assert found == [
        "Step 2 (inject outage) was not completed: it failed.",
        "Step 3 (await recovery) was not completed: no reason is recorded.",
        "The fault had no effect: outage had no effect",
        "outage found amiss: orders answered 500",
        "It is not proved that outage was undone.",
        ONE_PLACE,
        "reads: 3 of 201 samples are unknown (no sockets left) and prove nothing.",
        "reads: it failed before the fault.",
        "more: 1 of 201 samples is unknown (no reason is recorded) and proves nothing.",
        "This machine was suspended during the run: its durations cannot be trusted.",
        "The drill accepts some failures as normal: the edges of a partial outage are estimates, not bounds.",
        NO_DATA,
        NO_REPLICAS,
    ]


def test_a_fault_that_nothing_proves_says_so() -> None:
    """No outage was seen, and its engine cannot tell."""
    found = of(samples={"reads": grid(20_000)}, effect=Effect.UNKNOWN)

    assert found[0] == "Nothing proves that the fault bit: nothing shows that outage took effect"


def test_steps_that_were_never_begun_or_ended_are_told_apart() -> None:
    """The journal stops in the first of them."""
    events = World(samples={"reads": grid(20_000, DOWN_5S)}, steps=(WATCH, INJECT)).history().events
    kept = [each for each in events if not isinstance(each, StepEnded) and each != StepBegan(at=0, n=1)]

    assert said(History(tuple(kept))) == [
        "Step 1 (watch) was not completed: the run ended first.",
        "Step 2 (inject outage) was never begun.",
        ONE_PLACE,
        NO_DATA,
        NO_CAPACITY,
        "The drill does not wait for recovery, so a late one may lie outside it.",
        NO_REPLICAS,
    ]


LEDGER: dict[str, Any] = {"samples": {"reads": grid(30_000, [(4100, 9000)])}, "t0": window(4013, 4014)}


def of_the_ledger(**world: Any) -> list[str]:
    """What is said of the writes alone."""
    return [each for each in of(**LEDGER, **world) if each.startswith("writes: ")]


@pytest.mark.parametrize(
    ("survivors", "unknown", "said_of_them"),
    [
        (range(500), 2, "2 writes got no answer and are neither lost nor safe; at worst 302 writes are gone."),
        (range(800), 1, "1 write got no answer and is neither lost nor safe; at worst 1 write is gone."),
        ([*range(800), 900], 1, "1 write got no answer and is neither lost nor safe."),
    ],
)
def test_writes_without_an_answer_are_counted(survivors: list[int], unknown: int, said_of_them: str) -> None:
    """The worst case holds them all, but for those that are there."""
    unanswered = [write(900 + n, 4500 + n, 5000, Fate.UNKNOWN) for n in range(unknown)]

    assert f"writes: {said_of_them}" in of_the_ledger(
        ledger=[*writes(800), *unanswered], reads=settled(20_000, survivors)
    )


def test_too_few_writes_prove_no_safety() -> None:
    """How many there were, and what could not have shown."""
    found = of_the_ledger(ledger=writes(3), reads=settled(20_000, range(3)))

    assert found == [
        "writes: 0 writes acknowledged just before the fault, 100 needed to say that nothing was lost.",
        "writes: a loss shorter than 4.01 s could not have shown.",
        NO_SERVERS,
    ]


def test_a_loss_that_showed_hides_no_smaller_one() -> None:
    """What could not have shown is said only where nothing did."""
    assert of_the_ledger(ledger=writes(800), reads=settled(20_000, range(500))) == [NO_SERVERS]


def test_survivors_that_never_settled_are_not_known() -> None:
    """One reading is none; nothing else is said of that ledger."""
    assert of_the_ledger(ledger=writes(800), reads=[read(20_000, range(800))]) == [
        "writes: what survived is not known, because no reading settled.",
        NO_SERVERS,
    ]


# --- why a number is null ---------------------------------------------------------------------------------------------

NEVER_BROKEN = "no fault was carried out"
NO_CACHE = "no probe of a cache is named"
NO_REDUNDANCY = "no probe of redundancy is named"
WHY = {
    "recovery": "no judged probe decided anything after the fault",
    "failback": "nothing was undone while probes were running",
    "failback_loss": "no undo lay between a recovery and two readings that agree",
    "on_secondary": "nothing told of a promotion",
    "unprotected": NO_REDUNDANCY,
    "work_recovery": "service was not seen back, or no two readings of its data agreed",
    "cold_cache": NO_CACHE,
    "split_brain": "no answer to a write names its server and epoch",
    "redundancy": NO_REDUNDANCY,
    "loss": "the bounds of the loss are not known",
}


@pytest.mark.parametrize(
    ("world", "why"),
    [
        ({"ledger": writes(800), "reads": settled(20_000, range(800))}, {}),
        ({"ledger": writes(5)}, {"loss": "no reading of the survivors settled"}),
        ({"ledger": writes(5), "t0": None}, {"recovery": NEVER_BROKEN, "loss": NEVER_BROKEN}),
        (
            {"t0": None, "redundancy": {"replicas": grid(5000)}},
            {
                "recovery": NEVER_BROKEN,
                "redundancy": NEVER_BROKEN,
                "unprotected": "nothing told of a promotion",
                "split_brain": "no probe writes",
                "loss": "no probe writes, so nothing could be found lost",
            },
        ),
        (
            {"redundancy": {"replicas": grid(5000)}, "cache": {"hits": grid(5000)}},
            {
                "redundancy": "the samples do not show replicas coming back",
                "unprotected": "nothing told of a promotion",
                "cold_cache": "no baseline of hits and misses before the fault, or nothing watched after it",
                "split_brain": "no probe writes",
                "loss": "no probe writes, so nothing could be found lost",
            },
        ),
    ],
)
def test_every_null_has_its_reason(world: dict[str, Any], why: dict[str, str]) -> None:
    """One sentence for each kind of number."""
    history = World(samples={"reads": grid(5000)}, **world).history()

    assert vars(Unmeasured(history, measure(history))) == WHY | why
