"""
The record as JUnit XML, for continuous integration: junit.xml.

One test case for each objective and one named `run`. Nothing is ever marked
skipped: CI systems show that in green, and an objective that was not evaluated
is not a success.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from drill import wording
from drill.model import History, Result
from drill.record import ObjectiveRecord, Record
from drill.reports import text


class JunitFormat:
    """JUnit as Jenkins, GitLab and GitHub's reporters read it."""

    name = "junit"
    filename = "junit.xml"

    def render(self, record: Record, history: History) -> bytes:
        result = Result(record.result)
        cases = [_run(record, result, history)] + [
            _objective(record, objective, history) for objective in record.objectives
        ]
        counts = {
            "tests": str(len(cases)),
            "failures": str(sum(case.find("failure") is not None for case in cases)),
            "errors": str(sum(case.find("error") is not None for case in cases)),
            **_time(record.duration_s),
        }
        suites = Xml.Element("testsuites", {"name": "drill", **counts})
        suite = Xml.SubElement(
            suites,
            "testsuite",
            {"name": text.clean(record.drill), "timestamp": record.started_at.removesuffix("Z"), **counts},
        )
        suite.extend(cases)
        Xml.indent(suites)
        written: bytes = Xml.tostring(suites, encoding="utf-8", xml_declaration=True)
        return written + b"\n"


def _run(record: Record, result: Result, history: History) -> Xml.Element:
    case = _case(record, "run", record.duration_s)
    _properties(case, {"result": record.result, "run_id": record.run_id, "journal": history.digest})
    if result in wording.VOID:
        _say(case, "error", record.result, record.reason, "\n".join(record.instructions))
    elif result is not Result.MET:
        _say(case, "failure", record.result, record.reason)
    return case


def _objective(record: Record, objective: ObjectiveRecord, history: History) -> Xml.Element:
    row = text.row(record, objective)
    case = _case(record, objective.id, objective.upper_s if objective.upper_s is not None else objective.lower_s)
    _properties(
        case,
        {
            "verdict": objective.verdict,
            "reason": objective.reason,
            "target": row.target,
            "measured": row.measured,
            "lower": _number(objective.lower_s if objective.target is None else objective.lower),
            "upper": _number(objective.upper_s if objective.target is None else objective.upper),
            "source": text.source(objective),
            "unit": "seconds" if objective.target is None else "count or share",
            "journal": history.digest,
        },
    )
    if row.void:
        # A run that was cut short has no verdict to give: neither a success nor a failure of the system under test.
        _say(case, "error", record.result, f"{row.says}: {objective.explanation}")
    elif objective.verdict != "met":
        _say(case, "failure", objective.verdict, objective.explanation)
    return case


def _case(record: Record, name: str, time: float | None) -> Xml.Element:
    names = {"classname": text.clean(f"{record.drill}.{record.system}"), "name": text.clean(name)}
    return Xml.Element("testcase", {**names, **_time(time)})


def _properties(case: Xml.Element, values: dict[str, str]) -> None:
    properties = Xml.SubElement(case, "properties")
    for name, value in values.items():
        Xml.SubElement(properties, "property", {"name": name, "value": text.clean(value)})


def _say(case: Xml.Element, kind: str, type: str, message: str, more: str = "") -> None:
    element = Xml.SubElement(case, kind, {"type": type, "message": text.clean(message)})
    element.text = text.clean(more or message)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9f}".rstrip("0").rstrip(".")


def _time(value: float | None) -> dict[str, str]:
    """The `time` attribute; left out where nothing was measured, or no time was: 0.000 would be a claim."""
    return {} if value is None else {"time": f"{value:.3f}"}
