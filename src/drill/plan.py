"""A drill and the endpoints of its system become a plan. Pure: touches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from drill.model import SECOND, Drill, Load, Permission, Plan, StepKind
from drill.spec import references


def make(
    drill: Drill,
    endpoints: Mapping[str, str],
    *,
    lab_folder: str | None = None,
    carrying_out: int = 0,
    permission: Permission | None = None,
) -> Plan:
    """
    Fill in endpoints and `with:` values.

    *carrying_out* is how long the faults themselves may take at most, nanoseconds: a fault whose
    drill does not say when it expires does once all steps, with these, must be over.

    References that *endpoints* has no value for stay as written, so that a plan
    can be shown before a lab is up. `${env:NAME}` always stays.
    """
    values = {**drill.values, **endpoints}
    values = {key: references.fill(value, endpoints.get) for key, value in values.items()}
    return Plan(
        drill=drill.name,
        title=drill.title,
        system=drill.system,
        objectives=drill.objectives,
        probes=tuple(
            msgspec.structs.replace(probe, options=references.fill(probe.options, values.get)) for probe in drill.probes
        ),
        judged=drill.judged,
        observed=drill.observed,
        redundancy=drill.redundancy,
        detection=drill.detection,
        scaling=drill.scaling,
        load=None if drill.load is None else _load(drill.load, values),
        agreement=drill.agreement,
        cache=drill.cache,
        usual=drill.usual,
        commit_rate=drill.commit_rate,
        parameters=drill.parameters,
        steps=drill.steps,
        guards=drill.guards,
        expires=drill.expires or sum(step.within or 0 for step in drill.steps) + carrying_out + _MARGIN,
        faults=tuple(
            msgspec.structs.replace(
                fault, arguments=references.fill(fault.arguments, values.get), lab=lab_folder, root=drill.root
            )
            for fault in drill.faults
        ),
        disaster=drill.disaster,
        lab=drill.lab,
        environment=drill.environment,
        permission=permission,
        files=drill.files,
        digest=digest(drill),
    )


# What comes on top of the steps before a fault counts as forgotten: reading survivors back, a slow machine.
_MARGIN = 300 * SECOND


def _load(load: Load, values: Mapping[str, str]) -> Load:
    """A load with its references filled in, like a probe's."""
    return msgspec.structs.replace(
        load,
        request=references.fill(load.request, values.get),
        environment=references.fill(load.environment, values.get),
    )


def demands(load: Load) -> list[str]:
    """What a load asks for, step by step, in words."""
    said = []
    for n, step in enumerate(load.steps):
        what = f"{step.rate:g} requests per second" if step.rate is not None else f"{step.users} users"
        last = n == len(load.steps) - 1 or step.lasts is None
        said.append(what if last else f"{what} for {(step.lasts or 0) / SECOND:g} s")
    return said or ["what the script says"]


def digest(drill: Drill) -> str:
    """
    SHA-256 over the drill's canonical JSON (keys sorted), hexadecimal.

    References stay as written and the project's place is left out, so that the same drill
    has the same digest on every machine, before and after its lab is up.
    """
    anywhere = msgspec.structs.replace(drill, root="")
    return hashlib.sha256(msgspec.json.encode(anywhere, order="deterministic")).hexdigest()


def longest(plan: Plan) -> int:
    """How long the steps may take at most, nanoseconds; undoing and reading survivors come on top."""
    return sum(step.within or 0 for step in plan.steps)


def outline(
    plan: Plan, describe: Mapping[str, Sequence[str]], unsaid: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """
    What the plan would do, as data for `drill plan`.

    *describe* gives each fault's lines from its engine, *unsaid* what an activity of it may take
    that names no timeout, nanoseconds.
    """
    return {
        "drill": plan.drill,
        "title": plan.title,
        "system": plan.system,
        "lab": plan.lab,
        "environment": plan.environment or None,
        "digest": plan.digest,
        "objectives": [
            {"id": objective.id, "target": objective.target, "from": objective.origin.value, "source": objective.source}
            for objective in plan.objectives
        ],
        "breaks": [
            {
                "fault": fault.name,
                "engine": fault.engine,
                "file": fault.file,
                "does": list(describe.get(fault.name, ())),
                "activity_deadline_s": unsaid[fault.name] / SECOND if unsaid and fault.name in unsaid else None,
            }
            for fault in plan.faults
        ],
        "watches": [
            {
                "probe": probe.name,
                "kind": probe.kind,
                "every_s": probe.every / SECOND,
                "deadline_s": probe.deadline / SECOND,
                "writes": probe.writes,
                "role": role(plan, probe.name),
            }
            for probe in plan.probes
        ],
        "load": None
        if plan.load is None
        else {
            "tool": plan.load.tool,
            "sends": plan.load.script or plan.load.request.get("url"),
            "steps": demands(plan.load),
        },
        "steps": [
            {"step": str(step), "within_s": None if step.within is None else step.within / SECOND}
            for step in plan.steps
        ],
        "undone_at_the_end": [
            step.fault
            for step in plan.steps
            if step.kind is StepKind.INJECT
            and not any(other.kind is StepKind.RESTORE and other.fault == step.fault for other in plan.steps)
        ],
        "longest_s": longest(plan) / SECOND,
        "expires_s": None if plan.expires is None else plan.expires / SECOND,
        "files": [{"path": file.path, "sha256": file.sha256} for file in plan.files],
    }


def role(plan: Plan, probe: str) -> str:
    """What a probe is for in this plan: judged, redundancy, guard or observed."""
    if probe in plan.judged:
        return "judged"
    if probe in plan.redundancy:
        return "redundancy"
    if probe in plan.detection:
        return "detection"
    return "guard" if any(probe in (guard.probe, guard.metric) for guard in plan.guards) else "observed"
