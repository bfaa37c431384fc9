"""
The record as one page that opens from disk: report.html.

Nothing in it is loaded from anywhere and nothing in it runs: the pictures are
vectors, the style sheet is inside, and its content policy forbids the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from drill import wording
from drill.measure import measure
from drill.model import Done, History, Intent, Ledger, Mark, Measure, Measured, Note, Phase, Result, Window
from drill.record import Instant, ProbeRecord, Record
from drill.reports import charts, groups, series, svg, text, theme


class HtmlFormat:
    """One self-contained file, for people."""

    name = "html"
    filename = "report.html"

    def render(self, record: Record, history: History) -> bytes:
        return page(record, history, measure(history))


def page(record: Record, history: History, measured: Measured) -> bytes:
    """The page's bytes, UTF-8."""
    on = series.axis(record, history, measured)
    said = (
        _environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            on=on,
            result=Result(record.result),
            why=_why(record),
            results=wording.RESULTS,
            rows=text.table(record),
            bullets=_bullets(record),
            lost=_lost(record),
            figures=_figures(record, history, measured, on),
            ledgers=[
                _ledger(record, history, n, ledger, measured.disaster, on) for n, ledger in enumerate(measured.ledgers)
            ],
            timeline=_timeline(record, history, measured, on),
            moments=_Moments(on),
            measures=[*[(wording.MEASURES[Measure(name)], _said(record, name)) for name in MEASURED], *_more(record)],
            failback=_failback(record),
            rivals=_rivals(record),
            groups=groups,
            probes={probe.name: probe for probe in history.plan.probes},
            dark=Markup(theme.dark_rules()),  # noqa: S704 - made of constants
            colours=theme,
            Measure=Measure,
        )
    )
    return (text.clean(said).rstrip() + "\n").encode()


def _why(record: Record) -> str:
    """The run's reason as a sentence: an objective's id at its start becomes its name."""
    said = record.reason
    for objective in record.objectives:
        if said.startswith(f"{objective.id}: "):
            said = text.title(objective) + said.removeprefix(objective.id)
            break
    return said[:1].upper() + said[1:]


# Beside the headline numbers of the objectives, everything else a run may have measured.
MEASURED = (
    "rto",
    "outage",
    "bad_time",
    "error_ratio",
    "rpo",
    "lost_writes",
    "redundancy",
    "unprotected",
    "work_recovery",
    "cold_cache",
)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("drill.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        seconds=_seconds,
        count=lambda value: "not known" if value is None else wording.count(value),
        said=text.said,
        ids=wording.id_ranges,
        source=text.source,
        words=lambda name: str(name).replace("_", " "),
        percent=lambda value: wording.ratio(round(value * 1_000_000)),
    )
    return environment


def _seconds(value: float | None, otherwise: str = "not measured") -> str:
    return otherwise if value is None else wording.duration(wording.nanoseconds(value))


def _said(record: Record, name: str) -> str:
    return text.said(getattr(record.measured, name), Measure(name))


def _more(record: Record) -> list[tuple[str, str]]:
    """What is measured and cannot be an objective; left out where nothing asked for it."""
    measured = record.measured
    found = [("time on the promoted server", text.said(measured.on_secondary, Measure.UNPROTECTED))]
    if measured.on_secondary.lower_s is not None and measured.on_secondary.upper_s is None:
        length = wording.duration(wording.nanoseconds(measured.on_secondary.lower_s), up=False)
        found = [("time on the promoted server", f"≥{wording.NBSP}{length}, and still there at the end")]
    if measured.origin_amplification.value is not None:
        found.append(("peak load on the cache's origin", f"{measured.origin_amplification.value:g} × baseline"))
    if measured.scale_out.lower_s is not None:
        found.append((wording.MEASURES[Measure.SCALE_OUT], text.said(measured.scale_out, Measure.SCALE_OUT)))
    if measured.production_loss.lower is not None:
        said = text.said(measured.production_loss, Measure.LOST_WRITES)
        found.append(("lost at production's commit rate", f"{said}, an extrapolation"))
    return found


def _failback(record: Record) -> list[tuple[str, str]]:
    found = record.measured.failback
    return [
        ("outage of failing back", text.said(found.outage, Measure.FAILBACK)),
        ("recovery time from the undo", text.said(found.rto, Measure.FAILBACK)),
        ("data loss of failing back, as time", text.said(found.rpo, Measure.RPO)),
        ("writes lost by failing back", text.said(found.lost_writes, Measure.LOST_WRITES)),
    ]


