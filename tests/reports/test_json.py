from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from drill.record import Record
from drill.reports.json import JsonFormat
from drill.reports.schema import encode, report_schema
from tests.reports.worlds import HISTORIES, the_run

PUBLISHED = Path(__file__).parents[2] / "reports" / "schema" / "report.schema.json"


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_every_report_fits_the_schema(name: str) -> None:
    """An independent validator accepts each report.json."""
    run = the_run(name)

    jsonschema.Draft202012Validator(report_schema()).validate(json.loads(JsonFormat().render(run.record, run.history)))


def test_the_schema_refuses_what_is_no_report() -> None:
    """A missing field or a word where a number belongs is found."""
    run = the_run("met")
    good = json.loads(JsonFormat().render(run.record, run.history))
    validator = jsonschema.Draft202012Validator(report_schema())

    assert not validator.is_valid({key: value for key, value in good.items() if key != "result"})
    assert not validator.is_valid(good | {"exit_code": "0"})
    assert not validator.is_valid(good | {"objectives": [{"id": "rto"}]})


def test_the_published_schema_is_the_one_that_holds() -> None:
    """reports/schema/report.schema.json is what `drill schema report` prints; if not, write it anew."""
    assert PUBLISHED.read_bytes() == encode(report_schema())


def test_a_report_can_be_compared_line_by_line() -> None:
    """Sorted keys, two spaces, plain characters, one newline at the end."""
    run = the_run("missed")
    source = JsonFormat().render(run.record, run.history)

    decoded = json.loads(source)
    assert list(decoded) == sorted(decoded)
    assert source.startswith(b'{\n  "activities"')
    assert source.endswith(b"}\n")
    assert not source.endswith(b"\n\n")


def test_a_report_holds_the_fields_the_design_promises() -> None:
    """design.md's list, with null where nothing was measured."""
    run = the_run("refused")
    decoded = json.loads(JsonFormat().render(run.record, run.history))

    assert set(decoded) == set(Record.__struct_fields__)
    assert set(decoded["objectives"][0]) >= {"id", "target_s", "lower_s", "upper_s", "verdict", "reason", "from"}
    assert decoded["measured"]["rto"] == {"lower_s": None, "upper_s": None, "reason": "no fault was carried out"}
