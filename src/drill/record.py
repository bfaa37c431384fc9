"""
The record of a run: the fields of report.json. A pure function of the history.

Times are seconds as decimals. An instant is seconds since the run began, so
that it can be read beside `started_at`. What was not measured is null with a
reason beside it, never 0.
"""

from __future__ import annotations

from typing import Any

import msgspec

from drill.figures import BoundsS as BoundsS
from drill.figures import CountBounds as CountBounds
from drill.figures import Factor as Factor
from drill.figures import Field as Field
from drill.figures import Instant as Instant
from drill.figures import RatioBounds as RatioBounds
from drill.grouped import ServiceRecord, ShardRecord

SCHEMA = "drill-report-v1"


class ObjectiveRecord(Field, frozen=True):
    """
    Durations have target_s, lower_s, upper_s; counts and ratios (0 to 1) have target, lower, upper.

    Attributes:
        margin: Share of the target left over: 1 - upper/target when met, negative when missed;
            null when the bounds straddle the target, the target is 0 or more is better.

        at_least: More is better: met when lower is at or above the target.

        source_kind: stated, proposed or derived; null when the drill does not say.
    """

    id: str
    verdict: str
    reason: str
    explanation: str
    target_s: float | None = None
    lower_s: float | None = None
    upper_s: float | None = None
    target: float | None = None
    lower: float | None = None
    upper: float | None = None
    margin: float | None = None
    at_least: bool = False
    origin: str = msgspec.field(default="fault", name="from")
    source_kind: str | None = None
    source_ref: str | None = None


class IncidentRecord(Field, frozen=True):
    """
    One outage of one probe.

    Attributes:
        failed_ratio: Failed share of its samples, 0 to 1; below 1 it was partial, and its edges are estimates.
    """

    probe: str
    began: Instant
    ended: Instant | None
    outage: BoundsS
    flaps: int
    bad_time: BoundsS
    error_time_estimate_s: float
    failed_ratio: float


class PerProbe(Field, frozen=True):
    name: str
    rto: BoundsS
    outage: BoundsS
    bad_time: BoundsS
    error_time_estimate_s: float | None
    flaps: int
    judged: bool


class FailbackRecord(Field, frozen=True):
    """Recovery time, outage and loss again, counted from the beginning of the undo."""

    rto: BoundsS
    outage: BoundsS
    rpo: BoundsS
    lost_writes: CountBounds


class StoreRecord(Field, frozen=True):
    """One store: who wrote to it, which servers acknowledged after the fault, and for how long two did at once."""

    name: str
    probes: list[str]
    servers: list[str]
    judged: bool
    overlap: BoundsS


class SplitBrainRecord(Field, frozen=True):
    """How long two servers acknowledged writes of one judged store; 0 when never two of those that were seen."""

    lower_s: float | None
    upper_s: float | None
    reason: str | None
    stores: list[StoreRecord]


class MeasuredRecord(Field, frozen=True):
    """
    What was measured over all judged probes.

    Attributes:
        production_loss: The data loss times the commit rate that the drill states: an extrapolation.

        origin_amplification: Peak share of cache misses since the fault over the baseline's.
    """

    rto: BoundsS
    outage: BoundsS
    rpo: BoundsS
    lost_writes: CountBounds
    integrity: CountBounds
    error_ratio: RatioBounds
    bad_time: BoundsS
    failback: FailbackRecord
    redundancy: BoundsS
    unprotected: BoundsS
    work_recovery: BoundsS
    on_secondary: BoundsS
    cold_cache: BoundsS
    origin_amplification: Factor
    production_loss: CountBounds
    scale_out: BoundsS
    detected: BoundsS
    moves: CountBounds
    availability: RatioBounds
    latency: list[LatencyRecord]
    incidents: list[IncidentRecord]
    per_probe: list[PerProbe]
    shards: list[ShardRecord]
    services: list[ServiceRecord]


class ReasonRecord(Field, frozen=True):
    """Why samples were not ok, in the probe's words, and how many; the commonest first."""

    outcome: str
    detail: str
    samples: int


class LatencyRecord(Field, frozen=True):
    """How long good answers took from recovery to the undo; one without a good answer took longer than any."""

    probe: str
    requests: int
    p50: BoundsS
    p95: BoundsS
    p99: BoundsS


