"""The keys of a drill file and of a probe file; JSON Schemas and documentation are made from these."""

from __future__ import annotations

from typing import Any

from drill import plugins, usual
from drill.model import Agreement, Measure
from drill.spec.shape import (
    Choice,
    Key,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Table,
    Text,
    anything,
    count,
    duration,
    line,
    name,
    period,
    ratio,
    text,
)

DURATIONS = (
    Measure.RTO,
    Measure.OUTAGE,
    Measure.BAD_TIME,
    Measure.RPO,
    Measure.REDUNDANCY,
    Measure.FAILBACK,
    Measure.UNPROTECTED,
    Measure.WORK_RECOVERY,
    Measure.COLD_CACHE,
    Measure.SCALE_OUT,
    Measure.DETECTED,
    Measure.LATENCY_P50,
    Measure.LATENCY_P95,
    Measure.LATENCY_P99,
)
COUNTS = (Measure.LOST_WRITES, Measure.INTEGRITY, Measure.MOVES)
SHARES = (Measure.ERROR_RATIO, Measure.AVAILABILITY, Measure.CAPACITY)

SOURCE = OneOf(
    line,
    Table(
        "a source",
        Key("stated", line, "The owner stated it: where."),
        Key("proposed", line, "Somebody proposes it: who, and why."),
        Key("derived", line, "It follows from something else: from what."),
    ),
    expected='where the target comes from, such as "stated: SLA 4.2"',
)


def _objective(target: Any) -> OneOf:
    one = Table(
        "an objective",
        Key("target", target, "What must hold.", required=True),
        Key("from", Choice("fault", "impact", "detected", "decided"), "Where a recovery time is counted from."),
        Key("source", SOURCE, "Where the target comes from, printed in the report: stated, proposed or derived."),
        Key("probe", Text("the name of a probe"), "The one probe it is about; default: all under probes."),
    )
    several = ListOf(OneOf(target, one, expected=target.expected), least=1)
    return OneOf(target, one, several, expected=target.expected)


OBJECTIVES = {
    **{measure.value: _objective(duration) for measure in DURATIONS},
    **{measure.value: _objective(count) for measure in COUNTS},
    **{measure.value: _objective(ratio) for measure in SHARES},
}

PARAMETERS = Table(
    "parameters",
    Key("hold", period, "How long service must stay good to count as recovered; default max(10 s, 20 periods)."),
    Key("onset_ratio", ratio, "Failed share above which an outage begins; default 0: any failed sample.", default=0.0),
    Key("onset_window", period, "Over which that share is taken; default 50 periods."),
    Key("recovery_ratio", ratio, "Failed share still accepted while holding; default 0.", default=0.0),
    Key("hold_min_ok", count, "Good samples needed while holding; default half of those planned."),
    Key("minimum_capacity", ratio, "Good rate needed while holding, as a share of the baseline's."),
)

STEP = Table(
    "a step",
    Key("watch", period, "Sample for this long; the first watch is the healthy baseline."),
    Key("inject", Text("the name of an experiment"), "Break something: a file in experiments/."),
    Key("await", Choice("recovery", "redundancy", "impact"), "Wait until this holds."),
    Key("restore", Text("the name of an injected experiment"), "Undo it now; whatever is left is undone at the end."),
    Key("within", period, "How long an await may take."),
    Key("with", MapOf(anything), "Values for the experiment's configuration."),
    Key("engine", name, "What carries the experiment out.", default="chaostoolkit"),
)

PATTERN = Text(
    'a pattern such as "python:chaosgcp.**", "process:kubectl" or "http:https://chaos.example/**"',
    pattern=r"(python|process|http|engine|load|postgres|valkey|rabbitmq|tcp|probe):\S.*",
    lines=False,
)

GUARD = Table(
    "a guard",
    Key("probe", Text("the name of a probe"), "A probe that must stay good, or the drill is aborted and undone."),
    Key("max_outage", period, "The longest outage before the drill is aborted and undone."),
    Key("max_duration", period, "The longest that the drill may take before it is aborted and undone."),
    Key("metric", Text("the name of a probe"), "A probe whose value has a limit, also before the fault."),
    Key("above", Number("a number", whole=False), "The metric may not stay above this."),
    Key("below", Number("a number", whole=False), "The metric may not stay below this."),
    Key("for", duration, "So long the metric must be beyond its limit; default: one sample."),
)

USUAL = Table(
    "usual",
    Key("kind", Choice(*usual.KINDS), "A kind of system whose usual failover is known."),
    Key("ttl", period, "The lease of a system that keeps one; default 30s, as Patroni's."),
    Key("loop", period, "How often it looks; default 10s, as Patroni's."),
    Key("router", period, "What the way to the service adds: health checks, DNS."),
    Key("at_least", duration, "A shorter recovery time is a finding."),
    Key("at_most", duration, "A longer recovery time is a finding."),
    Key("loss", duration, "A larger data loss is a finding."),
)

_RATE = Number("a number above 0", whole=False, least=0.001)
_USERS = Number("a whole number above 0", least=1)

