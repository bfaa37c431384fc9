"""
Every value that crosses a module boundary; all frozen.

Instants are nanoseconds of one process's monotonic clock, durations are
nanoseconds, unless a name ends in `_s` (seconds as a decimal, in the record).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from drill.columns import Columns, Sampled

T = TypeVar("T")

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A frozen value that reads and writes itself as JSON, and refuses what it does not know."""


# --- time -----------------------------------------------------------------------------------------------------


class Anchor(Value, frozen=True):
    """One instant on three clocks: monotonic, wall (UTC, Unix epoch) and boot; nanoseconds."""

    monotonic: int
    wall: int
    boot: int | None = None


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    An instant known only to lie from *lower* to *upper*.

    Attributes:
        lower: Nanoseconds on the monotonic clock.

        upper: Nanoseconds, at or after lower.
    """

    lower: int
    upper: int


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    A duration (or a count) known only to lie from *lower* to *upper*.

    Attributes:
        lower: Nanoseconds (or a count), at least 0.

        upper: Nanoseconds (or a count), or None when the run ended first.
    """

    lower: int
    upper: int | None


# --- what probes see -------------------------------------------------------------------------------------------


class Outcome(Enum):
    """What one sample showed."""

    OK = "ok"  # the answer is right and came within the deadline
    FAILED = "failed"  # an error, a wrong answer, or the deadline passed
    UNKNOWN = "unknown"  # never sent, or the prober's own machine failed: proves nothing


