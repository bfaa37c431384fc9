"""Loads, cycles, and targets that contradict each other, as files say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill import plan, spec, wording
from drill.model import SECOND, Load, LoadStep, Measure, Objective

DRILL = """
drill: it
with: {{base: "http://localhost:1"}}
objectives: {objectives}
probes: [reads]
{more}
steps: [{{inject: outage}}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("drills", "probes", "experiments"):
        (tmp_path / folder).mkdir()
    (tmp_path / "probes/reads.yaml").write_text("{probe: reads, kind: http, url: 'http://localhost:1/'}")
    (tmp_path / "experiments/outage.json").write_text(
        '{"title": "t", "description": "d", "method": [{"type": "action", "name": "a", "provider": {"type": "process", '
        '"path": "true", "timeout": 5}}], "rollbacks": [{"type": "action", "name": "b", "provider": {"type": '
        '"process", "path": "true", "timeout": 5}}]}'
    )
    return tmp_path


def read(project: Path, objectives: str = "{rto: 30s}", more: str = "") -> spec.Loaded:
    path = project / "drills" / "it.yaml"
    path.write_text(DRILL.format(objectives=objectives, more=more))
    return spec.load(path)


def test_two_people_who_contradict_each_other_set_two_objectives(project: Path) -> None:
    """Each target keeps its source, and an id of its own."""
    found = read(
        project,
        "{rto: [{target: 30s, source: {stated: SLA 4.2}}, {target: 2m, source: 'proposed: by operations'}, 5m, "
        "{target: 10s, probe: reads}], moves: 0}",
    ).drill.objectives

    assert [(each.id, each.target // SECOND, wording.source_of(each.source)) for each in found] == [
        ("rto", 30, ("stated", "SLA 4.2")),
        ("rto#2", 120, ("proposed", "by operations")),
        ("rto#3", 300, (None, None)),
        ("rto:reads", 10, (None, None)),
        ("moves", 0, (None, None)),
    ]


@pytest.mark.parametrize("id", ["rto", "rto#2", "rto:reads", "rto:reads#3", "latency_p99:a-b"])
def test_an_id_says_what_it_is_about(id: str) -> None:
    """Measure, probe and number are read back from the id that an objective writes."""
    measure, probe, number = wording.measure_of(id), wording.probe_of(id), wording.number_of(id)

    assert Objective(measure=measure, target=0, probe=probe or None, number=number).id == id


def test_shares_are_parts_per_million(project: Path) -> None:
    """99.95 % of availability is 999,500 of a million."""
    found = read(project, "{availability: 99.95%, latency_p99: 500ms}").drill.objectives

    assert {each.id: each.target for each in found} == {"availability": 999_500, "latency_p99": 500_000_000}


def test_a_rate_is_the_whole_load(project: Path) -> None:
    """One step to the end; values are filled in when the plan is made, and the plan says what it sends."""
    drill = read(project, more='load: {url: "${base}/orders", rate: 200, status: 200}\ncycle: 20s').drill
    made = plan.make(drill, {})

    assert (drill.cycle, made.load) == (
        20 * SECOND,
        Load(request={"url": "http://localhost:1/orders", "status": 200}, steps=(LoadStep(rate=200),)),
    )
    assert plan.outline(made, {})["load"] == {
        "tool": "locust",
        "sends": "http://localhost:1/orders",
        "steps": ["200 requests per second"],
    }


def test_a_cycle_does_not_change_the_plan(project: Path) -> None:
    """Runs that wait a different while before their fault are runs of one plan."""
    one, other = (plan.make(read(project, more=f"cycle: {cycle}").drill, {}) for cycle in ("20s", "20000ms"))

    assert msgless(one) == msgless(other)


def msgless(made: plan.Plan) -> tuple[object, ...]:
    """A plan but for the digest of the file it was read from."""
    return (made.objectives, made.probes, made.steps, made.faults, made.load)


def test_steps_and_scripts_are_read(project: Path) -> None:
    """Users in steps for a locustfile, which is among the files the plan was made from."""
    (project / "drills/shop.py").write_text("# users\n")
    more = "load: {locustfile: shop.py, url: 'http://localhost:1', steps: [{users: 5, for: 30s}, {users: 50}]}"
    drill = read(project, more=more).drill

    assert drill.load == Load(
        request={"url": "http://localhost:1"},
        script="drills/shop.py",
        steps=(LoadStep(users=5, lasts=30 * SECOND), LoadStep(users=50)),
    )
    assert "drills/shop.py" in {file.path for file in drill.files}


def test_a_k6_script_decides_by_itself(project: Path) -> None:
    """Neither rate nor users are needed; its variables are."""
    (project / "drills/shop.js").write_text("// k6\n")
    drill = read(project, more='load: {k6: shop.js, environment: {BASE: "${base}"}}').drill
    made = plan.make(drill, {})

    assert made.load == Load(tool="k6", script="drills/shop.js", environment={"BASE": "http://localhost:1"})
    assert plan.demands(made.load) == ["what the script says"]


def test_probes_of_detection_are_watched_and_not_judged(project: Path) -> None:
    """They are sampled; recovery does not wait for them."""
    (project / "probes/alarm.yaml").write_text("{probe: alarm, kind: http, url: 'http://localhost:1/alarm'}")
    drill = read(project, "{detected: 30s}", more="detection: [alarm]").drill

    assert (drill.judged, drill.detection, drill.objectives[0].measure) == (("reads",), ("alarm",), Measure.DETECTED)
    assert plan.role(plan.make(drill, {}), "alarm") == "detection"
