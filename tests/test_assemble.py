from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.assemble import assemble
from drill.assemble.units import percentile, span, utc
from drill.model import (
    Bounds,
    Effect,
    Ended,
    History,
    Injected,
    Measure,
    Outcome,
    Restored,
    Samples,
    SurvivorRead,
    Survivors,
)
from drill.record import Artifact, BoundsS, FaultRecord, Instant, Record, StepRecord
from drill.reports.html import HtmlFormat
from tests.reports import worlds
from tests.reports.worlds import Story, region_failover, the_run


def without(history: History, *kinds: type) -> History:
    return History(events=tuple(event for event in history.events if not isinstance(event, kinds)))


def test_a_record_says_who_when_and_what() -> None:
    """Identity, times and digests come from the journal as they are."""
    record = the_run("missed").record

    assert (record.schema, record.run_id, record.drill, record.system, record.trigger) == (
        "drill-report-v1",
        "20261121-160000-region-failover-7f3a",
        "region-failover",
        "orders",
        "manual",
    )
    assert (record.started_at, record.ended_at, record.duration_s) == (
        "2026-11-21T16:00:00.000Z",
        "2026-11-21T16:01:00.500Z",
        60.5,
    )
    assert record.clock["drift_ppm"] == 4.1
    assert record.plan["files"][0] == {"path": "drills/region-failover.yaml", "sha256": "ab" * 32}


def test_a_fault_is_written_down_with_its_proof_and_its_undoing() -> None:
    """When it was carried out, what proves it, and when it was verifiably undone; seconds since the run began."""
    assert the_run("missed").record.faults == [
        FaultRecord(
            name="region-outage",
            title="Every process of east is killed at once",
            engine="chaostoolkit",
            injected_at=Instant(lower=10.012, upper=10.058),
            effect="shown",
            evidence="9 of 9 processes of east are gone",
            details=[{"killed": 9, "region": "east"}],
            failed=[],
            restored=True,
            restored_at=Instant(lower=45.001, upper=51.2),
        )
    ]


def test_a_fault_that_never_was_has_no_time() -> None:
    """A refused run has its faults listed, with null and the reason."""
    (fault,) = the_run("refused").record.faults

    assert (fault.injected_at, fault.restored, fault.evidence, fault.reason) == (
        None,
        None,
        None,
        "it was never carried out",
    )


def test_an_activity_that_never_returned_may_have_acted_until_the_end() -> None:
    """Without its return, the fault's upper bound is the journal's last moment, not a guess."""
    history = region_failover()
    killed = without(
        history,
        Ended,
        Injected,
        Restored,
        *[type(event) for event in history.events if event.__class__.__name__ == "Done"],
    )

    record = assemble(killed)

    assert record.faults[0].injected_at is not None
    assert record.faults[0].injected_at.upper > 58
    assert record.activities[0].ended is None
    assert record.activities[0].error == "it never returned"


def test_steps_show_what_was_planned_and_what_was_not_done() -> None:
    """Each step with its plan, how long it took, and the reason when it never came to it."""
    steps = the_run("aborted").record.steps

    assert steps[0] == StepRecord(
        name="watch", planned="for\u00a010\u00a0s".replace("for\u00a0", "for "), actual_s=9.98, began=0.02, done=True
    )
    assert (steps[4].name, steps[4].done, steps[4].reason) == ("await redundancy", False, "it never began")


def test_the_probers_own_health_is_counted() -> None:
    """Sent, ok, failed and unknown add up, and lateness and gaps are the prober's own."""
    history = region_failover()
    reads = next(probe for probe in assemble(history).probes if probe.name == "orders-reads")
    samples = history.samples("orders-reads")

    assert reads.ok + reads.failed + reads.unknown == len(samples)
    assert reads.sent == sum(sample.sent is not None for sample in samples)
    assert reads.unknown == 3
    # Three samples of 100 ms were not sent, so four periods lie between two that were.
    assert reads.max_gap_s == pytest.approx(0.4, abs=0.01)
    assert reads.late == 0
    assert {(reason.outcome, reason.detail): reason.samples for reason in reads.reasons} == {
        (sample.outcome.value, sample.detail): sum(
            other.detail == sample.detail and other.outcome is sample.outcome for other in samples
        )
        for sample in samples
        if sample.outcome is not Outcome.OK
    }