def _rivals(record: Record) -> list[tuple[str, str, str, str]]:
    """Each store: its writers, who acknowledged after the fault, and for how long two did at once."""
    found = []
    for store in record.split_brain.stores:
        length = store.overlap
        said = text.said(length, Measure.RPO)
        if length.lower_s == 0 and length.upper_s == 0:
            said = "never seen"
        elif length.upper_s is None and length.lower_s is not None:
            seen = wording.duration(wording.nanoseconds(length.lower_s), up=False)
            said = f"≥{wording.NBSP}{seen}; some answers do not tell"
        found.append((store.name, ", ".join(store.probes), "; ".join(store.servers) or "–", said))
    return found


class _Moments:
    """Instants of the record (seconds since the run began) as seconds since the fault."""

    def __init__(self, on: series.Axis) -> None:
        self.shift = wording.nanoseconds(on.first)

    def __call__(self, instant: Instant | float | None) -> str:
        if instant is None:
            return "–"
        if isinstance(instant, Instant):
            return self.between(instant.lower, instant.upper)
        return wording.moment(wording.nanoseconds(instant) + self.shift)

    def between(self, lower: float, upper: float) -> str:
        return wording.moment(wording.nanoseconds(lower) + self.shift, wording.nanoseconds(upper) + self.shift)


# --- pictures -------------------------------------------------------------------------------------------------------


def _bullets(record: Record) -> list[Markup]:
    """A picture for each objective of its bounds against its target."""
    drawn = []
    for n, objective in enumerate(record.objectives):
        measured_as = wording.measure_of(objective.id)
        found = text.bounds_of(objective)
        scale = 1_000_000 if measured_as in wording.SHARES else 1
        target = (
            wording.nanoseconds(objective.target_s)
            if objective.target_s is not None
            else round((objective.target or 0) * scale)
        )
        row = text.row(record, objective)
        drawn.append(
            _drawn(
                charts.bullet(found, target, "void" if row.void else row.verdict, at_least=objective.at_least),
                name=f"objective-{n}",
                label=f"{row.objective}: measured {row.measured}, target {row.target}, {row.says}",
            )
        )
    return drawn


def _drawn(spec: dict[str, Any], *, name: str, label: str, lanes: Sequence[str] = ()) -> Markup:
    return Markup(svg.draw(spec, name=name, label=label, lanes=lanes))  # noqa: S704 - parsed and written again as XML


@dataclass(frozen=True, slots=True)
class Figures:
    """The pictures over time; None or empty where nothing is known."""

    ribbons: Markup | None
    lanes: Markup | None
    servers: Markup | None
    load: Markup | None
    latency: list[tuple[ProbeRecord, Markup]]


def _figures(record: Record, history: History, measured: Measured, on: series.Axis) -> Figures:
    ribbons, latency = {}, []
    for n, (probe, found) in enumerate(zip(history.plan.probes, record.probes, strict=True)):
        samples = history.samples(probe.name)
        if not samples:
            continue
        ribbon = series.ribbon(samples, probe, record.baseline["probes"][probe.name]["p99_s"], on)
        ribbons[probe.name] = ribbon
        quantiles = series.latency(samples, probe, on)
        if quantiles:
            spec = charts.latency(quantiles, ribbon["failed"], found.deadline_s * 1000, on)
            said = f"How long answers to {probe.name} took: {_seconds(found.latency_p50_s)} in the middle, "
            latency.append(
                (found, _drawn(spec, name=f"latency-{n}", label=said + f"99 % within {_seconds(found.latency_p99_s)}"))
            )
    return Figures(
        ribbons=_ribbons(record, ribbons, on),
        lanes=_lanes(measured, on),
        servers=_servers(history, on),
        load=_load(record, history, on),
        latency=latency,
    )


def _ribbons(record: Record, found: dict[str, dict[str, list[series.Stretch]]], on: series.Axis) -> Markup | None:
    if not found:
        return None
    seen = "; ".join(f"{probe.name}: {probe.ok} ok, {probe.failed} failed" for probe in record.probes)
    label = f"What each probe saw over time. {seen}"
    return _drawn(charts.ribbons(found, on), name="ribbons", lanes=list(found), label=label)


def _lanes(measured: Measured, on: series.Axis) -> Markup | None:
    phases = sorted(measured.phases, key=lambda phase: (phase.window.lower, phase.window.upper))
    if not phases:
        return None
    label = "Phases: " + ", ".join(_phase(phase, on) for phase in phases)
    named = Counter(phase.name for phase in phases)
    names = [
        phase.name.replace("_", " ") + (f": {phase.text or phase.source}" if named[phase.name] > 1 else "")
        for phase in phases
    ]
    return _drawn(charts.lanes(phases, on), name="lanes", lanes=names, label=label)