LOAD = Table(
    "a load",
    Key("url", text, "What is asked for again and again; for a locustfile, the host its paths belong to."),
    Key("method", Choice("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"), "How it is asked for; default GET."),
    Key("headers", MapOf(text), "Headers of every request."),
    Key("json", anything, "The body of every request."),
    Key("status", Number("a status code", least=100, most=599), "What a good answer is; default any from 200 to 399."),
    Key("rate", _RATE, "Requests per second, sent whatever the answers do."),
    Key("users", _USERS, "How many users ask, each again once it has its answer."),
    Key(
        "steps",
        ListOf(
            Table(
                "a step of the load",
                Key("rate", _RATE, "Requests per second."),
                Key("users", _USERS, "How many users."),
                Key("for", period, "How long; the last step lasts to the end of the drill."),
            ),
            least=1,
            expected="a list of steps",
        ),
        "Several rates or numbers of users, one after the other.",
    ),
    Key("deadline", period, "An answer later than this is a failed one; default 1s."),
    Key("locustfile", Text("the path of a locustfile"), "What users do, in Locust's words, instead of one address."),
    Key("k6", Text("the path of a k6 script"), "A k6 script instead, where k6 is installed."),
    Key("environment", MapOf(text), "Variables that the locustfile or k6 script gets."),
    Key("processes", Number("a whole number above 0", least=1), "How many processes send; default as many as needed."),
)

_NAMES = ListOf(Text("the name of a probe"), least=1, expected="a list of probe names")

DRILL = Table(
    "a drill",
    Key("drill", name, "The drill's name.", required=True),
    Key("title", line, "What is exercised, in one line."),
    Key("system", name, "The system under test; one drill at a time per system. Default: the drill's name."),
    Key("lab", name, "An embedded lab to bring up for the drill, and down again."),
    Key("environment", name, "What is broken, such as production, for policies; default on a lab: lab."),
    Key(
        "calls",
        ListOf(PATTERN, least=1, expected="a list of patterns"),
        "Code outside of drill's own that it means to call, where a policy wants that said.",
    ),
    Key("with", MapOf(OneOf(text, Number("a number", whole=False))), "Values for ${…} in probes and experiments."),
    Key(
        "objectives",
        Table("objectives", *(Key(key, shape, f"Target for {key}.") for key, shape in OBJECTIVES.items())),
        "What must hold, judged as met, missed or inconclusive.",
        required=True,
    ),
    Key("probes", _NAMES, "Probes that decide whether service is back: files in probes/.", required=True),
    Key("observe", _NAMES, "Probes sampled and reported, not judged."),
    Key("redundancy", _NAMES, "Probes that say whether replicas are back."),
    Key("cache", _NAMES, "Probes whose value is 1 for a hit of the cache and 0 for a miss; sampled, not judged."),
    Key("detection", _NAMES, "Probes that are good once an alarm or notification told of the fault; not judged."),
    Key("scaling", _NAMES, "Probes that are good once there is enough capacity for the load; not judged."),
    Key("load", LOAD, "Traffic for the whole length of the drill."),
    Key(
        "agreement",
        Choice(*(each.value for each in Agreement)),
        "From how many of the vantages that watch one service it must be back: any, quorum (two thirds) or all.",
        default="all",
    ),
    Key(
        "cycle",
        period,
        "The longest cycle of the system (lease, health check, backup): a run waits for a random share of it "
        "before the first fault.",
    ),
    Key("usual", USUAL, "What a failover here usually takes; outside of it, the report asks what was measured."),
    Key(
        "commit_rate",
        Number("a number, 0 or more", least=0, whole=False),
        "Production's commits per second; a loss is extrapolated.",
    ),
    Key("parameters", PARAMETERS, "How an outage is found in the samples."),
    Key("steps", ListOf(STEP, least=1, expected="a list of steps"), "What happens, in order.", required=True),
    Key("guards", ListOf(GUARD, expected="a list of guards"), "What aborts the drill before it hurts."),
    Key(
        "expires",
        period,
        "The longest that a fault may be in place, whatever the drill is at; default: what its steps can take, "
        "and a margin.",
    ),
    Key(
        "disaster",
        Text("the name of an injected experiment"),
        "Whose action data loss is counted from; default the first.",
    ),
)

PROBE_KEYS = (
    Key("probe", name, "The probe's name.", required=True),
    Key("kind", name, "What sends its requests.", required=True),
    Key("title", line, "What it stands for, in one line."),
    Key("every", period, "Time between two requests; default rto/50, 50 ms to 1 s."),
    Key("deadline", period, "One limit over lookup, connect, TLS and answer; default rto/20, 100 ms to 1 s."),
    Key("store", name, "What it writes to: probes of one store show two servers that take writes at once."),
    Key("shard", name, "Which part of the data or users it is about; probes of one shard are reported together."),
    Key("vantage", name, "From where it looks, when several probes look at the same thing from several places."),
    Key("service", name, "What it looks at from its vantage; default one for all probes that name a vantage."),
    Key(
        "shows",
        Choice("promoted", "routed", "replication_lag"),
        "What else its samples tell: promoted (value 1: its server takes writes), routed (who serves changes) or "
        "replication_lag (value is an estimate in seconds).",
    ),
)


def probe_table(kind: Any) -> Table:
    """The keys of a probe file of one kind (a probe plug-in)."""
    own: Table = kind.keys
    return Table(own.title, *PROBE_KEYS, *own.keys)


def schema(of: str) -> dict[str, Any]:
    """The JSON Schema of `drill` or `probe` files."""
    if of == "drill":
        body = DRILL.schema()
    else:
        kinds = {found: plugins.load("probe", found) for found in plugins.installed("probe")}
        body = {
            "title": "a probe",
            "oneOf": [
                {**table, "properties": {**table["properties"], "kind": {"const": found}}}
                for found, kind in sorted(kinds.items())
                for table in [probe_table(kind).schema()]
            ],
        }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}