def test_latency_counts_from_the_planned_moment() -> None:
    """A request that waited to be sent was slow for its user, whatever the wire says."""
    history = region_failover(Story(down=((10.04, 10.05),), restore=None, ends=12.0, lost=0))
    slow = [
        msgspec.structs.replace(
            event,
            samples=tuple(
                msgspec.structs.replace(sample, sent=sample.planned + 900_000_000, ended=sample.planned + 901_000_000)
                if sample.outcome is Outcome.OK
                else sample
                for sample in event.samples
            ),
        )
        if isinstance(event, Samples)
        else event
        for event in history.events
    ]

    reads = next(probe for probe in assemble(History(events=tuple(slow))).probes if probe.name == "orders-reads")

    assert (reads.latency_p50_s, reads.latency_p99_s) == (0.901, 0.901)
    assert reads.late == reads.sent


def test_the_ledger_counts_its_sets_and_shows_examples() -> None:
    """137 lost ids are a count and ten of them, enough to look them up."""
    (ledger,) = the_run("missed").record.ledger

    assert (ledger.lost, len(ledger.examples["lost"]), ledger.settled) == (137, 10, True)
    assert ledger.worst_case == 137 + (ledger.absent or 0)


def test_a_ledger_that_nobody_read_knows_nothing() -> None:
    """Without a settled reading the sets are null with the reason, not zero."""
    (ledger,) = assemble(without(region_failover(), Survivors)).ledger

    assert (ledger.survivors, ledger.lost, ledger.holes, ledger.worst_case, ledger.duplicates) == (None,) * 5
    assert ledger.rpo.lower_s is None
    assert ledger.reason


@pytest.mark.parametrize("name", sorted(worlds.HISTORIES))
def test_nothing_unmeasured_is_a_number(name: str) -> None:
    """Wherever a bound is null there is a reason beside it, and wherever there is a bound it is not made up."""
    decoded = msgspec.json.decode(msgspec.json.encode(the_run(name).record))

    for where, value in walk(decoded["measured"]):
        for key in ("lower_s", "upper_s", "lower", "upper"):
            if key in value and value[key] is None:
                assert value["reason"], f"{where}.{key}"


