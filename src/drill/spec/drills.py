"""A drill file becomes a drill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drill.errors import Position, SpecError
from drill.model import (
    SECOND,
    Agreement,
    Condition,
    Drill,
    Guard,
    Measure,
    Objective,
    Origin,
    Parameters,
    Step,
    StepKind,
    Usual,
)
from drill.spec import project, references, source, tables
from drill.spec.files import Files
from drill.spec.loads import read as read_load
from drill.spec.shape import BAD, suggest
from drill.spec.source import Node

LAB = "lab"  # the environment of embedded labs
_OF_DATA = (Measure.RPO, Measure.LOST_WRITES, Measure.INTEGRITY)


def read(files: Files) -> Drill:
    """
    The drill in `files.path` with everything it names.

    Raises:
        SpecError: With every error in any of the files.
    """
    node = source.read(files.path, project.shown(files.path))
    files.file(files.path)
    drill_at = node.key("drill")
    if node.kind == "mapping" and drill_at is None and node.get("method") is not None:
        raise SpecError(
            "this is a Chaos Toolkit experiment, not a drill",
            at=node.at,
            hint=f"run it with: drill run {project.shown(files.path)} --probe probes/NAME.yaml --rto 30s",
        )
    if node.kind == "mapping" and drill_at is None and node.get("probe") is not None:
        raise SpecError("this is a probe, not a drill", at=node.at, hint="name it under probes: in a drill")
    fields = tables.DRILL.read(node, "a drill", files.problems)
    if fields is BAD:
        # The files it names deserve their messages in the same go.
        _named(files, node)
        raise files.refusal()
    drill = _drill(files, node, fields)
    if files.problems.errors:
        raise files.refusal()
    return drill


def around(files: Files, probes: Sequence[Path], objectives: Sequence[Objective], environment: str = "") -> Drill:
    """
    A drill around the experiment in `files.path`: a baseline, the fault, recovery, the undo.

    Raises:
        SpecError: With every error in any of the files.
    """
    shown = project.shown(files.path)
    at = Position(shown)
    files.values = dict(files.given)
    files.lab_endpoints(at)
    files.rto = next((o.target for o in objectives if o.measure is Measure.RTO), None)
    for probe in probes:
        files.read_probe(probe, judged=True)
    writes = any(probe.writes for probe in files.probes.values())
    for objective in objectives:
        if objective.measure in _OF_DATA and not writes and not files.problems.errors:
            files.problems.error(
                f"{objective.measure.value} needs a probe that writes and reads survivors back",
                at,
                "give one that has write: and survivors: with --probe",
            )
    fault = files.read_fault(files.path.stem, files.path, "chaostoolkit", {}, at)
    if fault is None or files.problems.errors:
        raise files.refusal()
    restores = files.rto or 60 * SECOND
    return Drill(
        name=files.path.stem,
        title=fault.title,
        system=files.path.stem,
        objectives=tuple(objectives),
        probes=tuple(files.probes.values()),
        judged=tuple(files.probes),
        steps=(
            Step(kind=StepKind.WATCH, within=default_baseline(files.probes.values())),
            Step(kind=StepKind.INJECT, fault=fault.name),
            Step(kind=StepKind.AWAIT, condition=Condition.RECOVERY, within=max(3 * restores, 60 * SECOND)),
            Step(kind=StepKind.RESTORE, fault=fault.name),
        ),
        faults=(fault,),
        lab=files.lab,
        environment=environment or (LAB if files.lab else ""),
        values=files.values,
        endpoints=files.endpoints,
        files=tuple(files.digests.values()),
        root=str(files.root),
    )


def _drill(files: Files, node: Node, fields: dict[str, Any]) -> Drill:
    files.lab = files.lab or fields["lab"]
    files.values = {key: str(value) for key, value in (fields["with"] or {}).items()} | files.given
    lab_node = node.get("lab")
    files.lab_endpoints(lab_node.at if lab_node else node.at)
    with_node = node.get("with")
    if with_node:
        references.check(with_node, files.endpoints, files.lab, files.problems)
    objectives = _objectives(files, node, fields["objectives"])
    load = read_load(files, node, fields["load"])
    files.rto = next((o.target for o in objectives if o.measure is Measure.RTO), None)
    judged = _probe_names(files, node, "probes", judged=True)
    observed = _probe_names(files, node, "observe")
    redundancy = _probe_names(files, node, "redundancy")
    cache = _probe_names(files, node, "cache")
    detection = _probe_names(files, node, "detection")
    scaling = _probe_names(files, node, "scaling")
    observed += [name for name in (*cache, *detection, *scaling) if name not in (*judged, *observed, *redundancy)]
    guards = _guards(files, node, fields["guards"] or [])
    guarded = [name for guard in guards for name in (guard.probe, guard.metric) if name]
    observed += [name for name in guarded if name not in (*judged, *observed, *redundancy)]
    # A load that rises disturbs a system as a fault does.
    risen = load is not None and load.rise is not None
    steps = _steps(files, node, fields["steps"], unbroken=risen and _only(objectives, Measure.SCALE_OUT))
    _check_objectives(files, node, objectives, judged, redundancy, cache)
    agreement = node.key("agreement")
    if agreement and not files.problems.errors and not any(files.probes[name].vantage for name in judged):
        files.problems.error(
            "agreement needs probes that look from several vantages", agreement.at, "give them vantage: each"
        )
    disaster = fields["disaster"]
    disaster_node = node.get("disaster")
    if disaster and disaster_node and disaster not in files.faults:
        files.problems.error(
            f"disaster must name an injected experiment, not {disaster}",
            disaster_node.at,
            suggest(disaster, files.faults),
        )
    return Drill(
        name=fields["drill"],
        title=fields["title"] or fields["drill"],
        system=fields["system"] or fields["drill"],
        objectives=objectives,
        probes=tuple(files.probes.values()),
        judged=tuple(judged),
        observed=tuple(observed),
        redundancy=tuple(redundancy),
        cache=tuple(cache),
        detection=tuple(detection),
        scaling=tuple(scaling),
        load=load,
        agreement=Agreement(fields["agreement"]),
        cycle=fields["cycle"],
        usual=Usual(**{**fields["usual"], "kind": fields["usual"]["kind"] or ""}) if fields["usual"] else None,
        commit_rate=fields["commit_rate"],
        parameters=Parameters(**(fields["parameters"] or {})),
        steps=steps,
        guards=guards,
        expires=fields["expires"],
        faults=tuple(files.faults.values()),
        disaster=disaster,
        lab=files.lab,
        environment=_environment(files, node, fields["environment"]),
        calls=tuple(fields["calls"] or ()),
        values=files.values,
        endpoints=files.endpoints,
        files=tuple(files.digests.values()),
        root=str(files.root),
    )


def _environment(files: Files, node: Node, given: str | None) -> str:
    """What is broken: the lab, when there is one and nothing else is said."""
    at = node.get("environment")
    if given == LAB and files.lab is None and at is not None:
        files.problems.error(
            "the environment lab is an embedded lab's, and this drill names none",
            at.at,
            "say what is really broken, such as staging, or add lab: two-regions",
        )
    return given or (LAB if files.lab else "")


def _objectives(files: Files, node: Node, fields: dict[str, Any]) -> tuple[Objective, ...]:
    objectives: list[Objective] = []
    for key, given in fields.items():
        if given is None:
            continue
        written = (node.get("objectives") or node).get(key) or node
        nodes = written.children if isinstance(given, list) else [written]
        for one, place in zip(given if isinstance(given, list) else [given], nodes, strict=True):
            details = one if isinstance(one, dict) else {"target": one}
            target, probe, measured = details["target"], details.get("probe"), Measure(key)
            since = place.key("from")
            if since is not None and measured is not Measure.RTO:
                files.problems.error(f"from belongs to rto, not to {key}", since.at, "only a recovery time has it")
            if measured in tables.SHARES:
                target = round(target * 1_000_000)
            objectives.append(
                Objective(
                    measure=measured,
                    target=target,
                    origin=Origin(details.get("from") or "fault"),
                    source=_source(details.get("source")),
                    probe=probe,
                    # Two people who contradict each other have set two objectives.
                    number=1 + sum((each.measure, each.probe) == (measured, probe) for each in objectives),
                )
            )
    if not objectives:
        at = (node.get("objectives") or node).at
        files.problems.error("a drill needs at least one objective", at, "such as rto: 30s")
    return tuple(objectives)


def _source(given: Any) -> str | None:
    """Where a target comes from, on one line: "stated: SLA 4.2"."""
    if given is None or isinstance(given, str):
        return given
    return "; ".join(f"{kind}: {reference}" for kind, reference in given.items() if reference) or None


def _check_objectives(
    files: Files,
    node: Node,
    objectives: Sequence[Objective],
    judged: Sequence[str],
    redundancy: Sequence[str],
    cache: Sequence[str],
) -> None:
    given = node.get("objectives") or node
    writes = any(files.probes[name].writes for name in judged if name in files.probes)
    complete = all(name in files.probes for name in judged)
    for objective in objectives:
        key = given.key(objective.measure.value)
        at = key.at if key else given.at
        if objective.measure in _OF_DATA and complete and not writes:
            files.problems.error(
                f"{objective.measure.value} needs a probe that writes and reads survivors back",
                at,
                "name one under probes: with write: and survivors:",
            )
        if objective.measure in (Measure.REDUNDANCY, Measure.UNPROTECTED) and not redundancy:
            files.problems.error(
                f"{objective.measure.value} needs probes that show it", at, "name them under redundancy:"
            )
        if objective.probe and complete and objective.probe not in judged:
            files.problems.error(
                f"{objective.id} is about {objective.probe}, which is not under probes:",
                at,
                suggest(objective.probe, judged),
            )
        if objective.measure is Measure.CAPACITY and node.get("load") is None:
            files.problems.error("capacity needs a load", at, "such as load: {url: …, rate: 100}")
        if objective.measure is Measure.COLD_CACHE and not cache:
            files.problems.error("cold_cache needs probes that tell a hit from a miss", at, "name them under cache:")
        if objective.measure is Measure.SCALE_OUT and node.get("scaling") is None:
            files.problems.error("scale_out needs probes that tell when it is enough", at, "name them under scaling:")


def _guards(files: Files, node: Node, guards: Sequence[dict[str, Any]]) -> tuple[Guard, ...]:
    list_node = node.get("guards")
    found = []
    for guard, at in zip(guards, list_node.children if list_node else [], strict=False):
        kinds = [kind for kind in ("probe", "max_outage", "max_duration", "metric") if guard[kind] is not None]
        if len(kinds) != 1:
            files.problems.error("a guard is one of probe:, max_outage:, max_duration: or metric:", at.at)
            continue
        if guard["metric"] is not None and (guard["above"] is None) == (guard["below"] is None):
            files.problems.error("a metric has one limit, above: or below:", at.at, "such as {metric: lag, above: 5}")
            continue
        for key in ("above", "below", "for"):
            wrong = at.key(key)
            if wrong is not None and guard["metric"] is None:
                files.problems.error(f"{key} belongs to metric, not to {kinds[0]}", wrong.at)
        named = at.get("probe") or at.get("metric")
        if named is not None:
            files.probe(named)
        lasting = guard.pop("for") or 0
        found.append(Guard(**guard, lasting=lasting))
    return tuple(found)


def _only(objectives: Sequence[Objective], measure: Measure) -> bool:
    return bool(objectives) and all(objective.measure is measure for objective in objectives)


def _steps(files: Files, node: Node, steps: Sequence[dict[str, Any]], *, unbroken: bool = False) -> tuple[Step, ...]:
    """The steps with a baseline; a drill that may stay *unbroken* need inject nothing."""
    list_node = node.get("steps")
    assert list_node is not None
    made: list[Step] = []
    for fields, at in zip(steps, list_node.children, strict=True):
        step = _step(files, node, fields, at, made)
        if step:
            made.append(step)
    if not unbroken and not any(step.kind is StepKind.INJECT for step in made) and not files.problems.errors:
        files.problems.error("a drill must inject something", list_node.at, "add a step such as inject: region-outage")
    if made and made[0].kind is not StepKind.WATCH:
        made.insert(0, Step(kind=StepKind.WATCH, within=default_baseline(files.probes.values())))
    return tuple(made)


def _step(files: Files, drill: Node, fields: dict[str, Any], at: Node, before: Sequence[Step]) -> Step | None:
    kinds = [kind for kind in StepKind if fields[kind.value] is not None]
    if len(kinds) != 1:
        said = f", not {' and '.join(kind.value for kind in kinds)}" if kinds else ""
        files.problems.error(f"a step is one of watch, inject, await or restore{said}", at.at)
        return None
    kind = kinds[0]
    value = at.get(kind.value)
    assert value is not None
    for key, only in (("within", StepKind.AWAIT), ("with", StepKind.INJECT), ("engine", StepKind.INJECT)):
        wrong = at.key(key)
        if wrong is not None and kind is not only:
            files.problems.error(f"{key} belongs to {only.value}, not to {kind.value}", wrong.at)
    if kind is StepKind.WATCH:
        return Step(kind=kind, within=fields["watch"])
    if kind is StepKind.AWAIT:
        condition = Condition(fields["await"])
        if condition is Condition.REDUNDANCY and drill.get("redundancy") is None:
            files.problems.error("await: redundancy needs probes that show it", value.at, "name them under redundancy:")
        if condition is not Condition.REDUNDANCY and not any(s.kind is StepKind.INJECT for s in before):
            files.problems.error(f"await: {condition.value} needs an inject before it", value.at)
        return Step(kind=kind, condition=condition, within=fields["within"] or 3 * (files.rto or 100 * SECOND))
    injected = [step.fault for step in before if step.kind is StepKind.INJECT]
    if kind is StepKind.RESTORE:
        if fields["restore"] not in injected:
            hint = suggest(fields["restore"], [name for name in injected if name])
            files.problems.error(f"{fields['restore']} is restored before it was injected", value.at, hint)
        return Step(kind=kind, fault=fields["restore"])
    name = Path(fields["inject"]).stem
    if name in injected:
        files.problems.error(f"{name} is injected twice", value.at, "one drill injects each experiment once")
    files.fault(name, fields, value, at)
    return Step(kind=kind, fault=name)


def _probe_names(files: Files, node: Node, key: str, *, judged: bool = False) -> list[str]:
    names: list[str] = []
    listed = node.get(key)
    for child in listed.children if listed and listed.kind == "list" else []:
        name = files.probe(child, judged=judged)
        if name in names:
            files.problems.error(f"{name} is listed twice", child.at)
        elif name:
            names.append(name)
    return names


def _named(files: Files, node: Node) -> None:
    """Read what a broken drill file names, as far as it can be told, for its messages."""
    for key in ("probes", "observe", "redundancy", "cache", "detection", "scaling"):
        listed = node.get(key) if node.kind == "mapping" else None
        if listed is not None and listed.kind == "list":
            for child in listed.children:
                if isinstance(child.value, str):
                    project.find(
                        child.value,
                        "probes",
                        root=files.root,
                        named_in=files.path,
                        at=child.at,
                        problems=files.problems,
                    )


def default_baseline(probes: Any) -> int:
    """The baseline when no step says: the sooner of 30 s and 200 samples per probe, at least 5 s."""
    slowest = max((probe.every for probe in probes), default=SECOND)
    return int(min(30 * SECOND, max(5 * SECOND, 200 * slowest)))
