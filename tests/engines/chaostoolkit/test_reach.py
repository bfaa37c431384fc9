"""What an experiment would call and how much it breaks is read from it; what it does not tell is not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from drill.engines.chaostoolkit.reach import reach
from drill.policy import Call


def python(func: str, module: str = "chaosk8s.pod.actions", kind: str = "action", **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": kind, "name": func, "provider": provider}


def experiment(*method: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "t", "description": "d", "method": list(method), **more}


def test_everything_that_runs_code_is_named_wherever_it_stands() -> None:
    """Actions, probes, undo, controls, a tolerance that is a probe, a configuration that a probe finds out."""
    document = experiment(
        python("terminate_pods"),
        {"type": "action", "name": "p", "provider": {"type": "process", "path": "${tool}"}},
        {"type": "action", "name": "h", "provider": {"type": "http", "url": "${base}/x"}},
        rollbacks=[python("undo", "mine.actions")],
        controls=[{"name": "c", "provider": {"type": "python", "module": "mine.control"}}],
        configuration={"n": {"type": "probe", "provider": {"type": "python", "module": "mine.find", "func": "n"}}},
        **{
            "steady-state-hypothesis": {
                "title": "s",
                "probes": [python("look", kind="probe") | {"tolerance": python("judge", "mine.tolerance", "probe")}],
            }
        },
    )
    found = reach(document, {"tool": "kubectl"})

    assert {(call.what, call.breaks) for call in found.calls} == {
        ("python:chaosk8s.pod.actions.terminate_pods", True),
        ("process:kubectl", True),
        ("http:${base}/x", True),
        ("python:mine.actions.undo", False),
        ("python:mine.control.control", False),
        ("python:mine.find.n", False),
        ("python:chaosk8s.pod.actions.look", False),
        ("python:mine.tolerance.judge", False),
    }


@pytest.mark.parametrize(
    ("arguments", "share"),
    [
        ({"all": True}, 1.0),
        ({"mode": "percentage", "qty": 30}, 0.3),
        ({"mode": "percentage", "qty": "${qty}"}, 0.4),
        ({"mode": "percentage", "qty": "${other}"}, None),
        ({"mode": "fixed", "qty": 1}, None),
        ({"instance_percent": 25}, 0.25),
        ({}, None),
    ],
)
def test_a_share_is_what_the_arguments_say(arguments: dict[str, Any], share: float | None) -> None:
    """A fixed number is a share of nobody knows how many."""
    found = reach(experiment(python("terminate_pods", **arguments)), {"qty": "40"})

    assert found.calls == (Call("python:chaosk8s.pod.actions.terminate_pods", breaks=True, share=share),)


@pytest.mark.parametrize(
    ("method", "regions"),
    [
        ([python("kill_region", "drill.actions.lab", region="${region}")], ("east",)),
        ([python("a", "x", region="east"), python("b", "x", regions=["west", "east"])], ("east", "west")),
        ([python("a", "x", region="${unknown}")], None),
        ([python("a", "x", region="east"), python("b", "x")], None),
        ([python("stop_instances", "chaosaws.ec2.actions")], ("eu-west-1",)),
        ([python("look", "x", "probe")], ()),
    ],
)
def test_regions_are_those_that_actions_name(method: list[dict[str, Any]], regions: tuple[str, ...] | None) -> None:
    """One action that names none, or one that is not known yet, leaves all of them open."""
    assert reach(experiment(*method), {"region": "east", "aws_region": "eu-west-1"}).regions == regions


def test_an_action_that_is_left_out_breaks_nothing() -> None:
    """`dry` actions are named, and not counted."""
    found = reach(experiment(python("terminate_pods", all=True) | {"dry": True}), {})

    assert found.calls == (Call("python:chaosk8s.pod.actions.terminate_pods"),)
