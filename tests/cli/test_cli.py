"""Commands that run no drill, as people and scripts call them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from drill.cli import COMMANDS, drill
from drill.errors import DrillError
from drill.journal import Journal
from drill.model import Anchor, Began, Completion, Ended, Plan
from drill.plugins import GROUPS

ROOT = Path(__file__).parents[2]
EXPERIMENT = {
    "title": "theirs",
    "description": "somebody else's",
    "method": [{"type": "action", "name": "act", "provider": {"type": "process", "path": "true", "timeout": 5}}],
    "rollbacks": [{"type": "action", "name": "undo", "provider": {"type": "process", "path": "true", "timeout": 5}}],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project, made by drill init, and the working folder."""
    monkeypatch.chdir(tmp_path)
    assert said("init").exit_code == 0
    return tmp_path


def said(*arguments: str | Path) -> Result:
    return CliRunner().invoke(drill, [str(argument) for argument in arguments])


def program(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The real program, in a process of its own without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "drill", *arguments],
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# --- every command --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_narrow_terminal_and_needs_nothing_heavy(command: str) -> None:
    """drill COMMAND --help answers on 40 columns, without colour when none is wanted."""
    shown = program(command, "--help", COLUMNS="40", NO_COLOR="1")

    assert shown.returncode == 0
    assert "Example" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize("arguments", [("nothing",), ("run",), ("plan", "--nothing"), ("schema", "nothing"), ()])
def test_what_cannot_be_used_as_written_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    """Click's own refusals have the exit code of a file that cannot be used."""
    assert program(*arguments).returncode == 2


def test_a_mistake_of_our_own_is_not_called_missed(tmp_path: Path) -> None:
    """Python's own exit code after a traceback is 1, which means missed: drill says 4, with the traceback."""
    broken = "import drill.plugins\ndef load(*a): raise RuntimeError('a bug')\ndrill.plugins.installed = load\n"
    ended = subprocess.run(
        [sys.executable, "-c", f"{broken}from drill.cli import main; main(['plugins'])"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 4
    assert "RuntimeError: a bug" in ended.stderr


@pytest.mark.parametrize("command", ["plugins", "schema drill", "plan drills/region-failover.yaml", "lint"])
def test_a_reader_that_goes_away_is_no_result_of_a_drill(project: Path, command: str) -> None:
    """`drill plan … | head` is neither met nor missed: no traceback, and the exit code of a broken pipe."""
    ended = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m drill {command} | true; exit ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode in (0, 141)  # 0: it had all been written before the reader went
    assert "Traceback" not in ended.stderr


# --- init -----------------------------------------------------------------------------------------------------------


def test_init_keeps_what_was_changed_unless_forced(project: Path) -> None:
    """A second init overwrites nothing that a person has written."""
    mine = project / "drills" / "region-failover.yaml"
    mine.write_text("mine")

    assert "1 files that differ were kept" in said("init").output
    assert mine.read_text() == "mine"
    assert said("init", "--force").exit_code == 0
    assert mine.read_text() != "mine"


def test_init_says_why_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something in the way is named; it is not a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drills").write_text("in the way")

    refused = said("init")

    assert isinstance(refused.exception, DrillError)
    assert "cannot be written" in str(refused.exception)


# --- lint -----------------------------------------------------------------------------------------------------------


def test_lint_finds_nothing_wrong_with_what_is_shipped(project: Path) -> None:
    """Every shipped file is used as written."""
    shown = said("lint", "--json")

    problems = json.loads(shown.output)["problems"]
    assert (shown.exit_code, [each for each in problems if each["severity"] == "error"]) == (0, [])


def test_lint_tells_machines_and_people_the_same(project: Path) -> None:
    """Place, message and hint of a mistake, as data or as editors read it; exit code 2 in both."""
    bad = project / "drills" / "bad.yaml"
    bad.write_text("drill: bad\nobjectives: {rto: 5 minuts}\nprobes: [orders-reads]\nsteps: [{inject: no-effect}]\n")

    machine, person = said("lint", "--json", "drills/bad.yaml"), said("lint", "drills/bad.yaml")

    found = [each for each in json.loads(machine.output)["problems"] if each["line"] == 2]
    assert (machine.exit_code, person.exit_code) == (2, 2)
    assert [(each["file"], each["column"], each["severity"]) for each in found] == [("drills/bad.yaml", 19, "error")]
    assert f"drills/bad.yaml:2:19: {found[0]['message']}" in person.output


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("missing.yaml", None),
        ("empty.json", b""),
        ("binary.json", bytes(range(256))),
        ("list.yaml", b"- 1"),
        (".", None),
    ],
)
def test_lint_survives_anything(project: Path, file: str, content: bytes | None) -> None:
    """Whatever a file holds, there is a message and exit code 2, and no traceback."""
    if content is not None:
        (project / file).write_bytes(content)

    refused = said("lint", file)

    assert (refused.exit_code, type(refused.exception)) == (2, SystemExit)


