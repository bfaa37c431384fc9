from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

import msgspec
import pytest

from drill.record import Record
from drill.reports.junit import JunitFormat
from tests.reports.worlds import Run, the_run

# What the schema that Jenkins publishes allows; a reader that validates refuses anything else.
# https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "errors", "failures", "time", "timestamp", "skipped", "hostname", "id", "package"},
    "testcase": {"name", "classname", "time", "assertions", "status", "group"},
    "properties": set(),
    "property": {"name", "value"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase", "properties"},
    "testcase": {"properties", "failure", "error"},
    "properties": {"property"},
}


def written(run: Run) -> Xml.Element:
    return Xml.fromstring(JunitFormat().render(run.record, run.history))


def with_record(run: Run, **changes: object) -> Run:
    return Run(run.history, msgspec.structs.replace(run.record, **changes))


def verdicts(root: Xml.Element) -> dict[str, str]:
    """Each case with what a CI system would show: pass, or the element and its type."""
    found = {}
    for case in root.iter("testcase"):
        bad = next((child for child in case if child.tag in {"failure", "error", "skipped"}), None)
        found[case.get("name", "")] = "pass" if bad is None else f"{bad.tag} {bad.get('type')}"
    return found


@pytest.mark.parametrize("name", ["met", "missed", "inconclusive", "refused", "aborted", "unsafe"])
def test_junit_is_what_the_schema_allows(name: str) -> None:
    """Every element, attribute and number is one that strict readers accept, and the sums are right."""
    root = written(the_run(name))

    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag], element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))
    suite = root[0]
    shown = list(verdicts(root).values())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (
        str(len(shown)),
        str(sum(text.startswith("failure") for text in shown)),
        str(sum(text.startswith("error") for text in shown)),
    )


def test_a_missed_objective_fails_and_a_met_one_passes() -> None:
    """Each objective is its own test case, and `run` stands for the whole."""
    assert verdicts(written(the_run("missed"))) == {
        "run": "failure missed",
        "rto": "pass",
        "rpo": "failure missed",
        "lost_writes": "failure missed",
        "integrity": "pass",
    }


def test_a_met_run_passes_altogether() -> None:
    """Nothing is red when every objective was met."""
    assert set(verdicts(written(the_run("met"))).values()) == {"pass"}


@pytest.mark.parametrize("name", ["refused", "aborted", "unsafe"])
def test_a_run_that_was_cut_short_is_an_error_and_never_green(name: str) -> None:
    """`run` and every objective are errors: neither a met nor a missed one counts, and the message says so."""
    root = written(the_run(name))

    assert set(verdicts(root).values()) == {f"error {name}"}
    objectives = the_run(name).record.objectives
    said = [error.get("message", "") for error in root.iter("error")][1:]
    assert [text.partition(": ")[0] for text in said] == [f"{each.verdict}, does not count" for each in objectives]


def test_an_undecided_objective_fails_and_is_not_skipped() -> None:
    """CI systems show skipped tests in green, so nothing is ever skipped."""
    run = the_run("inconclusive")

    shown = verdicts(written(run))

    undecided = [objective.id for objective in run.record.objectives if objective.verdict == "inconclusive"]
    assert undecided
    assert {shown[name] for name in undecided} == {"failure inconclusive"}
    assert b"skipped" not in JunitFormat().render(run.record, run.history)


def test_what_was_measured_is_in_the_properties() -> None:
    """Bounds, target, verdict and the journal's digest stand beside each objective."""
    run = the_run("missed")
    case = next(case for case in written(run).iter("testcase") if case.get("name") == "rto")

    properties = {item.get("name"): item.get("value") for item in case.iter("property")}

    rto = next(objective for objective in run.record.objectives if objective.id == "rto")
    assert properties["target"] == "≤\u00a030 s".replace(" ", "\u00a0")
    assert (float(properties["lower"] or ""), float(properties["upper"] or "")) == (rto.lower_s, rto.upper_s)
    assert (properties["verdict"], properties["journal"]) == ("met", run.history.digest)
    assert case.get("time") == f"{rto.upper_s:.3f}"


def test_hostile_text_survives_as_text() -> None:
    """Markup, newlines and control characters of the journal cannot break the file."""
    nasty = '<script>alert("x")</script>\r\n\x00\x1b[31m]]> & \ud800'
    run = the_run("missed")
    record: Record = run.record
    bad = [msgspec.structs.replace(found, explanation=nasty) for found in record.objectives]

    root = written(with_record(run, drill=nasty, reason=nasty, objectives=bad))

    failure = next(root.iter("failure"))
    shown = '<script>alert("x")</script>\r\n\ufffd\ufffd[31m]]> & \ufffd'
    assert failure.get("message") == shown
    assert root[0].get("name") == shown