class Fate(Enum):
    """What is known of one attempted write."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"  # known not to have been applied
    UNKNOWN = "unknown"  # neither lost nor safe


# Millions of them, and none can be part of a cycle: the collector need not look.
class Sample(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """
    One request of one probe, counted at *sent*.

    Attributes:
        planned: When it should have been sent.

        sent: When it was (read just before name lookup or first byte), or None if never.

        ended: When its outcome was known, or None if never sent.

        outcome: What it showed.

        detail: Why it failed or is unknown, in words; "" when ok.

        served_by: Who answered (node, region, epoch), when the answer tells.

        id: The id written, for a probe that writes.

        fate: What is known of that write.

        value: A number the answer carried, for probes that read one.
    """

    planned: int
    sent: int | None
    ended: int | None
    outcome: Outcome
    detail: str = ""
    served_by: str | None = None
    id: int | None = None
    fate: Fate | None = None
    value: float | None = None


class Delivery(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """
    A message that a queue handed out more than once or out of order.

    Attributes:
        at: When it first came.

        again: When it last came, if it came more than once.

        after: The highest id that had come before it, when that is higher than its own.
    """

    id: int
    at: int
    again: int | None = None
    after: int | None = None


class SurvivorRead(Value, frozen=True):
    """
    One reading of the ids that a store holds.

    Attributes:
        sent: When the read began; ids sent after it are not judged by it.

        ended: When the last byte had arrived.

        ids: Every id of this run found, sorted, duplicates kept; None when the read failed.

        error: Why it failed.

        source: Who was asked (an endpoint or a node).

        deliveries: Of a queue whose messages a consumer takes, those that came more than once or out of
            order; None when nobody does.
    """

    sent: int
    ended: int
    ids: tuple[int, ...] | None = None
    error: str | None = None
    source: str = ""
    deliveries: tuple[Delivery, ...] | None = None


# --- what a person asked for --------------------------------------------------------------------------------------


class Measure(Enum):
    """What an objective may be about."""

    RTO = "rto"  # first fault action to the start of sustained service
    OUTAGE = "outage"  # first bad request to the start of sustained service
    BAD_TIME = "bad_time"  # failed stretches added up
    ERROR_RATIO = "error_ratio"  # failed share of the samples since the fault, in parts per million
    RPO = "rpo"  # time between the oldest lost commit and the loss end
    LOST_WRITES = "lost_writes"  # acknowledged writes that are gone
    INTEGRITY = "integrity"  # lost writes form one recovery point: number of holes, judged against 0
    REDUNDANCY = "redundancy"  # first fault action to replicas back
    FAILBACK = "failback"  # the outage that undoing the fault caused
    UNPROTECTED = "unprotected"  # promotion to replicas back: one more failure would have lost data
    WORK_RECOVERY = "work_recovery"  # service back to its data checked
    COLD_CACHE = "cold_cache"  # first fault action to the hit ratio back
    SCALE_OUT = "scale_out"  # rise of the load to enough capacity for it
    DETECTED = "detected"  # first fault action to an alarm, mark or notification that told of it
    MOVES = "moves"  # promotions and switches of traffic since the fault
    AVAILABILITY = "availability"  # good share of all samples of the drill, ppm; at least the target
    CAPACITY = "capacity"  # good answers to the load after recovery, as a share of before, ppm; at least the target
    LATENCY_P50 = "latency_p50"  # how long good answers take from recovery to the undo
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"

    @property
    def at_least(self) -> bool:
        """Whether more is better: the target is the least that must be there, not the most."""
        return self in (Measure.AVAILABILITY, Measure.CAPACITY)


class Origin(Enum):
    """The instant a recovery time is counted from."""

    FAULT = "fault"
    IMPACT = "impact"
    DETECTED = "detected"
    DECIDED = "decided"


class Objective(Value, frozen=True):
    """
    One target.

    Attributes:
        measure: What is judged.

        target: Nanoseconds for durations, a count for lost_writes, integrity and moves, ppm for shares.

        origin: Where a recovery time is counted from.

        source: Who set the target ("SLA 4.2"), printed in the report; "stated: ", "proposed: " or
            "derived: " before it says of which kind it is.

        probe: The one probe it is about; None means all judged probes together.

        number: Which of several targets for the same measure and probe, from 1: people who
            contradict each other have set two.
    """

    measure: Measure
    target: int
    origin: Origin = Origin.FAULT
    source: str | None = None
    probe: str | None = None
    number: int = 1

    @property
    def id(self) -> str:
        """The name used everywhere: "rto", "rto:orders-reads" about one probe, "rpo#2" for a second target."""
        name = f"{self.measure.value}:{self.probe}" if self.probe else self.measure.value
        return name if self.number == 1 else f"{name}#{self.number}"


class Agreement(Enum):
    """From how many of the vantages that watch one service it must be back to count as back."""

    ANY = "any"  # one
    QUORUM = "quorum"  # two thirds of them: a lone faulty vantage does not decide
    ALL = "all"

    def needs(self, vantages: int) -> int:
        """Of so many vantages, at least one."""
        if self is Agreement.ANY:
            return 1
        return vantages if self is Agreement.ALL else max(1, -(-2 * vantages // 3))


class Parameters(Value, frozen=True):
    """
    How an outage is found in samples (None: the default that follows from the probe's period).

    Attributes:
        hold: How long service must stay good to count as recovered; default max(10 s, 20 periods).

        onset_ratio: Failed share over the onset window above which an outage begins, 0 to 1.

        onset_window: Default 50 periods.

        recovery_ratio: Failed share still accepted while holding, 0 to 1.

        hold_min_ok: Good samples needed while holding; default half of those planned.

        minimum_capacity: Good rate needed while holding, as a share of the baseline's.
    """

    hold: int | None = None
    onset_ratio: float = 0.0
    onset_window: int | None = None
    recovery_ratio: float = 0.0
    hold_min_ok: int | None = None
    minimum_capacity: float | None = None


class Probe(Value, frozen=True):
    """
    One probe as a file describes it.

    Attributes:
        name: What reports call it.

        kind: The plug-in that sends its requests.

        every: Period.

        deadline: One limit over lookup, connect, TLS and answer.

        options: The kind's own keys; endpoints filled in, `${env:NAME}` left as written so that
            no secret reaches the journal.

        writes: It writes ids and can read the survivors back.

        store: What it writes to; probes of one store are compared to find two servers that
            acknowledge at once. "" is a store of its own.

        shows: What else its samples tell: `promoted` (its value turns 1 when the server it asks takes
            writes), `routed` (who serves changes), `replication_lag` (its value is an estimate in
            seconds), or "" for nothing.

        shard: Which part of the system's data or users it is about; probes of one shard are reported together.

        vantage: From where it looks, when several probes look at the same thing.

        service: What it looks at from there; probes of one service and different vantages see the same.

        file: Where it is written, relative to the project.
    """

    name: str
    kind: str
    every: int
    deadline: int
    options: dict[str, Any] = {}
    writes: bool = False
    store: str = ""
    shows: str = ""
    shard: str = ""
    vantage: str = ""
    service: str = ""
    title: str = ""
    file: str = ""


class Fault(Value, frozen=True):
    """
    One thing that a drill breaks, through one engine.

    Attributes:
        name: What steps and reports call it.

        engine: The plug-in that carries it out.

        title: In a person's words.

        file: Where it is written, relative to the project.

        document: The engine's own document (a Chaos Toolkit experiment), references unresolved.

        arguments: Values under `with:`.

        lab: Folder of the lab it acts on, when there is one.

        root: Folder of the project, where its file and its modules are found.
    """

    name: str
    engine: str
    title: str = ""
    file: str = ""
    document: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    lab: str | None = None
    root: str = ""


class Usual(Value, frozen=True):
    """
    What a failover of this kind usually takes: outside of it, something else was likely measured.

    Attributes:
        kind: A known kind of system ("patroni"), whose band the others replace where they are given.

        ttl, loop: Lease and loop of a system that keeps one (Patroni); None: its own defaults.

        router: What the way to the service adds, such as health checks and DNS.

        at_least, at_most: The recovery time.

        loss: The most that is lost, as time.
    """

    kind: str = ""
    ttl: int | None = None
    loop: int | None = None
    router: int | None = None
    at_least: int | None = None
    at_most: int | None = None
    loss: int | None = None


class LoadStep(Value, frozen=True):
    """
    One stretch of a drill's load.

    Attributes:
        lasts: Nanoseconds; None: to the end of the drill.

        rate: Requests per second, sent whatever the answers do.

        users: How many users ask, each again when it has its answer.
    """

    lasts: int | None = None
    rate: float | None = None
    users: int | None = None


class Load(Value, frozen=True):
    """
    Traffic for a drill's whole length, sent by processes of its own.

    Attributes:
        tool: What sends it: "locust" or "k6".

        steps: One after the other; the last one lasts to the end. Empty when a k6 script decides.

        deadline: An answer later than this is a failed one.

        request: Of plain traffic: url, method, headers, json, status; `${env:NAME}` left as written.

        script: A locustfile or k6 script instead, relative to the project.

        environment: Variables that the script gets.

        processes: How many processes send; None: as many as are needed.
    """

    tool: str = "locust"
    steps: tuple[LoadStep, ...] = ()
    deadline: int = SECOND
    request: dict[str, Any] = {}
    script: str | None = None
    environment: dict[str, str] = {}
    processes: int | None = None

    @property
    def rise(self) -> tuple[int, int | None] | None:
        """
        When it reaches its highest step, and when it leaves it again, nanoseconds after its beginning.

        None when it never rises; no end when the highest step lasts to the end of the drill.
        """
        amounts = [(step.users if step.rate is None else step.rate) or 0 for step in self.steps]
        highest = max(amounts, default=0)
        if not amounts or amounts[0] == highest:
            return None
        ends = [0]
        for step in self.steps:
            ends.append(ends[-1] + (step.lasts or 0))
        first = amounts.index(highest)
        after = next((n for n in range(first + 1, len(amounts)) if amounts[n] != highest), None)
        return ends[first], None if after is None else ends[after]


class StepKind(Enum):
    WATCH = "watch"  # sample for a while; the first one is the healthy baseline
    INJECT = "inject"
    AWAIT = "await"
    RESTORE = "restore"


class Condition(Enum):
    """What an await step waits for."""

    RECOVERY = "recovery"  # every judged probe good, and staying good
    REDUNDANCY = "redundancy"  # every redundancy probe good
    IMPACT = "impact"  # some judged probe failing


class Step(Value, frozen=True):
    """
    One step of a drill.

    Attributes:
        kind: What is done.

        fault: Which fault, for inject and restore.

        condition: What is waited for, for await.

        within: How long a watch lasts, how long an await may take.
    """

    kind: StepKind
    fault: str | None = None
    condition: Condition | None = None
    within: int | None = None

    def __str__(self) -> str:
        what = self.fault or (self.condition.value if self.condition else "")
        return f"{self.kind.value} {what}".strip()


class Guard(Value, frozen=True):
    """
    What aborts a drill before it hurts: a probe that must stay good, a longest outage or drill, or a metric.

    Attributes:
        probe: Must stay good.

        max_outage: Longest outage of the judged probes before the drill is aborted and undone.

        max_duration: The same of the whole drill, from its first step on.

        metric: A probe whose value may not stay above *above* or below *below* for *lasting* nanoseconds.
    """

    probe: str | None = None
    max_outage: int | None = None
    max_duration: int | None = None
    metric: str | None = None
    above: float | None = None
    below: float | None = None
    lasting: int = 0


class FileDigest(Value, frozen=True):
    """A file that the plan was made from; SHA-256 of its bytes as written, references unresolved."""

    path: str
    sha256: str


class Approved(Value, frozen=True):
    """
    Somebody's yes to the plan, as it counted.

    Attributes:
        by: The name by which the policy knows them.

        at, expires: Wall clock, nanoseconds since 1970.

        signed: Their signature was verified; otherwise it is as good as the permissions of its folder.
    """

    by: str
    at: int
    expires: int
    reason: str = ""
    signed: bool = False


class Permission(Value, frozen=True):
    """
    Why a run was allowed to begin.

    Attributes:
        who: Every name that the policies may know whoever ran it by.

        policies: Every policy file that was asked.
    """

    who: tuple[str, ...]
    policies: tuple[FileDigest, ...] = ()
    approvals: tuple[Approved, ...] = ()


class Drill(Value, frozen=True):
    """
    What a person asked for: a drill file with its probes and experiments, references unresolved.

    Attributes:
        judged, observed, redundancy, cache, usual, commit_rate, disaster: As in `Plan`.
        judged, observed, redundancy, detection, scaling, load, agreement, disaster: As in `Plan`.

        cycle: The longest cycle of the system (lease, health check, backup), nanoseconds. A run waits
            for a random share of it before its first fault, so that repeated ones fall everywhere in it.

        environment: What is broken, such as "production"; "lab" on an embedded lab, "" when nobody said.

        calls: Patterns of code outside of drill's own that the drill means to call.

        values: What `with:` gives for `${…}`.

        expires: The longest that a fault may be in place, nanoseconds; None: what follows from the steps.

        endpoints: Names that the lab will give values for.

        root: The project's folder.
    """

    name: str
    title: str
    system: str
    objectives: tuple[Objective, ...]
    probes: tuple[Probe, ...]
    judged: tuple[str, ...]
    observed: tuple[str, ...] = ()
    redundancy: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    usual: Usual | None = None
    commit_rate: float | None = None
    detection: tuple[str, ...] = ()
    scaling: tuple[str, ...] = ()
    load: Load | None = None
    agreement: Agreement = Agreement.ALL
    cycle: int | None = None
    parameters: Parameters = Parameters()
    steps: tuple[Step, ...] = ()
    guards: tuple[Guard, ...] = ()
    expires: int | None = None
    faults: tuple[Fault, ...] = ()
    disaster: str | None = None
    lab: str | None = None
    environment: str = ""
    calls: tuple[str, ...] = ()
    values: dict[str, str] = {}
    endpoints: tuple[str, ...] = ()
    files: tuple[FileDigest, ...] = ()
    root: str = ""


class Plan(Value, frozen=True):
    """
    All that a run needs to know, decided before anything is touched.

    Attributes:
        judged: Probes that decide whether service is back.

        observed: Probes sampled and reported, not judged.

        redundancy: Probes that say whether replicas are back.

        cache: Probes whose value is 1 for a hit of the cache and 0 for a miss.

        usual: What a failover here usually takes, when that was said.

        commit_rate: Commits per second of production, to extrapolate a loss to.
        detection: Probes that are good once an alarm or notification told of the fault.

        scaling: Probes that are good once there is enough capacity.

        load: Traffic for the drill's whole length.

        agreement: From how many vantages a service must be back.

        disaster: The fault whose action is the t0 of data loss; None means the first.

        expires: The longest that a fault may be in place, nanoseconds; None: without end.

        digest: SHA-256 of the drill with its references as written, so that a plan shown before
            a lab is up, a run and its repetition have the same; hexadecimal.
    """

    drill: str
    title: str
    system: str
    objectives: tuple[Objective, ...]
    probes: tuple[Probe, ...]
    judged: tuple[str, ...]
    observed: tuple[str, ...] = ()
    redundancy: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    usual: Usual | None = None
    commit_rate: float | None = None
    detection: tuple[str, ...] = ()
    scaling: tuple[str, ...] = ()
    load: Load | None = None
    agreement: Agreement = Agreement.ALL
    parameters: Parameters = Parameters()
    steps: tuple[Step, ...] = ()
    guards: tuple[Guard, ...] = ()
    expires: int | None = None
    faults: tuple[Fault, ...] = ()
    disaster: str | None = None
    lab: str | None = None
    environment: str = ""
    permission: Permission | None = None
    files: tuple[FileDigest, ...] = ()
    digest: str = ""

    def probe(self, name: str) -> Probe:
        return next(probe for probe in self.probes if probe.name == name)

    def fault(self, name: str) -> Fault:
        return next(fault for fault in self.faults if fault.name == name)


# --- what an engine says ------------------------------------------------------------------------------------------


class Fence(Value, frozen=True):
    """
    A number given out by a lock; whoever holds an older one than the lock's file shows may not act.

    Attributes:
        path: The lock's file.

        token: The number; grows with every holder.
    """

    path: str
    token: int


class Undo(Value, frozen=True):
    """
    How to undo a fault: plain data, on disk before the fault.

    Attributes:
        data: Whatever the engine's `undo` needs in a new process on the same machine; no secrets.

        summary: What it does, for people, one sentence each.

        instructions: What a person must do if it cannot be verified.
    """

    engine: str
    fault: str
    data: dict[str, Any] = {}
    summary: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()


class Effect(Enum):
    """Whether a fault is known to have had an effect."""

    SHOWN = "shown"  # the engine proved it (processes that really went, FIS targets acted on)
    NONE = "none"  # the engine proved that nothing happened
    UNKNOWN = "unknown"  # the engine cannot tell; an impact seen by a probe will do


class Injection(Value, frozen=True):
    """
    What an engine says of a fault it has carried out.

    Attributes:
        effect: Whether it took effect.

        evidence: What shows that, for people.

        details: The same as data.

        failed: What the fault's own checks found amiss after it (an unmet steady-state hypothesis),
            one sentence each; with any, a drill cannot be met.
    """

    effect: Effect
    evidence: str = ""
    details: tuple[Any, ...] = ()
    failed: tuple[str, ...] = ()


# --- what happened: the journal's events ----------------------------------------------------------------------------


class Event(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="event"
):
    """Something that happened at one instant; appended to the journal, never changed."""

    at: int


class Began(Event, frozen=True, tag="began"):
    """The run began: all that is needed to judge it later, on another machine."""

    run_id: str
    plan: Plan
    anchor: Anchor
    tool: dict[str, str] = {}  # drill, python, platform and engine versions
    trigger: str = "manual"
    fence: Fence | None = None  # under which number of its system's lock


class StepBegan(Event, frozen=True, tag="step"):
    """Step *n* (from 0) began."""

    n: int


class StepEnded(Event, frozen=True, tag="step-ended"):
    """Step *n* ended; *done* is false when it was cut short, *reason* says why."""

    n: int
    done: bool
    reason: str = ""


class Prepared(Event, frozen=True, tag="prepared"):
    """
    The undo of a fault is known and on disk; nothing is broken yet.

    Attributes:
        expires: When the fault must be undone at the latest, whatever the drill is at.
    """

    undo: Undo
    expires: int | None = None


class Intent(Event, frozen=True, tag="intent"):
    """
    One activity is about to touch the world; on disk before it does.

    Attributes:
        fault: Whose activity it is.

        activity: Its name.

        n: Number within the fault, from 0, going on through the undo.

        breaks: True if it breaks something, False if it only looks or undoes.

        undoing: It is part of the undo.
    """

    fault: str
    activity: str
    n: int
    breaks: bool = True
    undoing: bool = False


class Done(Event, frozen=True, tag="done"):
    """Activity *n* of a fault returned, well or badly."""

    fault: str
    n: int
    ok: bool
    output: Any = None
    error: str = ""


class Injected(Event, frozen=True, tag="injected"):
    """A fault has been carried out, with what the engine says of its effect."""

    fault: str
    injection: Injection


class InjectFailed(Event, frozen=True, tag="inject-failed"):
    """A fault could not be carried out; parts of it may be in place."""

    fault: str
    error: str


class RestoreBegan(Event, frozen=True, tag="restore"):
    """Undoing a fault began."""

    fault: str


class Restored(Event, frozen=True, tag="restored"):
    """Undoing a fault ended; *verified* is false when it may still be in place."""

    fault: str
    verified: bool
    error: str = ""
    instructions: tuple[str, ...] = ()


class Samples(Event, frozen=True, tag="samples"):
    """A batch of samples of one probe, in the order they ended."""

    probe: str
    samples: tuple[Sample, ...]


class WritesPlanned(Event, frozen=True, tag="writes"):
    """Ids from *first* to *last* may be written from now on by *probe*, in steps of *stride*."""

    probe: str
    first: int
    last: int
    stride: int = 1


class Survivors(Event, frozen=True, tag="survivors"):
    """One reading of what a store still holds."""

    probe: str
    read: SurvivorRead


class Mark(Event, frozen=True, tag="mark"):
    """
    Something the system itself reported: a promotion, a switch of the router.

    Attributes:
        name: A phase of the report: detected, decided, promoted, routed, redundant…

        window: When it happened, on this run's clock, with the source's uncertainty.

        source: Who said so.

        text: What exactly, for people.
    """

    name: str
    window: Window
    source: str
    text: str = ""


class Observed(Event, frozen=True, tag="observed"):
    """
    Somebody who marks what the system does was there for the whole run, and has told everything.

    Attributes:
        source: Who.

        tells: The names of the marks it would have made.
    """

    source: str
    tells: tuple[str, ...]


class Delayed(Event, frozen=True, tag="delayed"):
    """The first fault waits for *delay*, drawn evenly from 0 to *cycle*; nanoseconds."""

    delay: int
    cycle: int


class LoadBegan(Event, frozen=True, tag="load"):
    """So many *processes* began to send the load; its first step counts from *at*."""

    processes: int


class TrafficSecond(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """
    What one process of the load did in one second of the monotonic clock.

    Attributes:
        at: When the second began, nanoseconds; a multiple of a second.

        process: Which process, from 0.

        users: How many users it ran at the second's end.

        sent: Requests begun.

        ok, failed: Requests that ended, well and badly.

        latency: How long good answers took: [band, how many], band n from 1.05**n to 1.05**(n+1) microseconds.
    """

    at: int
    process: int
    users: int
    sent: int
    ok: int
    failed: int
    latency: tuple[tuple[int, int], ...] = ()


class Traffic(Event, frozen=True, tag="traffic"):
    """A batch of seconds of the load, and why requests of it failed (in words, how many)."""

    seconds: tuple[TrafficSecond, ...]
    errors: dict[str, int] = {}


class LoadEnded(Event, frozen=True, tag="load-ended"):
    """A process of the load ended; *error* says why, when it was not told to."""

    process: int
    error: str = ""


class Note(Event, frozen=True, tag="note"):
    """Something people should read in the report."""

    text: str


class Completion(Enum):
    """How a run ended, apart from what it measured."""

    COMPLETED = "completed"
    REFUSED = "refused"  # before anything was broken
    ABORTED = "aborted"  # a guard, a person, a crash or a failed step; everything restored
    UNSAFE = "unsafe"  # a fault may still be in place


class Ended(Event, frozen=True, tag="ended"):
    """The run ended. Later lines are entries by people."""

    completion: Completion
    anchor: Anchor
    reason: str = ""
    cause: str = ""  # guard, person, crash, preflight, unhealthy_before, not_executed, …


AnyEvent = (
    Began
    | StepBegan
    | StepEnded
    | Prepared
    | Intent
    | Done
    | Injected
    | InjectFailed
    | RestoreBegan
    | Restored
    | Samples
    | WritesPlanned
    | Survivors
    | Mark
    | Observed
    | Delayed
    | LoadBegan
    | Traffic
    | LoadEnded
    | Note
    | Ended
)


class History(msgspec.Struct, frozen=True, dict=True):
    """
    A run read back from its journal.

    What it is asked for is found once and kept; nobody may change what it gives.

    Attributes:
        events: In journal order; without the samples where *sampled* has them, for there may be millions.

        digest: SHA-256 of the journal's last line, hexadecimal.

        sampled: The samples as the journal's reader gathered them; None when they are among the events.
    """

    events: tuple[AnyEvent, ...]
    digest: str = ""
    # Any, for msgspec would look its name up here, and its module hangs on this one.
    sampled: Any = None

    @property
    def began(self) -> Began:
        first = self.events[0]
        assert isinstance(first, Began)
        return first

    @cached_property
    def ended(self) -> Ended | None:
        return next((event for event in reversed(self.events) if isinstance(event, Ended)), None)

    @cached_property
    def latest(self) -> int:
        """The last instant of the journal."""
        last = max(event.at for event in self.events)
        sampled = self._samples.latest
        return last if sampled is None else max(last, sampled)

    @property
    def lines(self) -> int:
        """How many events the journal holds."""
        return len(self.events) + (0 if self.sampled is None else self.sampled.batches)

    @property
    def plan(self) -> Plan:
        return self.began.plan

    def samples(self, probe: str) -> Columns:
        """Every sample of one probe, sorted by the instant it was planned for."""
        from drill import columns

        return self._samples.streams.get(probe) or columns.of(())

    def of(self, *kinds: type[Event]) -> list[Any]:
        """Every event of these kinds, in journal order; samples are asked for with `samples`."""
        return [event for event in self._few if isinstance(event, kinds)]

    def once(self, compute: Callable[[History], T]) -> T:
        """What a pure function of this history gives, computed the first time it is asked for."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        found: T = self._computed[compute]
        return found

    @cached_property
    def _computed(self) -> dict[Any, Any]:
        return {}

    @cached_property
    def _samples(self) -> Sampled:
        if self.sampled is not None:
            given: Sampled = self.sampled
            return given
        # With numpy, which not everybody who handles a value needs.
        from drill import columns

        gathered = columns.Sampling()
        for event in self.events:
            if isinstance(event, Samples):
                gathered.add(event.at, event.probe, event.samples)
        return gathered.sampled()

    @cached_property
    def _few(self) -> list[AnyEvent]:
        """All but the samples, which are nearly all."""
        return [event for event in self.events if not isinstance(event, Samples)]


# --- what it means ----------------------------------------------------------------------------------------------------


class Verdict(Enum):
    """What the bounds say of one objective."""

    MET = "met"  # upper <= target
    MISSED = "missed"  # lower > target
    INCONCLUSIVE = "inconclusive"  # anything else, or evidence is missing


class Result(Enum):
    """What a run came to."""

    MET = "met"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"
    ABORTED = "aborted"
    UNSAFE = "unsafe"

    @property
    def exit_code(self) -> int:
        return {"met": 0, "missed": 1, "inconclusive": 3, "refused": 4, "aborted": 4, "unsafe": 5}[self.value]


class Reason(Enum):
    """Why a verdict is what it is, in one word that machines may count."""

    WITHIN_TARGET = "within_target"
    BEYOND_TARGET = "beyond_target"
    STRADDLES_TARGET = "straddles_target"
    NO_EFFECT = "no_effect"
    NO_EXPOSURE = "no_exposure"
    UNHEALTHY_BEFORE = "unhealthy_before"
    NEVER_RECOVERED = "never_recovered"
    RECOVERED_AFTER_UNDO = "recovered_after_undo"
    MEASURING_GAP = "measuring_gap"
    SURVIVORS_UNSETTLED = "survivors_unsettled"
    CLOCK_UNBOUNDED = "clock_unbounded"
    HOLES = "holes"
    SPLIT_BRAIN = "split_brain"
    LOAD_SHORT = "load_short"
    TOO_FEW_SAMPLES = "too_few_samples"
    NOT_DETECTED = "not_detected"
    NO_GOOD_ANSWER = "no_good_answer"
    HYPOTHESIS_FAILED = "hypothesis_failed"
    NOT_EXECUTED = "not_executed"
    NOT_MEASURED = "not_measured"
    NO_OBJECTIVE = "no_objective"


class Incident(Value, frozen=True):
    """
    One outage of one probe.

    Attributes:
        last_good: `p`, the last ok sample sent before it, or None.

        first_failed: `b`, when its first failed sample was sent.

        last_failed: `q`, when its last failed sample (or the run's, without recovery) was sent.

        recovered: `g`, when the first ok sample of sustained service was sent; None: it never came back.

        outage: What a user saw: [q - b, g - p].

        rto: From t0: [max(0, q - t0.upper), g - t0.lower].

        bad_time: Failed stretches added up.

        error_time: Estimate: failed share of the samples over time, nanoseconds.

        flaps: Failed stretches less one.

        failed_ratio: Failed share of its decided samples from b to q, parts per million. Below a
            million the outage was partial and its edges are estimates.

        gap: A stretch of over three periods at an edge was not measured.
    """

    last_good: int | None
    first_failed: int
    last_failed: int
    recovered: int | None
    outage: Bounds
    rto: Bounds
    bad_time: Bounds
    error_time: int
    flaps: int
    failed_ratio: int = 1_000_000
    gap: bool = False


class ProbeMeasure(Value, frozen=True):
    """
    What one probe's samples show.

    Attributes:
        rto: None when the run had no fault.

        incidents: Every outage from the fault on, in order.

        failback: The outage seen since undoing began; None when nothing was undone while sampling.

        failback_rto: From the beginning of the undo to the start of sustained service after it.

        failback_incidents: Every outage since undoing began.

        error_ratio: Failed share of the samples from t0 to the undo (or the end), in parts per million;
            unknown samples widen it.

        availability: Good share of all its samples, parts per million; unknown ones widen it.

        latency: How long good answers took after recovery, by measure (`latency_p99`); empty when it
            never recovered or nothing was sent from then to the undo.

        answers: How many requests that is about.

        healthy_before: The baseline was ok: no failed sample ended before t0.lower.

        watched: It was seen for at least `hold` after the last breaking action.

        after_undo: Service came back only once undoing had begun.

        first_good: When the first ok sample after the last outage began was sent.
    """

    probe: str
    rto: Bounds | None
    outage: Bounds | None
    bad_time: Bounds
    error_time: int
    error_ratio: Bounds | None
    flaps: int
    incidents: tuple[Incident, ...] = ()
    failback: Bounds | None = None
    failback_rto: Bounds | None = None
    failback_incidents: tuple[Incident, ...] = ()
    availability: Bounds | None = None
    latency: dict[str, Bounds] = {}
    answers: int = 0
    healthy_before: bool = True
    watched: bool = False
    after_undo: bool = False
    gap: bool = False
    first_good: int | None = None
    hold: int = 0


class Ledger(Value, frozen=True):
    """
    What became of every write of one probe (measurement of data loss).

    Attributes:
        acknowledged, refused, unknown: How many writes met each fate.

        survivors: How many distinct ids the last settled read found; None when no read settled.

        lost: Acknowledged ids that are gone.

        late_loss: Those of them acknowledged after t0.

        recovered: Unknown writes that are there after all.

        absent: Unknown writes that are not.

        phantom: Ids found that were never written.

        zombie: Refused writes that are there.

        stale: Acknowledged ids missing in the first settled read and there later.

        holes: Surviving ids younger than a lost one: no single recovery point.

        duplicates: How often an id was found more than once.

        unread: Acknowledged writes that no two agreeing reads cover: they widen `lost_writes` and `rpo`.

        rpo: Loss end less recovery point; None when it cannot be known.

        lost_writes: Bounds of how many acknowledged writes are gone.

        worst_case: Lost plus absent.

        exposed: Writes acknowledged in the window before t0, `needed` of them at least, the last
            one `last_age` old: without it no claim that nothing was lost.

        resolution: Age of the newest acknowledged survivor at t0: losses shorter than this cannot show.

        failback_lost: Lost writes that were still there, or not yet written, when service was back:
            undoing the fault lost them.

        failback_rpo: For those, loss end less recovery point; None when nothing was undone.

        reordered: Acknowledged ids that came to a consumer after one that was sent only once they were
            acknowledged; None when nobody consumed.

        redelivered: Ids that came more than once to it.

        redelivery: The longest time from the first to the last coming of one of them, nanoseconds.
    """

    probe: str
    acknowledged: int
    refused: int
    unknown: int
    survivors: int | None
    lost: tuple[int, ...] = ()
    late_loss: tuple[int, ...] = ()
    recovered: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    phantom: tuple[int, ...] = ()
    zombie: tuple[int, ...] = ()
    stale: tuple[int, ...] = ()
    holes: tuple[int, ...] = ()
    duplicates: int = 0
    unread: int = 0
    rpo: Bounds | None = None
    lost_writes: Bounds | None = None
    worst_case: int | None = None
    settled: bool = False
    exposed: bool = False
    exposure: int = 0
    needed: int = 0
    last_age: int | None = None
    resolution: int | None = None
    oldest_lost: int | None = None
    newest_lost: int | None = None
    failback_lost: tuple[int, ...] = ()
    failback_rpo: Bounds | None = None
    reordered: tuple[int, ...] | None = None
    redelivered: tuple[int, ...] | None = None
    redelivery: int | None = None


class Overlap(Value, frozen=True):
    """
    Whether two servers acknowledged writes of one store at the same time: split brain.

    Attributes:
        store: What was written to.

        probes: Who wrote.

        servers: Who acknowledged after the fault ("node, epoch 2"), in order of their first answer.

        length: For how long; None when the answers do not tell servers and epochs.
    """

    store: str
    probes: tuple[str, ...]
    servers: tuple[str, ...] = ()
    length: Bounds | None = None


class LoadPhase(Value, frozen=True):
    """
    What the load did in one stretch of the run, in whole seconds.

    Attributes:
        name: before (the fault), during (until service was back) or after (until the undo).

        begin, end: Monotonic nanoseconds.

        wanted: Requests that should have been sent; None when users, not a rate, were asked for.

        users: User seconds that were asked for; None for a rate.

        ran: User seconds that were run.

        sent, ok, failed: Requests.

        missing: Seconds (of one process) that nobody reported.

        p50, p95, p99: How long good answers took, nanoseconds.
    """

    name: str
    begin: int
    end: int
    wanted: float | None
    users: int | None
    ran: int
    sent: int
    ok: int
    failed: int
    missing: int
    p50: Bounds | None = None
    p95: Bounds | None = None
    p99: Bounds | None = None


class LoadMeasure(Value, frozen=True):
    """
    What the load was really like.

    Attributes:
        short: Why it was not what the drill asks for, one sentence each.

        capacity: Good answers after recovery as a share of before, for the same load asked; ppm.
    """

    processes: int
    phases: tuple[LoadPhase, ...]
    short: tuple[str, ...] = ()
    capacity: Bounds | None = None

    def phase(self, name: str) -> LoadPhase | None:
        return next((phase for phase in self.phases if phase.name == name), None)


class Estimate(Value, frozen=True):
    """
    What a system said of its own replication lag before the disaster: it corroborates a loss, it proves none.

    Attributes:
        source: Who answered, when the answer told.

        value: The last reading known before the disaster, seconds; None when it had none (an idle
            primary says NULL) or there was none.

        sampled: When that reading was asked for and answered.

        age: How old it was at the disaster.

        error: Why there is no value.

        highest: The largest value read before the disaster, seconds.

        readings: How many answers came before the disaster; `empty` of them without a value.

        failed: How many questions before the disaster got no good answer.
    """

    probe: str
    of: str
    source: str | None = None
    value: float | None = None
    sampled: Window | None = None
    age: Bounds | None = None
    error: str = ""
    highest: float | None = None
    readings: int = 0
    empty: int = 0
    failed: int = 0


class ShardMeasure(Value, frozen=True):
    """
    One shard: the worst of its judged probes, and the data of its ledgers.

    Attributes:
        probes: All that are about it, judged or not.

        hit: A judged one of them saw an outage; None when none is judged.

        error_time: The largest estimate, nanoseconds; None when no probe of it is judged.
    """

    name: str
    probes: tuple[str, ...]
    hit: bool | None = None
    rto: Bounds | None = None
    outage: Bounds | None = None
    error_time: int | None = None
    rpo: Bounds | None = None
    lost_writes: Bounds | None = None


class Sighted(Value, frozen=True):
    """
    Recovery time and outage as seen from one vantage, or from so many of several.

    Attributes:
        name: The vantage, or any, quorum, all.

        needs: From how many vantages service must be back.

        probes: Who looked from there; empty for several vantages together.
    """

    name: str
    needs: int = 1
    probes: tuple[str, ...] = ()
    rto: Bounds | None = None
    outage: Bounds | None = None


class ServiceMeasure(Value, frozen=True):
    """
    One service as several vantages saw it.

    Attributes:
        service: "" when the probes name none.

        vantages: Each by itself.

        together: As any, as a quorum and as all of them saw it.
    """

    service: str
    vantages: tuple[Sighted, ...]
    together: tuple[Sighted, ...]


class Phase(Value, frozen=True):
    """
    A named instant of the run, with who told it.

    Attributes:
        name: fault, impact, detected, decided, promoted, routed, first_good, recovered, verified,
            restore, redundant, failback.
    """

    name: str
    window: Window
    source: str
    text: str = ""


class Measured(Value, frozen=True):
    """
    What a run measured; a pure function of its history.

    Attributes:
        t0: [command sent, effect confirmed] of the first fault action; None when none was carried out.

        disaster: The same for the fault named as the disaster.

        effect: Whether the faults are known to have had an effect, with the proof in words.

        undo_began: When undoing began, if it did.

        redundancy: From t0 to all redundancy probes good.

        failback, failback_rto, failback_rpo, failback_lost: Outage, recovery time and loss again,
            once undoing began.

        unprotected: From the promotion to redundancy.

        work_recovery: From the start of sustained service to its data checked.

        on_secondary: From the promotion to the undo, or to the next promotion after it.

        cold_cache: From t0 to the hit ratio of the cache back, and staying so.

        amplification: Peak share of cache misses since t0, as a multiple of the baseline's.

        split_brain: How long two servers acknowledged writes of one judged store.

        overlaps: The same for every store.

        scale_out: From the rise of the load, else from t0, to enough capacity.

        detected: From t0 to the first alarm, mark or notification.

        moves: Promotions and switches of traffic since t0; None when nobody watched for them.

        availability: Good share of all samples of the worst judged probe, ppm.

        load: What the load was like; None when there was none.

        shards: Each shard that a probe names.

        services: Each service that judged probes watch from named vantages.
    """

    t0: Window | None
    disaster: Window | None
    effect: Effect
    proof: str
    rto: Bounds | None = None
    outage: Bounds | None = None
    bad_time: Bounds | None = None
    error_ratio: Bounds | None = None
    failback: Bounds | None = None
    redundancy: Bounds | None = None
    rpo: Bounds | None = None
    lost_writes: Bounds | None = None
    holes: int | None = None
    failback_rto: Bounds | None = None
    failback_rpo: Bounds | None = None
    failback_lost: Bounds | None = None
    unprotected: Bounds | None = None
    work_recovery: Bounds | None = None
    on_secondary: Bounds | None = None
    cold_cache: Bounds | None = None
    amplification: float | None = None
    split_brain: Bounds | None = None
    overlaps: tuple[Overlap, ...] = ()
    scale_out: Bounds | None = None
    detected: Bounds | None = None
    moves: Bounds | None = None
    availability: Bounds | None = None
    load: LoadMeasure | None = None
    undo_began: int | None = None
    suspended: bool = False
    per_probe: tuple[ProbeMeasure, ...] = ()
    ledgers: tuple[Ledger, ...] = ()
    estimates: tuple[Estimate, ...] = ()
    phases: tuple[Phase, ...] = ()
    shards: tuple[ShardMeasure, ...] = ()
    services: tuple[ServiceMeasure, ...] = ()

    def probe(self, name: str) -> ProbeMeasure | None:
        return next((found for found in self.per_probe if found.probe == name), None)


class Judged(Value, frozen=True):
    """
    One objective with what was measured and what that means.

    Attributes:
        bounds: What was measured; None when it was not.

        reason: Why the verdict is what it is.

        explanation: The same as one sentence for people.
    """

    objective: Objective
    bounds: Bounds | None
    verdict: Verdict
    reason: Reason
    explanation: str


class Judgement(Value, frozen=True):
    """
    What a run came to.

    Attributes:
        judged: Every objective, those that are judged without being asked for included.

        reason: The result as one sentence for people.
    """

    judged: tuple[Judged, ...]
    result: Result
    reason: str