def walk(value: object, where: str = "") -> list[tuple[str, dict[str, object]]]:
    """Every object inside a JSON value, with where it is."""
    found: list[tuple[str, dict[str, object]]] = []
    if isinstance(value, dict):
        found.append((where, value))
        for key, inner in value.items():
            found += walk(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            found += walk(inner, f"{where}[{n}]")
    return found


def test_a_run_without_an_end_still_has_a_record() -> None:
    """When the conductor died, the journal's end is missing: said so, and nothing invented."""
    record = assemble(without(region_failover(), Ended))

    assert (record.result, record.cause, record.ended_at, record.duration_s) == ("aborted", "crash", None, None)
    assert record.clock["drift_ppm"] is None
    assert record.clock["reason"]
    assert any("has no end" in limit for limit in record.limits)


def test_an_unsafe_run_says_what_to_do() -> None:
    """The engine's own instructions, and only when a fault may be in place."""
    assert the_run("unsafe").record.instructions == [
        "Run: drill lab up",
        "Check that postgres of east follows the leader: drill lab status",
    ]
    assert the_run("missed").record.instructions == []


def test_an_undo_without_instructions_still_names_a_way_out() -> None:
    """Whatever an engine left out, a person is told what was broken and which command undoes it."""
    history = worlds.unsafe()
    silent = [
        msgspec.structs.replace(event, instructions=())
        if isinstance(event, Restored)
        else msgspec.structs.replace(event, undo=msgspec.structs.replace(event.undo, instructions=()))
        if event.__class__.__name__ == "Prepared"
        else event
        for event in history.events
    ]

    assert assemble(History(events=tuple(silent))).instructions == [
        "Undo region-outage by hand, or run: drill restore 20261121-160000-region-failover-7f3a"
    ]


def test_limits_say_what_was_not_shown() -> None:
    """A fault without proof, unknown samples and what was never tested are all named."""
    record = assemble(region_failover(Story(effect=Effect.NONE, down=((59.0, 59.01),), lost=0)))

    said = "\n".join(record.limits)
    for part in ("had no effect", "are unknown", "one place", "Capacity after recovery was not tested"):
        assert part in said


def test_attachments_are_listed_in_order() -> None:
    """Files of the run come with their digests, sorted by path."""
    two = [Artifact(path=path, sha256="00" * 32, bytes=1, media_type="text/plain") for path in ("b", "a")]

    assert [artifact.path for artifact in assemble(region_failover(), attachments=two).artifacts] == ["a", "b"]


def test_a_ratio_is_a_share_of_one() -> None:
    """Errors are judged in parts per million and reported as a share."""
    record = assemble(region_failover(Story(targets={Measure.ERROR_RATIO: 10_000})))

    objective = record.objectives[0]
    assert (objective.target, objective.target_s) == (0.01, None)
    assert objective.lower is not None
    assert 0 < objective.lower < 1


def test_the_order_of_the_journal_does_not_matter_for_samples() -> None:
    """Samples that arrived late in the journal are the same samples."""
    history = region_failover()
    ended = history.ended
    assert ended is not None
    samples = [event for event in history.events if isinstance(event, Samples)]
    rest = [event for event in history.events if not isinstance(event, Samples | Ended)]

    shuffled = History(events=(*rest, *reversed(samples), ended), digest=history.digest)

    assert assemble(shuffled) == assemble(history)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([0.05, 0.5, 0.95, 0.99]))
def test_a_percentile_is_a_value_that_was_seen(values: list[int], share: float) -> None:
    """Nearest rank: at least that share of the values is not above it, and it is the smallest such value."""
    ordered = sorted(values)

    found = percentile(ordered, share)

    assert found in values
    enough = round(share * 1000) * len(values)
    assert sum(value <= found for value in values) * 1000 >= enough
    assert sum(value < found for value in values) * 1000 < enough


def test_times_are_utc_to_the_millisecond() -> None:
    """Rounded down, whatever the machine's zone."""
    assert utc(1_795_276_800_123_999_999) == "2026-11-21T16:00:00.123Z"


def test_a_bound_without_an_end_says_so() -> None:
    """Null has its reason beside it."""
    assert span(Bounds(19_000_000_000, None), "") == BoundsS(lower_s=19.0, upper_s=None, reason="the run ended first")


def test_a_failed_read_of_survivors_is_not_an_empty_store() -> None:
    """A reading that failed proves neither loss nor survival."""
    history = region_failover()
    blind = tuple(
        Survivors(
            at=event.at,
            probe=event.probe,
            read=SurvivorRead(sent=event.read.sent, ended=event.read.ended, error="connection refused"),
        )
        if isinstance(event, Survivors)
        else event
        for event in history.events
    )

    record = assemble(History(events=blind))

    assert record.measured.lost_writes.lower is None or record.ledger[0].lost is None
    assert record.result != "met"


def lagging(value: float | None) -> History:
    """The usual run, in which the observed probe tells replication lag: *value* seconds each time."""
    history = region_failover()
    plan = history.plan
    probes = tuple(
        msgspec.structs.replace(probe, shows="replication_lag") if probe.name == "sessions" else probe
        for probe in plan.probes
    )
    began = msgspec.structs.replace(history.began, plan=msgspec.structs.replace(plan, probes=probes))
    events = [
        msgspec.structs.replace(
            event,
            samples=tuple(msgspec.structs.replace(each, value=value, served_by="east") for each in event.samples),
        )
        if isinstance(event, Samples) and event.probe == "sessions"
        else event
        for event in history.events[1:]
    ]
    return History((began, *events))


