"""The shipped experiments, by the lab they are for, and how one is tried with Chaos Toolkit's own command."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import yaml

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))


def _by_lab():
    found = defaultdict(list)
    for file in FILES:
        lab = next((tag for tag in yaml.safe_load(file.read_text())["tags"] if tag.startswith("two-regions")), None)
        found[lab].append(file)
    return dict(found)


EXPERIMENTS = _by_lab()


def chaos(*words, **environment):
    """Run Chaos Toolkit's own command."""
    command = [Path(sys.executable).parent / "chaos", "--no-version-check", "--no-log-file", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, **environment}
    )


def broken_and_restored(file, lab, folder):
    """`chaos run` on *lab*: the action shows an effect, every rollback succeeds, and the lab is whole afterwards."""
    journal = folder / "journal.json"
    done = chaos("run", "--rollback-strategy=always", f"--journal-path={journal}", file, DRILL_LAB=str(lab.folder))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(journal.read_text())
    activities = found["run"] + found["rollbacks"]
    assert [activity["status"] for activity in activities] == ["succeeded"] * len(activities), activities
    output = found["run"][0]["output"]
    assert output["effect"] == ("none" if file.stem == "no-effect" else "shown"), output
    assert output["evidence"]
    status = lab.ask_now("status")
    assert status["links"] == []
    down = {name: state for name, state in status["processes"].items() if state["state"] != "running"}
    assert down == {}
    # Those who depend on what was restored notice it a moment later.
    lab.ask_now("wait", answer_within=30, within=20)
