"""A record's numbers in words: what the terminal and the page both say."""

from __future__ import annotations

import re
from typing import NamedTuple

from drill import wording
from drill.model import SECOND, Bounds, Measure, Result
from drill.record import BoundsS, CountBounds, ObjectiveRecord, RatioBounds, Record

# XML 1.0 cannot hold these at all, not even escaped: https://www.w3.org/TR/xml/#charsets
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(value: str) -> str:
    """The text with each character that XML and HTML cannot hold made visible as U+FFFD; nothing is escaped."""
    return _NOT_XML.sub("\ufffd", value)


class Row(NamedTuple):
    """
    One objective as a table shows it.

    Attributes:
        objective: Its name in words, with the probe when it is about one.

        target: "≤ 30 s (stated)": what must hold, and where that comes from.

        measured: "21.93–22.05 s", or "not measured".

        verdict: met, missed or inconclusive.

        explanation: Why, one sentence.

        void: The run it is of came to no verdict, so this one does not count; the word for that run, else "".
    """

    objective: str
    target: str
    measured: str
    verdict: str
    explanation: str
    void: str = ""

    @property
    def says(self) -> str:
        """The verdict as a reader must take it: "missed, does not count" of a run that was aborted."""
        return f"{self.verdict}, does not count" if self.void else self.verdict


def table(record: Record) -> list[Row]:
    """Every objective of a record, in order."""
    return [row(record, objective) for objective in record.objectives]


def row(record: Record, objective: ObjectiveRecord) -> Row:
    return Row(
        objective=title(objective),
        target=target(objective) + (f" ({objective.source_kind})" if objective.source_kind else ""),
        measured=measured(objective),
        verdict=objective.verdict,
        explanation=objective.explanation,
        void=record.result if Result(record.result) in wording.VOID else "",
    )


def title(objective: ObjectiveRecord) -> str:
    """ "recovery time of orders-writes, from impact"."""
    name = wording.MEASURES[wording.measure_of(objective.id)]
    probe, number = wording.probe_of(objective.id), wording.number_of(objective.id)
    since = f", from {objective.origin}" if objective.origin != "fault" else ""
    return f"{name}{f' of {probe}' if probe else ''}{since}{f', target {number}' if number > 1 else ''}"


def target(objective: ObjectiveRecord) -> str:
    measure = wording.measure_of(objective.id)
    if objective.target_s is not None:
        ns = wording.nanoseconds(objective.target_s)
        return f"≤{wording.NBSP}{wording.duration(ns)}"
    wanted = objective.target or 0.0
    if measure in wording.SHARES:
        sign = "≥" if measure.at_least else "≤"
        return f"{sign}{wording.NBSP}{wording.share(round(wanted * 1_000_000), measure)}"
    if measure is Measure.INTEGRITY and not wanted:
        return "no holes"
    return wording.count(int(wanted)) if not wanted else f"≤{wording.NBSP}{wording.count(int(wanted))}"


def source(objective: ObjectiveRecord) -> str:
    """Where a target comes from: "stated: SLA 4.2"; "" when the drill does not say."""
    return ": ".join(part for part in (objective.source_kind, objective.source_ref) if part)


def measured(objective: ObjectiveRecord) -> str:
    measure = wording.measure_of(objective.id)
    found = bounds_of(objective)
    if measure is Measure.INTEGRITY and found is not None:
        holes = wording.plural(found.lower, "hole") if found.lower == found.upper else wording.bounds(found, measure)
        return f"{holes}, split brain" if objective.reason == "split_brain" and objective.verdict == "missed" else holes
    return wording.bounds(found, measure)


def bounds_of(objective: ObjectiveRecord) -> Bounds | None:
    """An objective's bounds in the model's units again: nanoseconds, counts or parts per million."""
    if objective.target_s is not None:
        return _bounds(objective.lower_s, objective.upper_s, SECOND)
    scale = 1_000_000 if wording.measure_of(objective.id) in wording.SHARES else 1
    return _bounds(objective.lower, objective.upper, scale)


def said(found: BoundsS | CountBounds | RatioBounds, measure: Measure) -> str:
    """A measured value of the record in words, with the reason when there is none."""
    if isinstance(found, BoundsS):
        bounds = _bounds(found.lower_s, found.upper_s, SECOND)
    else:
        bounds = _bounds(found.lower, found.upper, 1_000_000 if isinstance(found, RatioBounds) else 1)
    return wording.bounds(bounds, measure) if bounds else f"not measured: {found.reason}"


def _bounds(lower: float | None, upper: float | None, scale: int) -> Bounds | None:
    if lower is None:
        return None
    return Bounds(round(lower * scale), None if upper is None else round(upper * scale))