class LoadPhaseRecord(Field, frozen=True):
    """
    What the load did before the fault, during the outage or after recovery, in whole seconds.

    Attributes:
        wanted_per_s, users_wanted: What the drill asks for; null for the other of the two, and when a
            script decides.

        missing: Seconds of a process that nobody reported.
    """

    name: str
    began: float
    duration_s: float
    wanted_per_s: float | None
    users_wanted: float | None
    users: float
    sent_per_s: float
    ok_per_s: float
    failed_per_s: float
    error_ratio: float | None
    missing: int
    p50: BoundsS
    p95: BoundsS
    p99: BoundsS


class LoadRecord(Field, frozen=True):
    """
    The traffic that was sent through the whole drill.

    Attributes:
        short: Why it was not what the drill asks for, one sentence each; empty when it was.

        capacity: Good answers after recovery as a share of before.
    """

    tool: str
    sends: str | None
    steps: list[str]
    processes: int
    phases: list[LoadPhaseRecord]
    capacity: RatioBounds
    short: list[str]
    reasons: list[ReasonRecord]


class FaultRecord(Field, frozen=True):
    name: str
    title: str
    engine: str
    injected_at: Instant | None
    effect: str
    evidence: str | None
    details: list[Any]
    failed: list[str]
    restored: bool | None
    restored_at: Instant | None
    reason: str | None = None


class ActivityRecord(Field, frozen=True):
    """One thing an engine did, from the intent on disk to its return; *ended* is null when it never returned."""

    fault: str
    name: str
    began: float
    ended: float | None
    breaks: bool
    undoing: bool
    ok: bool | None
    error: str | None


class PhaseRecord(Field, frozen=True):
    name: str
    lower_s: float
    upper_s: float
    source: str
    text: str = ""


class StepRecord(Field, frozen=True):
    name: str
    planned: str
    actual_s: float | None
    began: float | None
    done: bool
    reason: str | None = None


class ProbeRecord(Field, frozen=True):
    name: str
    kind: str
    role: str
    period_s: float
    deadline_s: float
    sent: int
    ok: int
    failed: int
    unknown: int
    late: int
    late_p99_s: float | None
    late_max_s: float | None
    max_gap_s: float | None
    latency_p50_s: float | None
    latency_p99_s: float | None
    reasons: list[ReasonRecord]


class LedgerRecord(Field, frozen=True):
    probe: str
    acknowledged: int
    refused: int
    unknown: int
    survivors: int | None
    lost: int | None
    late_loss: int | None
    recovered: int | None
    absent: int | None
    worst_case: int | None
    stale: int | None
    phantom: int | None
    zombie: int | None
    duplicates: int | None
    holes: int | None
    reordered: CountBounds
    redelivered: CountBounds
    longest_redelivery: BoundsS
    rpo: BoundsS
    examples: dict[str, list[int]]
    exposure: dict[str, Any]
    resolution_s: float | None
    settled: bool
    reason: str | None = None


class EstimateRecord(Field, frozen=True):
    """
    What the system said of its own replication lag; it corroborates the measured loss and proves none.

    Attributes:
        value_s: The last reading known at the disaster; null with an *error* when it had none.

        age: How old that reading was at the disaster.

        readings: Answers before the disaster, *empty* of them without a value; *failed* got no good answer.
    """

    probe: str
    of: str
    source: str | None
    value_s: float | None
    sampled_at: Instant | None
    age: BoundsS
    error: str | None
    highest_s: float | None
    readings: int
    empty: int
    failed: int


class Artifact(Field, frozen=True):
    path: str
    sha256: str
    bytes: int
    media_type: str


class Record(Field, frozen=True):
    """Everything a report says; formats add nothing but form."""

    schema: str
    run_id: str
    drill: str
    title: str
    system: str
    result: str
    reason: str
    cause: str | None
    exit_code: int
    started_at: str
    ended_at: str | None
    duration_s: float | None
    tool: dict[str, str]
    trigger: str
    plan: dict[str, Any]
    parameters: dict[str, Any]
    clock: dict[str, Any]
    journal: dict[str, Any]
    objectives: list[ObjectiveRecord]
    measured: MeasuredRecord
    split_brain: SplitBrainRecord
    faults: list[FaultRecord]
    activities: list[ActivityRecord]
    phases: list[PhaseRecord]
    steps: list[StepRecord]
    probes: list[ProbeRecord]
    ledger: list[LedgerRecord]
    estimates: list[EstimateRecord]
    baseline: dict[str, Any]
    delay_s: float | None
    cycle_s: float | None
    load: LoadRecord | None
    guards: list[str]
    notes: list[str]
    limits: list[str]
    instructions: list[str]
    artifacts: list[Artifact]