def test_lag_stands_beside_the_loss_and_not_in_its_place() -> None:
    """The last reading before the fault with its age; the measured loss is the same with it and without."""
    record = assemble(lagging(0.0015))
    (estimate,) = record.estimates

    assert (estimate.probe, estimate.of, estimate.source) == ("sessions", "replication_lag", "east")
    assert (estimate.value_s, estimate.error, estimate.highest_s, estimate.empty) == (0.0015, None, 0.0015, 0)
    assert estimate.sampled_at is not None
    assert estimate.age.lower_s is not None
    assert 0 < estimate.age.lower_s < 0.2
    assert record.measured.rpo == assemble(region_failover()).measured.rpo


def test_lag_that_was_not_told_is_null() -> None:
    """An idle primary tells no lag; the record says null and why, never 0."""
    (estimate,) = assemble(lagging(None)).estimates

    assert (estimate.value_s, estimate.error, estimate.highest_s) == (None, "the system gave no value", None)
    assert estimate.readings == estimate.empty > 0


@pytest.mark.parametrize(
    ("value", "said"), [(0.0015, "1.5 ms"), (None, "nothing: the system gave no value")], ids=["told", "not told"]
)
def test_the_page_shows_lag_beside_the_loss(value: float | None, said: str) -> None:
    """A small table says what the system told of itself and what was measured."""
    history = lagging(value)
    page = HtmlFormat().render(assemble(history), history).decode().replace("\u00a0", " ")
    table = page.partition("What replication lag said, beside what was measured")[2].partition("</table>")[0]

    assert said in table
    assert "What replication lag said" not in HtmlFormat().render(*_plain()).decode()


def _plain() -> tuple[Record, History]:
    history = region_failover()
    return assemble(history), history


def test_failing_back_has_its_own_figures() -> None:
    """The story's undo at 45 s costs a blip from 47.0 to 47.6 s, and no write."""
    found = the_run("missed").record.measured.failback

    assert (found.outage.lower_s, found.outage.upper_s) != (None, None)
    assert found.rto.lower_s is not None
    assert 2.0 < found.rto.lower_s < 2.7
    assert (found.lost_writes.lower, found.lost_writes.upper) == (0, 0)
    assert found.rpo.lower_s == 0
    assert (found.rpo.upper_s or 9) < 0.1


def test_what_nobody_asked_for_is_null_with_its_reason() -> None:
    """No commit rate, no cache; and this story's answers name no epoch."""
    record = the_run("missed").record

    assert record.measured.production_loss.reason == "the drill states no commit_rate"
    assert record.measured.cold_cache.reason == "no probe of a cache is named"
    assert (record.measured.origin_amplification.value, record.measured.origin_amplification.reason) == (
        None,
        "no probe of a cache is named",
    )
    assert record.split_brain.lower_s is None
    assert record.split_brain.reason == "no answer to a write names its server and epoch"
    assert [(store.name, store.judged) for store in record.split_brain.stores] == [("orders-writes", True)]


def test_a_loss_at_productions_commit_rate_is_rounded_outwards() -> None:
    """The loss as time, times 250 commits per second."""
    history = region_failover()
    began, *rest = history.events
    plan = msgspec.structs.replace(history.plan, commit_rate=250.0)
    found = assemble(History((msgspec.structs.replace(began, plan=plan), *rest))).measured

    assert found.rpo.lower_s is not None
    assert found.rpo.upper_s is not None
    assert found.production_loss.lower == int(found.rpo.lower_s * 250)
    assert found.production_loss.upper == -int(-found.rpo.upper_s * 250 // 1)
