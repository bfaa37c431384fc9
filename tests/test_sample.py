"""The sample in reports/sample/ is a real run, and its reports are what this version makes of its journal."""

from __future__ import annotations

import shutil
from pathlib import Path

from drill import run
from drill.journal import replay

SAMPLE = Path(__file__).parents[1] / "reports" / "sample"


def test_the_sample_is_what_this_version_makes_of_its_journal(tmp_path: Path) -> None:
    """Every report file of the sample can be made again, byte for byte; `drill report reports/sample` does."""
    shutil.copy(SAMPLE / "journal.log", tmp_path)
    finished = run.finish(tmp_path)
    made = {path.name: path.read_bytes() for path in finished.files}
    kept = {path.name: path.read_bytes() for path in SAMPLE.iterdir() if path.name != "journal.log"}

    # Formats that need an extra (parquet) are made where it is installed, and not kept.
    assert {name: made.get(name) for name in kept} == kept
    assert {"report.html", "report.json", "junit.xml"} <= set(kept)


def test_the_sample_is_a_region_failover_that_was_met() -> None:
    """It shows what the README's first command shows, and names no path of the machine it came from."""
    history = replay(SAMPLE)

    assert history.plan.drill == "region-failover"
    assert b"/home/" not in (SAMPLE / "journal.log").read_bytes()
