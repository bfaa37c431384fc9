"""The shipped experiments, run by plain `chaos run` on a real lab: each breaks, each is undone."""

import pytest
import yaml
from chaoslib.exceptions import ActivityFailed

from drill.actions import lab as actions
from tests.actions.running import EXPERIMENTS, FILES, broken_and_restored, chaos

pytestmark = pytest.mark.lab

HERE = EXPERIMENTS["two-regions"]


@pytest.mark.parametrize("file", HERE, ids=lambda path: path.stem)
def test_an_experiment_breaks_something_and_restores_it(file, lab, tmp_path):
    """Its action shows an effect (that of no-effect: none), and after its rollbacks the lab is whole."""
    lab.ask_now("fill")

    broken_and_restored(file, lab, tmp_path)


@pytest.mark.parametrize("file", HERE, ids=lambda path: path.stem)
def test_a_rollback_is_right_although_nothing_was_broken_and_twice(file, lab, monkeypatch):
    """Nobody knows how far a fault got: undoing one that never happened, twice, leaves a whole lab."""
    monkeypatch.setenv("DRILL_LAB", str(lab.folder))
    experiment = yaml.safe_load(file.read_text())
    values = experiment.get("configuration", {})

    for activity in experiment["rollbacks"] * 2:
        arguments = {
            key: values.get(value[2:-1], value) if isinstance(value, str) else value
            for key, value in activity["provider"].get("arguments", {}).items()
        }
        getattr(actions, activity["provider"]["func"])(**arguments)

    assert lab.ask_now("status")["missing"] == []


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_chaos_toolkit_accepts_every_experiment(file):
    """`chaos validate` finds nothing to complain about."""
    done = chaos("validate", file)

    assert done.returncode == 0, done.stdout


def test_a_role_is_resolved_when_it_is_needed(lab):
    """The primary that is frozen is whoever is primary then, not a fixed region."""
    configuration = {"lab": str(lab.folder)}
    primary = next(row["member"] for row in lab.ask_now("status")["databases"] if row["role"] == "primary")

    frozen = actions.freeze_members("postgres primary", configuration)
    thawed = actions.thaw_members("postgres", configuration)

    assert (frozen["members"], frozen["effect"]) == ([primary], "shown")
    assert set(thawed["pids"]) == set(frozen["pids"])


def test_a_region_that_does_not_exist_is_refused(lab):
    """A misspelt region is an error, not a fault without effect."""
    with pytest.raises(ActivityFailed, match="the lab has no region estw"):
        actions.cut_region("estw", {"lab": str(lab.folder)})


def test_undoing_in_a_lab_that_is_gone_is_done_already(tmp_path):
    """Everything in it went with it: there is nothing left to restore."""
    gone = tmp_path / "lab"

    found = actions.restore_region("east", configuration={"lab": str(gone)})

    assert found == {"gone": True, "evidence": f"the lab in {gone} is gone, with everything in it"}


def test_breaking_in_a_lab_that_is_gone_fails(tmp_path):
    """A fault without a lab is never a success."""
    with pytest.raises(ActivityFailed, match="no lab is running in"):
        actions.kill_region("east", {"lab": str(tmp_path / "lab")})
