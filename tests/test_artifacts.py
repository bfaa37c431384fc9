from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from drill import artifacts, run
from drill.errors import EnvironmentFault
from drill.record import Artifact

SAMPLE = Path(__file__).parents[1] / "reports" / "sample"


def test_a_report_names_the_files_it_is_made_from_with_their_digests(tmp_path: Path) -> None:
    """The journal and what others wrote, never the reports: those are made from them."""
    journal = (SAMPLE / "journal.log").read_bytes()
    (tmp_path / "journal.log").write_bytes(journal)
    foreign = tmp_path / "attachments" / "fis" / "report.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"{}")
    (tmp_path / "report.html").write_bytes(b"an older one")

    run.finish(tmp_path, only="json")

    listed = json.loads((tmp_path / "report.json").read_bytes())["artifacts"]
    assert listed == [
        {
            "path": "attachments/fis/report.json",
            "sha256": hashlib.sha256(b"{}").hexdigest(),
            "bytes": 2,
            "media_type": "application/json",
        },
        {
            "path": "journal.log",
            "sha256": hashlib.sha256(journal).hexdigest(),
            "bytes": len(journal),
            "media_type": "text/plain",
        },
    ]


def test_a_file_of_no_known_kind_is_bytes(tmp_path: Path) -> None:
    """The kind comes from Python's own table, never from the machine's, so every machine says the same."""
    (tmp_path / "journal.log").touch()
    (tmp_path / "attachments").mkdir()
    (tmp_path / "attachments" / "core.dump1").write_bytes(b"\0")

    nothing = hashlib.sha256(b"\0").hexdigest()
    assert artifacts.found(tmp_path)[0] == Artifact(
        path="attachments/core.dump1", sha256=nothing, bytes=1, media_type="application/octet-stream"
    )


def test_a_missing_journal_is_said(tmp_path: Path) -> None:
    """Without it there is nothing to report on."""
    with pytest.raises(EnvironmentFault, match=r"journal\.log cannot be read"):
        artifacts.found(tmp_path)