def _servers(history: History, on: series.Axis) -> Markup | None:
    found = series.served(history, on)
    if not found:
        return None
    label = f"Who answered: {', '.join(found)}"
    return _drawn(charts.servers(found, on), name="servers", lanes=list(found), label=label)


def _load(record: Record, history: History, on: series.Axis) -> Markup | None:
    found = series.traffic(history, on)
    if not found or record.load is None:
        return None
    before = next((phase for phase in record.load.phases if phase.name == "before"), None)
    share = history.plan.parameters.minimum_capacity
    capacity = None if share is None or before is None else share * before.ok_per_s
    said = "; ".join(
        f"{phase.name}: {phase.ok_per_s:g} good and {phase.failed_per_s:g} failed answers a second"
        for phase in record.load.phases
    )
    return _drawn(charts.load(found, capacity, on), name="load", label=f"The load over time. {said}")


def _phase(phase: Phase, on: series.Axis) -> str:
    return f"{phase.name} {wording.moment(phase.window.lower - on.zero, phase.window.upper - on.zero)}"


# --- data -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """The pictures of one probe's writes; *lost* has the oldest and the newest lost id, and when it was sent."""

    probe: str
    whole: Markup | None
    near: Markup | None
    fates: dict[str, int]
    lost: list[tuple[int, str]]


def _lost(record: Record) -> tuple[int, int] | None:
    """How many acknowledged writes are gone, of how many; None when that is not known."""
    known = [ledger for ledger in record.ledger if ledger.lost is not None]
    if not known:
        return None
    return sum(ledger.lost or 0 for ledger in known), sum(ledger.acknowledged for ledger in known)


def _ledger(
    record: Record, history: History, number: int, ledger: Ledger, disaster_at: Window | None, on: series.Axis
) -> LedgerFigures:
    found = series.writes(history, ledger, on)
    fates = found.fates()
    said = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    whole = near = None
    if found:
        spec = charts.ledger(series.segments(found), on)
        whole = _drawn(spec, name=f"ledger-{number}", label=f"Every write of {ledger.probe}: {said}")
    places = np.flatnonzero(found.fate == series.WRITE_FATES.index("lost")).tolist()
    lost = [found[n] for n in places[:: max(len(places) - 1, 1)]]
    # A loss ends with the newest lost write or with the disaster, whichever is later.
    disaster = on.at(disaster_at.upper) if disaster_at else 0.0
    loss = (lost[0].at, max(lost[-1].at, disaster)) if lost else None
    close = series.near(found, loss or (disaster, disaster), history.plan.probe(ledger.probe))
    if close:
        bounds = next(entry.rpo for entry in record.ledger if entry.probe == ledger.probe)
        words = f"{wording.plural(len(ledger.lost), 'write')} lost, {text.said(bounds, Measure.RPO)}" if loss else ""
        near = _drawn(
            charts.around(close, on, loss, words),
            name=f"near-{number}",
            label=f"The writes of {ledger.probe} around the fault. {words}",
        )
    return LedgerFigures(
        probe=ledger.probe,
        whole=whole,
        near=near,
        fates=fates,
        lost=[(write.id, wording.moment(wording.nanoseconds(write.at))) for write in lost],
    )


# --- what happened, in order ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    order: int
    when: str
    kind: str
    what: str
    source: str
    bad: bool = False


def _timeline(record: Record, history: History, measured: Measured, on: series.Axis) -> list[Entry]:
    """Machine and people together: activities, phases and notes."""
    entries: list[Entry] = []
    done = {(event.fault, event.n): event for event in history.of(Done)}
    for intent in history.of(Intent):
        end: Done | None = done.get((intent.fault, intent.n))
        entries.append(
            Entry(
                intent.at,
                wording.moment(intent.at - on.zero, end.at - on.zero if end else None),
                "undo" if intent.undoing else "fault" if intent.breaks else "check",
                intent.activity + _came_of(end),
                intent.fault,
                bad=end is None or not end.ok,
            )
        )
    marks = {(mark.name, mark.window): mark for mark in history.of(Mark)}
    for phase in measured.phases:
        mark = marks.get((phase.name, phase.window))
        what = phase.name.replace("_", " ")
        told = phase.text or (mark.text if mark else "")
        when = wording.moment(phase.window.lower - on.zero, phase.window.upper - on.zero)
        entries.append(Entry(phase.window.lower, when, "phase", f"{what}: {told}" if told else what, phase.source))
    entries += [
        Entry(note.at, wording.moment(note.at - on.zero), "note", note.text, "journal") for note in history.of(Note)
    ]
    return sorted(entries, key=lambda entry: (entry.order, entry.kind, entry.what))


def _came_of(end: Done | None) -> str:
    if end is None:
        return ": it never returned"
    return "" if end.ok else f": failed: {end.error}"
