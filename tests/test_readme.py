"""What the README says is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from drill.model import Result
from tests.documents import README, ROOT, rendered

TEXT = README.read_text()


def test_its_tables_and_files_are_up_to_date() -> None:
    """Keys, commands and shown files are those of the program; python -m tests.documents writes them anew."""
    assert rendered(TEXT) == TEXT


def test_its_exit_codes_are_the_programs() -> None:
    """The table of exit codes says what each result gives."""
    said = {name: int(code) for code, name in re.findall(r"^\| (\d) \| (\w+) \|", TEXT, flags=re.M)}

    assert {result.value: said[result.value] for result in Result if result is not Result.REFUSED} == {
        result.value: result.exit_code for result in Result if result is not Result.REFUSED
    }


def test_every_link_leads_somewhere() -> None:
    """No link to a file that is not there."""
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)

    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


def test_make_has_the_readmes_two_commands() -> None:
    """`make drill` and `make test` are targets, word for word."""
    makefile = (ROOT / "Makefile").read_text()

    for command in ("make drill", "make test"):
        assert f"    {command}\n" in TEXT
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, flags=re.M)


def test_what_make_drill_prints_is_shown() -> None:
    """The shown output has the parts of a real one."""
    shown = TEXT.partition("<!-- output: make drill -->")[2].partition("```\n")[2].partition("```")[0]

    for part in ("step 1/5: watch for 10 s", "recovery time", "TARGET", " MET ", "report.html"):
        assert part in shown


COMMANDS = [
    line.strip()
    for line in TEXT.splitlines()
    if re.match(r"^    drill ", line) and "their-experiment" not in line and "init" not in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_it_shows_runs(command: str, tmp_path: Path) -> None:
    """In a folder made by drill init, each command of the README does what it says."""
    environment = [sys.executable, "-m", "drill"]
    subprocess.run([*environment, "init", str(tmp_path)], check=True, capture_output=True)
    done = subprocess.run(
        [*environment, *shlex.split(command)[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_somebody_elses_experiment_lints(tmp_path: Path) -> None:
    """drill lint their-experiment.json, as the README has it."""
    (tmp_path / "their-experiment.json").write_text('{"title": "t", "description": "d", "method": [], "rollback": []}')
    done = subprocess.run(
        [sys.executable, "-m", "drill", "lint", "their-experiment.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "did you mean rollbacks?" in done.stderr
