from __future__ import annotations

from pathlib import Path

import pytest

from drill import plugins
from tests.reports.worlds import HISTORIES, the_run

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
