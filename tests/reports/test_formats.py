from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import msgspec
import pytest

from drill import plugins
from drill.assemble import assemble
from drill.model import Began, History, Measure, Objective
from drill.reports import text
from drill.reports.html import HtmlFormat
from drill.reports.junit import JunitFormat
from tests.reports.worlds import HISTORIES, S, region_failover, the_run

README = Path(__file__).parents[2] / "reports" / "README.md"


@pytest.mark.parametrize("format", sorted(plugins.installed("report")))
@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_every_format_writes_every_result(format: str, name: str) -> None:
    """Whatever a run came to, each registered format makes a file of it, the same each time, and says the result."""
    run = the_run(name)
    writer = plugins.load("report", format)()

    written = writer.render(run.record, run.history)

    assert written == writer.render(run.record, run.history)
    assert name.encode() in written
    # A table in columns is for programs; all others end as text does.
    assert written.endswith(b"PAR1" if format == "parquet" else b"\n")
    assert writer.name == format


def test_the_readme_names_every_file() -> None:
    """reports/README.md lists what each format writes."""
    listed = README.read_text()

    for format in plugins.installed("report"):
        assert f"`{plugins.load('report', format)().filename}`" in listed


def test_targets_of_different_people_are_told_apart() -> None:
    """Two targets of one measure are two rows, two test cases and two verdicts, each with whose it is."""
    history = region_failover()
    first, *rest = history.events
    assert isinstance(first, Began)
    targets = (
        Objective(measure=Measure.RTO, target=10 * S, source="stated: SLA 4.2"),
        Objective(measure=Measure.RTO, target=60 * S, source="proposed: by operations", number=2),
        Objective(measure=Measure.AVAILABILITY, target=999_500, source="derived"),
    )
    plan = msgspec.structs.replace(history.plan, objectives=targets)
    told = History((msgspec.structs.replace(first, plan=plan), *rest), history.digest)
    record = assemble(told)

    assert [(each.id, each.verdict, each.source_kind, each.source_ref) for each in record.objectives][:3] == [
        ("rto", "missed", "stated", "SLA 4.2"),
        ("rto#2", "met", "proposed", "by operations"),
        ("availability", "missed", "derived", None),
    ]
    rows = [(row.objective, row.target.replace("\u00a0", " ")) for row in text.table(record)][:3]
    assert rows == [
        ("recovery time", "≤ 10 s (stated)"),
        ("recovery time, target 2", "≤ 1 min (proposed)"),
        ("availability", "≥ 99.95 % (derived)"),
    ]
    page = HtmlFormat().render(record, told).decode()
    assert "stated: SLA 4.2" in page
    assert "proposed: by operations" in page
    cases = list(Xml.fromstring(JunitFormat().render(record, told)).iter("testcase"))
    assert [case.get("name") for case in cases][:4] == ["run", "rto", "rto#2", "availability"]
    sources = [[each.get("value") for each in case.iter("property") if each.get("name") == "source"] for case in cases]
    assert sources[1:4] == [["stated: SLA 4.2"], ["proposed: by operations"], ["derived"]]