def test_lint_of_nothing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is not a clean one."""
    monkeypatch.chdir(tmp_path)

    assert isinstance(said("lint").exception, DrillError)


def test_strict_takes_warnings_for_errors(project: Path) -> None:
    """--strict refuses what is only dangerous."""
    (project / "their.json").write_text(json.dumps({**EXPERIMENT, "rollback": []}))

    assert said("lint", "their.json").exit_code == 0
    assert said("lint", "--strict", "their.json").exit_code == 2


# --- plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_names_everything_and_touches_nothing(project: Path) -> None:
    """What is broken, undone, watched and for how long, as data; no file is written, no lab started."""
    before = sorted(project.rglob("*"))
    outline = json.loads(said("plan", "--json", "drills/region-failover.yaml").output)

    assert (outline["drill"], outline["lab"]) == ("region-failover", "two-regions")
    assert [each["fault"] for each in outline["breaks"]] == ["region-outage"]
    assert all(each["does"] for each in outline["breaks"])
    assert {each["role"] for each in outline["watches"]} >= {"judged"}
    assert outline["longest_s"] > 0
    assert len(outline["digest"]) == 64
    assert sorted(project.rglob("*")) == before


def test_the_same_files_give_the_same_digest_and_any_change_another(project: Path) -> None:
    """A digest says which files a run was made from."""
    file = project / "drills" / "region-failover.yaml"
    first, again = (json.loads(said("plan", "--json", file).output)["digest"] for _ in range(2))
    file.write_text(file.read_text().replace("title: ", "title: Again, "))

    assert first == again
    assert json.loads(said("plan", "--json", file).output)["digest"] != first


def test_with_must_be_name_and_value(project: Path) -> None:
    """--with without a value is refused before anything is read."""
    assert isinstance(said("plan", "--with", "nonsense", "drills/region-failover.yaml").exception, DrillError)


# --- run, before anything runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing would be judged"),
        (("--rto", "30s"), "what shall watch the service"),
        (("--rto", "soon", "--probe", "p.yaml"), '--rto must be a duration such as "90s" or "5m", not "soon"'),
        (("--lost-writes", "0", "--probe", "p.yaml"), "lost_writes needs a probe that writes"),
    ],
)
def test_somebody_elses_experiment_needs_a_probe_and_a_target(
    project: Path, arguments: tuple[str, ...], told: str
) -> None:
    """What is missing is told before anything is broken."""
    (project / "their.json").write_text(json.dumps(EXPERIMENT))
    (project / "p.yaml").write_text('probe: p\nkind: tcp\naddress: "127.0.0.1:1"\n')

    refused = said("run", "their.json", *arguments)

    assert isinstance(refused.exception, DrillError)
    assert refused.exception.exit_code == 2
    assert told in str(refused.exception)
    assert not (project / "reports").exists()


# --- report ---------------------------------------------------------------------------------------------------------


def finished(folder: Path) -> Path:
    """A run that ended without judging anything."""
    plan = Plan(drill="d", title="t", system="s", objectives=(), probes=(), judged=())
    log = Journal(folder)
    log.append(Began(at=1, run_id=folder.name, plan=plan, anchor=Anchor(monotonic=1, wall=2)))
    log.append(Ended(at=9, completion=Completion.COMPLETED, anchor=Anchor(monotonic=9, wall=9), reason=""))
    log.close()
    return folder


def test_a_report_is_found_by_id_by_folder_and_as_the_latest(project: Path) -> None:
    """All three name the same run; its exit code is the command's."""
    finished(project / "reports" / "20260101-000000-old-0000")
    run = finished(project / "reports" / "20260102-000000-new-0000")
    schema = json.loads((ROOT / "reports/schema/report.schema.json").read_text())

    shown = [said("report", "--json", *name) for name in ((), (run.name,), (run,))]

    assert {each.exit_code for each in shown} == {3}
    assert {json.loads(each.output)["run_id"] for each in shown} == {run.name}
    jsonschema.validate(json.loads(shown[0].output), schema)


@pytest.mark.parametrize("arguments", [("report",), ("report", "nobody"), ("report", "--format", "nothing")])
def test_a_report_of_nothing_is_a_usage_error(project: Path, arguments: tuple[str, ...]) -> None:
    """A run that is not there is exit code 2, with what is."""
    refused = said(*arguments)

    assert isinstance(refused.exception, DrillError)
    assert refused.exception.exit_code == 2


def test_a_report_that_cannot_be_written_leaves_the_old_one_and_writes_the_others(project: Path) -> None:
    """Something in the way of one format costs that format only."""
    run = finished(project / "reports" / "20260102-000000-new-0000")
    (run / "report.html").mkdir()

    refused = said("report")

    assert isinstance(refused.exception, DrillError)
    # samples.parquet needs its extra.
    there = {path.name for path in run.iterdir()} - {"samples.parquet"}
    assert there == {"journal.log", "junit.xml", "report.html", "report.json"}
    shutil.rmtree(run)


# --- restore, lab, plugins, schema ----------------------------------------------------------------------------------


def test_restore_without_runs_has_nothing_to_do(project: Path) -> None:
    """No reports/ at all is as fine as one without dead runs."""
    assert said("restore").output == "nothing to restore\n"
    finished(project / "reports" / "20260102-000000-new-0000")
    assert json.loads(said("restore", "--json").output) == {"restored": [], "unsafe": [], "failed": []}


def test_a_lab_that_is_not_there_is_named(project: Path) -> None:
    """Asking about a lab that nobody started is exit code 4 and tells how to start one."""
    for command in ("status", "down"):
        refused = said("lab", command, "no-such-lab")
        assert isinstance(refused.exception, DrillError)
        assert "no labs named no-such-lab are running" in str(refused.exception)


def test_plugins_lists_every_sort(project: Path) -> None:
    """Engines, probe kinds, report formats and labs, as data and as a table."""
    listed = json.loads(said("plugins", "--json").output)

    assert {each["sort"] for each in listed} == set(GROUPS)
    assert all(each["name"] in said("plugins").output for each in listed)


@pytest.mark.parametrize("of", ["drill", "probe", "report"])
def test_schemas_are_schemas(of: str) -> None:
    """What drill schema prints is itself well-formed."""
    jsonschema.Draft202012Validator.check_schema(json.loads(said("schema", of).output))
