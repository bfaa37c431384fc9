"""Samples in columns are the samples of the journal."""

from __future__ import annotations

import importlib.util
import io
import sys
from pathlib import Path

import pytest
from pyarrow import parquet

from drill import run
from drill.errors import EnvironmentFault
from drill.journal import Journal
from drill.reports.parquet import ParquetFormat
from tests.reports.worlds import the_run


def test_every_sample_is_in_the_table() -> None:
    """Row by row, probe by probe; what was never sent or not told is null, not 0."""
    told = the_run("met")
    table = parquet.read_table(io.BytesIO(ParquetFormat().render(told.record, told.history)))

    expected = [
        {
            "probe": probe.name,
            "planned": each.planned,
            "sent": each.sent,
            "ended": each.ended,
            "outcome": each.outcome.value,
            "detail": each.detail,
            "served_by": each.served_by,
            "id": each.id,
            "fate": each.fate.value if each.fate else None,
            "value": each.value,
        }
        for probe in told.history.plan.probes
        for each in told.history.samples(probe.name)
    ]
    assert table.to_pylist() == expected
    assert table.schema.metadata[b"result"] == b"met"
    assert int(table.schema.metadata[b"anchor_monotonic_ns"]) == told.history.began.anchor.monotonic


def test_without_its_library_it_is_passed_over_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody else's reports do not need it; who wants it is told what to install."""
    told = the_run("met")
    journal = Journal(tmp_path / "run")
    for event in told.history.events:
        journal.append(event)
    journal.close()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name))

    written = run.finish(tmp_path / "run").files

    assert sorted(file.name for file in written) == ["junit.xml", "report.html", "report.json"]
    with pytest.raises(EnvironmentFault, match=r"drill-orchestrator\[parquet\]"):
        run.finish(tmp_path / "run", only="parquet")
