"""`drill plan --check` finds what would stand in a drill's way, and breaks nothing."""

from __future__ import annotations

import json
from typing import Any

from drill.model import Intent
from tests.running import World

POLICY = """
policy: drill-policy-v1
environments:
  staging: {actions: ["process:kill"]}
"""


def checks(world: World, *more: str) -> tuple[int, dict[str, Any]]:
    """The exit code of `drill plan --check --json`, and what it prints."""
    code, out, err = world.run("plan", world.drill(within="2s", more="\n".join(more)), "--check", "--json")
    assert "Traceback" not in err
    return code, json.loads(out)


def said(found: dict[str, Any]) -> list[tuple[str, bool | None, str]]:
    """All but what is found of the machine that tests run on."""
    machine = ("reports", "clock")
    return [(each["about"], each["ok"], each["said"]) for each in found["checks"] if each["about"] not in machine]


def test_a_drill_that_would_work_is_well(world: World) -> None:
    """It can be carried out and undone, its probe gets an answer; that it asks this very machine is said."""
    code, found = checks(world)

    assert code == 0
    assert said(found) == [
        ("drills", True, "no other drill of the system freeze is going on"),
        ("freeze", True, "its modules, programs and variables are here"),
        ("freeze", True, f"undo: send CONT: kill -CONT {world.service.pid}"),
        ("reads", True, "it got a good answer"),
        ("reads", None, "it asks 127.0.0.1, which is this machine: a fault here would take the prober with it"),
    ]
    assert not (world.folder / "reports").exists()


def test_whatever_stands_in_the_way_is_named_at_once(world: World) -> None:
    """A missing program, no undo, a service that is down and a policy that refuses: one exit code 4 for all."""
    action = {"type": "action", "name": "a", "provider": {"type": "process", "path": "no-such-program", "timeout": 1}}
    world.experiment("freeze", [action], [])
    (world.folder / "drill-policy.yaml").write_text(POLICY)
    world.service.kill()
    world.service.wait()
    code, found = checks(world)

    assert code == 4
    assert [(about, text) for about, ok, text in said(found) if ok is False] == [
        ("freeze", "experiments/freeze.json cannot be carried out here: "
                   "the program no-such-program is not on this machine's PATH"),
        ("reads", "it got no good answer: connection refused"),
    ]  # fmt: skip
    assert found["without_undo"] == ["freeze"]
    assert [refusal["message"] for refusal in found["refusals"]] == [
        "drill-policy.yaml has rules for environments, and the drill freeze does not name its own"
    ]


def test_a_run_that_policies_allow_says_so_in_its_record(world: World) -> None:
    """Who ran it, by which policy and in which environment; a refused one leaves nothing."""
    (world.folder / "drill-policy.yaml").write_text(POLICY)
    code, _, err = world.run("run", world.drill(within="1s"))
    assert (code, (world.folder / "reports").exists()) == (4, False), err

    code, _, err = world.run("run", world.drill(within="1s", more="environment: staging"))

    assert code == 3, err
    plan = world.record()["plan"]
    assert plan["environment"] == "staging"
    assert [file["path"] for file in plan["permission"]["policies"]] == ["drill-policy.yaml"]
    assert plan["permission"]["approvals"] == []
    assert world.events(Intent)


def test_somebody_elses_experiment_needs_an_environment_under_a_policy(world: World) -> None:
    """`--environment` says it; without any policy it runs as it is."""
    (world.folder / "drill-policy.yaml").write_text(POLICY)
    words = ["experiments/freeze.json", "--probe", "probes/reads.yaml", "--rto", "1s", "--with", f"base={world.url}"]
    code, _, err = world.run("run", *words)

    assert code == 4
    assert "does not name its own" in err
    code, _, err = world.run("run", *words, "--environment", "production")
    assert code == 4
    assert "drill-policy.yaml has no rules for the environment production" in err
