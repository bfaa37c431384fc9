"""A drill and the endpoints of its system become a plan; the same ones the same plan."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from drill import plan
from drill.model import (
    SECOND,
    Condition,
    Drill,
    Fault,
    Guard,
    Measure,
    Objective,
    Plan,
    Probe,
    Step,
    StepKind,
)


def probe(name: str, **options: object) -> Probe:
    return Probe(name=name, kind="http", every=SECOND // 10, deadline=SECOND, options=options)


DRILL = Drill(
    name="d",
    title="A drill",
    system="orders",
    objectives=(Objective(measure=Measure.RTO, target=30 * SECOND, source="SLA 4.2"),),
    probes=(
        probe("reads", url="${orders.url}/latest", headers={"Authorization": "Bearer ${env:TOKEN}"}),
        probe("replicas", url="${base}/replicas"),
        probe("payments", url="${unknown}/p"),
        probe("lag"),
    ),
    judged=("reads",),
    observed=("payments", "lag"),
    redundancy=("replicas",),
    guards=(Guard(probe="payments"),),
    steps=(
        Step(kind=StepKind.WATCH, within=10 * SECOND),
        Step(kind=StepKind.INJECT, fault="outage"),
        Step(kind=StepKind.AWAIT, condition=Condition.RECOVERY, within=60 * SECOND),
        Step(kind=StepKind.INJECT, fault="flush"),
        Step(kind=StepKind.RESTORE, fault="outage"),
    ),
    faults=(
        Fault(name="outage", engine="chaostoolkit", arguments={"region": "${region}", "n": 3}),
        Fault(name="flush", engine="chaostoolkit"),
    ),
    values={"base": "${orders.url}/v1", "region": "east"},
)
ENDPOINTS = {"orders.url": "http://127.0.0.1:1"}


def options(made: Plan) -> list[object]:
    return [made.probe(name).options.get("url") for name in ("reads", "replicas", "payments")]


def test_endpoints_and_values_are_filled_in_and_secrets_are_not() -> None:
    """Values may name endpoints; what nothing gives stays as written; ${env:…} always does."""
    made = plan.make(DRILL, ENDPOINTS, lab_folder="/lab")

    assert options(made) == ["http://127.0.0.1:1/latest", "http://127.0.0.1:1/v1/replicas", "${unknown}/p"]
    assert made.probe("reads").options["headers"] == {"Authorization": "Bearer ${env:TOKEN}"}
    assert [(fault.arguments, fault.lab) for fault in made.faults] == [
        ({"region": "east", "n": 3}, "/lab"),
        ({}, "/lab"),
    ]


def test_without_a_lab_a_plan_can_be_shown_all_the_same() -> None:
    """drill plan touches nothing, so it knows no address yet."""
    assert options(plan.make(DRILL, {})) == ["${orders.url}/latest", "${orders.url}/v1/replicas", "${unknown}/p"]


def test_a_digest_is_of_what_the_drill_says() -> None:
    """The same before and after a lab is up, and wherever the project lies; any change of the drill makes another."""
    made = plan.make(DRILL, ENDPOINTS)

    assert plan.make(DRILL, {}).digest == made.digest
    assert plan.make(msgspec.structs.replace(DRILL, root="/elsewhere"), ENDPOINTS).digest == made.digest
    assert plan.make(msgspec.structs.replace(DRILL, title="Another"), ENDPOINTS).digest != made.digest


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
def test_planning_anything_is_planning_it_twice(values: dict[str, str]) -> None:
    """Whatever is under with:, planning does not fail, and gives the same plan again."""
    drill = msgspec.structs.replace(DRILL, values=values)

    assert plan.make(drill, ENDPOINTS) == plan.make(drill, ENDPOINTS)


def test_the_outline_says_what_is_broken_watched_and_left_to_the_end() -> None:
    """What drill plan prints, as data."""
    outline = plan.outline(plan.make(DRILL, ENDPOINTS), {"outage": ("breaks it", "undoes it")}, {"outage": SECOND})

    assert outline["breaks"] == [
        {
            "fault": "outage",
            "engine": "chaostoolkit",
            "file": "",
            "does": ["breaks it", "undoes it"],
            "activity_deadline_s": 1.0,
        },
        {"fault": "flush", "engine": "chaostoolkit", "file": "", "does": [], "activity_deadline_s": None},
    ]
    assert [(each["probe"], each["role"]) for each in outline["watches"]] == [
        ("reads", "judged"),
        ("replicas", "redundancy"),
        ("payments", "guard"),
        ("lag", "observed"),
    ]
    assert outline["undone_at_the_end"] == ["flush"]
    assert (outline["longest_s"], outline["expires_s"]) == (70.0, 370.0)
    assert [each["step"] for each in outline["steps"]] == [
        "watch",
        "inject outage",
        "await recovery",
        "inject flush",
        "restore outage",
    ]
