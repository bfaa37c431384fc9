"""`drill doctor` looks at the machine, says what to do, and shows no credential."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from drill import doctor
from drill.cli import drill
from drill.journal import Journal
from tests.test_journal import BEGAN


def test_every_finding_is_a_sentence_and_says_what_to_do(tmp_path: Path) -> None:
    """A machine on which drill is tested can run drills; what is not well says what to do."""
    found = doctor.examine(tmp_path / "reports", os.environ)

    assert {each.about for each in found} >= {"program", "reports", "clock", "limits", "drills", "credentials"}
    assert [each.said for each in found if each.ok is False] == []
    assert [
        each.said for each in found if each.ok is None and not each.todo and "cannot be told" not in each.said
    ] == []
    assert list(tmp_path.iterdir()) == []


def test_credentials_are_named_and_not_shown(tmp_path: Path) -> None:
    """Neither what is in the environment nor what is in the files."""
    for name in ("aws/credentials", "kube/config"):
        (tmp_path / f".{name}").parent.mkdir()
        (tmp_path / f".{name}").write_text("CANARY-in-file")
    environment = {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": "CANARY-key", "AWS_SECRET_ACCESS_KEY": "CANARY-secret"}
    said = " ".join(each.said + each.todo for each in doctor.examine(tmp_path, environment))

    assert f"AWS: AWS_ACCESS_KEY_ID, {tmp_path}/.aws/credentials (not tried)" in said
    assert f"Kubernetes: {tmp_path}/.kube/config (not tried)" in said
    assert "CANARY" not in said


def test_a_run_that_died_is_named_with_its_way_out(tmp_path: Path) -> None:
    """The exit code says that this comes first."""
    log = Journal(tmp_path / "reports" / "died")
    log.append(BEGAN)
    log.close()
    done = CliRunner().invoke(drill, ["doctor", "--reports", str(tmp_path / "reports"), "--json"])

    assert done.exit_code == 4
    found = [each for each in json.loads(done.output)["findings"] if each["ok"] is False]
    assert [(each["about"], each["todo"]) for each in found] == [("drills", f"drill restore {tmp_path}/reports/died")]


@pytest.mark.skipif(os.getuid() == 0, reason="root can write anywhere")
def test_reports_that_cannot_be_written_are_told_of(tmp_path: Path) -> None:
    """Before a drill finds out."""
    tmp_path.chmod(0o500)

    assert "cannot be written" in " ".join(each.said for each in doctor.examine(tmp_path, {}) if each.ok is False)
