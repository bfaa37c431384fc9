"""
Files become a drill: `load` reads one with everything it names and reports every problem at once.

`load` touches nothing but the files. References stay as written; `plan.make`
fills them in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill import measure, plugins
from drill.errors import EnvironmentFault, Position, Problem, SpecError
from drill.model import (
    SECOND,
    Condition,
    Drill,
    Fault,
    FileDigest,
    Guard,
    Measure,
    Objective,
    Origin,
    Parameters,
    Probe,
    Step,
    StepKind,
)
from drill.spec import project, references, source, tables
from drill.spec.shape import BAD, Problems, suggest
from drill.spec.source import Node

__all__ = ["Loaded", "adhoc", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A drill and the warnings and notes its files deserve."""

    drill: Drill
    warnings: Sequence[Problem]


def load(path: Path, *, values: Mapping[str, str] | None = None, lab: str | None = None) -> Loaded:
    """
    Read a drill file and every probe and experiment it names.

    *values* come before those under `with:`; *lab* is the lab it will run on,
    when that is not the one the file names.

    Raises:
        SpecError: With every error in any of the files.
    """
    return _Reader(path, given=dict(values or {}), lab=lab).load()


def adhoc(
    experiment: Path,
    probes: Sequence[Path],
    objectives: Sequence[Objective],
    *,
    values: Mapping[str, str] | None = None,
    lab: str | None = None,
) -> Loaded:
    """
    A drill around somebody else's experiment: a baseline, the fault, recovery, the undo.

    Raises:
        SpecError: With every error in any of the files.
    """
    return _Reader(experiment, given=dict(values or {}), lab=lab).adhoc(probes, objectives)


def check_probe(path: Path) -> list[Problem]:
    """Every problem of a probe file read on its own, where any lab's endpoints may be meant."""
    reader = _Reader(path, lab=next(iter(sorted(plugins.installed("lab"))), None))
    reader.lab_endpoints(Position(project.shown(path)))
    reader.read_probe(path)
    return list(reader.problems.found)


@dataclass(slots=True)
class _Reader:
    """Reads one drill; everything found wrong gathers in `problems`."""

    path: Path
    given: dict[str, str] = field(default_factory=dict)
    lab: str | None = None
    problems: Problems = field(default_factory=Problems)
    files: dict[str, FileDigest] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    endpoints: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    rto: int | None = None
    root: Path = Path()

    def __post_init__(self) -> None:
        self.root = project.root_of(self.path)

    def load(self) -> Loaded:
        node = source.read(self.path, project.shown(self.path))
        self._file(self.path)
        drill_at = node.key("drill")
        if node.kind == "mapping" and drill_at is None and node.get("method") is not None:
            raise SpecError(
                "this is a Chaos Toolkit experiment, not a drill",
                at=node.at,
                hint=f"run it with: drill run {project.shown(self.path)} --probe probes/NAME.yaml --rto 30s",
            )
        if node.kind == "mapping" and drill_at is None and node.get("probe") is not None:
            raise SpecError("this is a probe, not a drill", at=node.at, hint="name it under probes: in a drill")
        fields = tables.DRILL.read(node, "a drill", self.problems)
        if fields is BAD:
            # The files it names deserve their messages in the same go.
            self._named(node)
            raise self._refusal()
        drill = self._drill(node, fields)
        if self.problems.errors:
            raise self._refusal()
        return Loaded(drill, self._sorted())

    def adhoc(self, probes: Sequence[Path], objectives: Sequence[Objective]) -> Loaded:
        shown = project.shown(self.path)
        at = Position(shown)
        self.values = dict(self.given)
        self.lab_endpoints(at)
        self.rto = next((o.target for o in objectives if o.measure is Measure.RTO), None)
        for probe in probes:
            self.read_probe(probe)
        fault = self._read_fault(self.path.stem, self.path, "chaostoolkit", {}, at)
        if fault is None or self.problems.errors:
            raise self._refusal()
        restores = self.rto or 60 * SECOND
        drill = Drill(
            name=self.path.stem,
            title=fault.title,
            system=self.path.stem,
            objectives=tuple(objectives),
            probes=tuple(self.probes.values()),
            judged=tuple(self.probes),
            steps=(
                Step(kind=StepKind.WATCH, within=default_baseline(self.probes.values())),
                Step(kind=StepKind.INJECT, fault=fault.name),
                Step(kind=StepKind.AWAIT, condition=Condition.RECOVERY, within=max(3 * restores, 60 * SECOND)),
                Step(kind=StepKind.RESTORE, fault=fault.name),
            ),
            faults=(fault,),
            lab=self.lab,
            values=self.values,
            endpoints=self.endpoints,
            files=tuple(self.files.values()),
            root=str(self.root),
        )
        return Loaded(drill, self._sorted())

    # --- parts -------------------------------------------------------------------------------------------------

    def _drill(self, node: Node, fields: dict[str, Any]) -> Drill:
        self.lab = self.lab or fields["lab"]
        self.values = {key: str(value) for key, value in (fields["with"] or {}).items()} | self.given
        lab_node = node.get("lab")
        self.lab_endpoints(lab_node.at if lab_node else node.at)
        with_node = node.get("with")
        if with_node:
            references.check(with_node, self.endpoints, self.lab, self.problems)
        objectives = self._objectives(node, fields["objectives"])
        self.rto = next((o.target for o in objectives if o.measure is Measure.RTO), None)
        judged = self._probe_names(node, "probes")
        observed = self._probe_names(node, "observe")
        redundancy = self._probe_names(node, "redundancy")
        guards = self._guards(node, fields["guards"] or [])
        guarded = [guard.probe for guard in guards if guard.probe]
        observed += [name for name in guarded if name not in (*judged, *observed, *redundancy)]
        steps = self._steps(node, fields["steps"])
        self._check_objectives(node, objectives, judged, redundancy)
        disaster = fields["disaster"]
        disaster_node = node.get("disaster")
        if disaster and disaster_node and disaster not in self.faults:
            self.problems.error(
                f"disaster must name an injected experiment, not {disaster}",
                disaster_node.at,
                suggest(disaster, self.faults),
            )
        return Drill(
            name=fields["drill"],
            title=fields["title"] or fields["drill"],
            system=fields["system"] or fields["drill"],
            objectives=objectives,
            probes=tuple(self.probes.values()),
            judged=tuple(judged),
            observed=tuple(observed),
            redundancy=tuple(redundancy),
            parameters=Parameters(**(fields["parameters"] or {})),
            steps=steps,
            guards=guards,
            faults=tuple(self.faults.values()),
            disaster=disaster,
            lab=self.lab,
            values=self.values,
            endpoints=self.endpoints,
            files=tuple(self.files.values()),
            root=str(self.root),
        )

    def lab_endpoints(self, at: Position) -> None:
        if self.lab is None:
            return
        try:
            self.endpoints = tuple(plugins.load("lab", self.lab).endpoints)
        except EnvironmentFault as error:
            known = sorted(plugins.installed("lab"))
            self.problems.error(error.args[0], at, suggest(self.lab, known) if self.lab not in known else error.hint)

    def _objectives(self, node: Node, fields: dict[str, Any]) -> tuple[Objective, ...]:
        objectives = []
        for key, given in fields.items():
            if given is None:
                continue
            details = given if isinstance(given, dict) else {"target": given}
            target = details["target"]
            measured = Measure(key)
            if measured is Measure.ERROR_RATIO:
                target = round(target * 1_000_000)
            objectives.append(
                Objective(
                    measure=measured,
                    target=target,
                    origin=Origin(details.get("from") or "fault"),
                    source=details.get("source"),
                )
            )
        if not objectives:
            at = (node.get("objectives") or node).at
            self.problems.error("a drill needs at least one objective", at, "such as rto: 30s")
        return tuple(objectives)

    def _check_objectives(
        self, node: Node, objectives: Sequence[Objective], judged: Sequence[str], redundancy: Sequence[str]
    ) -> None:
        given = node.get("objectives") or node
        writes = any(self.probes[name].writes for name in judged if name in self.probes)
        complete = all(name in self.probes for name in judged)
        for objective in objectives:
            key = given.key(objective.measure.value)
            at = key.at if key else given.at
            if objective.measure in (Measure.RPO, Measure.LOST_WRITES, Measure.INTEGRITY) and complete and not writes:
                self.problems.error(
                    f"{objective.measure.value} needs a probe that writes and reads survivors back",
                    at,
                    "name one under probes: with write: and survivors:",
                )
            if objective.measure is Measure.REDUNDANCY and not redundancy:
                self.problems.error("redundancy needs probes that show it", at, "name them under redundancy:")

    def _guards(self, node: Node, guards: Sequence[dict[str, Any]]) -> tuple[Guard, ...]:
        list_node = node.get("guards")
        found = []
        for guard, at in zip(guards, list_node.children if list_node else [], strict=False):
            if (guard["probe"] is None) == (guard["max_outage"] is None):
                self.problems.error("a guard is either probe: or max_outage:", at.at)
                continue
            if guard["probe"]:
                named = at.get("probe")
                assert named is not None
                self._probe(named)
            found.append(Guard(probe=guard["probe"], max_outage=guard["max_outage"]))
        return tuple(found)

    def _steps(self, node: Node, steps: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
        list_node = node.get("steps")
        assert list_node is not None
        made: list[Step] = []
        for fields, at in zip(steps, list_node.children, strict=True):
            step = self._step(node, fields, at, made)
            if step:
                made.append(step)
        if not any(step.kind is StepKind.INJECT for step in made) and not self.problems.errors:
            self.problems.error(
                "a drill must inject something", list_node.at, "add a step such as inject: region-outage"
            )
        if made and made[0].kind is not StepKind.WATCH:
            made.insert(0, Step(kind=StepKind.WATCH, within=default_baseline(self.probes.values())))
        return tuple(made)

    def _step(self, drill: Node, fields: dict[str, Any], at: Node, before: Sequence[Step]) -> Step | None:
        kinds = [kind for kind in StepKind if fields[kind.value] is not None]
        if len(kinds) != 1:
            said = f", not {' and '.join(kind.value for kind in kinds)}" if kinds else ""
            self.problems.error(f"a step is one of watch, inject, await or restore{said}", at.at)
            return None
        kind = kinds[0]
        value = at.get(kind.value)
        assert value is not None
        for key, only in (("within", StepKind.AWAIT), ("with", StepKind.INJECT), ("engine", StepKind.INJECT)):
            wrong = at.key(key)
            if wrong is not None and kind is not only:
                self.problems.error(f"{key} belongs to {only.value}, not to {kind.value}", wrong.at)
        if kind is StepKind.WATCH:
            return Step(kind=kind, within=fields["watch"])
        if kind is StepKind.AWAIT:
            condition = Condition(fields["await"])
            if condition is Condition.REDUNDANCY and drill.get("redundancy") is None:
                self.problems.error(
                    "await: redundancy needs probes that show it", value.at, "name them under redundancy:"
                )
            if condition is not Condition.REDUNDANCY and not any(s.kind is StepKind.INJECT for s in before):
                self.problems.error(f"await: {condition.value} needs an inject before it", value.at)
            return Step(kind=kind, condition=condition, within=fields["within"] or 3 * (self.rto or 100 * SECOND))
        injected = [step.fault for step in before if step.kind is StepKind.INJECT]
        if kind is StepKind.RESTORE:
            if fields["restore"] not in injected:
                hint = suggest(fields["restore"], [name for name in injected if name])
                self.problems.error(f"{fields['restore']} is restored before it was injected", value.at, hint)
            return Step(kind=kind, fault=fields["restore"])
        name = Path(fields["inject"]).stem
        if name in injected:
            self.problems.error(f"{name} is injected twice", value.at, "one drill injects each experiment once")
        self._fault(name, fields, value, at)
        return Step(kind=kind, fault=name)

    def _probe_names(self, node: Node, key: str) -> list[str]:
        names: list[str] = []
        listed = node.get(key)
        for child in listed.children if listed and listed.kind == "list" else []:
            name = self._probe(child)
            if name in names:
                self.problems.error(f"{name} is listed twice", child.at)
            elif name:
                names.append(name)
        return names

    def _probe(self, named: Node) -> str | None:
        """Read the probe a node names; its name, or None once the problem is noted."""
        if not isinstance(named.value, str):
            return None
        path = project.find(
            named.value, "probes", root=self.root, named_in=self.path, at=named.at, problems=self.problems
        )
        return self.read_probe(path) if path else None

    def read_probe(self, path: Path) -> str | None:
        shown = project.shown(path)
        if path.stem in self.probes and self.probes[path.stem].file == self._relative(path):
            return path.stem
        try:
            node = source.read(path, shown)
        except SpecError as error:
            self.problems.found.extend(error.problems)
            return None
        self._file(path)
        kind_node = node.get("kind") if node.kind == "mapping" else None
        if kind_node is None or not isinstance(kind_node.value, str):
            self.problems.error("a probe needs the key kind", node.at, "such as kind: http")
            return None
        known = plugins.installed("probe")
        if kind_node.value not in known:
            self.problems.error(
                f"there is no probe kind {kind_node.value}", kind_node.at, suggest(kind_node.value, sorted(known))
            )
            return None
        kind = plugins.load("probe", kind_node.value)
        table = tables.probe_table(kind)
        fields = table.read(node, "a probe", self.problems)
        references.check(node, {*self.endpoints, *self.values}, self.lab, self.problems)
        if fields is BAD:
            return None
        options = {key.name: fields[key.name] for key in kind.keys.keys if fields[key.name] is not None}
        for problem in kind.check(options):
            at = problem.at or node.at
            self.problems.found.append(Problem(problem.message, at, problem.hint, problem.severity))
        name = str(fields["probe"])
        name_node = node.get("probe")
        if name != path.stem and name_node:
            self.problems.error(
                f"the probe in {path.name} must be named {path.stem}, not {name}", name_node.at, "names are file names"
            )
        self.probes[path.stem] = self._timed(path, node, fields, options)
        return path.stem

    def _timed(self, path: Path, node: Node, fields: dict[str, Any], options: dict[str, Any]) -> Probe:
        every, deadline = fields["every"], fields["deadline"]
        if self.rto:
            for key, value, share in (("every", every, 50), ("deadline", deadline, 20)):
                at = node.get(key)
                if value and at and value > self.rto // share:
                    self.problems.warning(
                        f"{key} is longer than a {share}th of the rto target, which blurs what is measured", at.at
                    )
        return Probe(
            name=path.stem,
            kind=fields["kind"],
            every=every or measure.default_period(self.rto or 50 * SECOND),
            deadline=deadline or measure.default_deadline(self.rto or 20 * SECOND),
            options=options,
            writes="write" in options,
            title=fields["title"] or "",
            file=self._relative(path),
        )

    def _fault(self, name: str, fields: dict[str, Any], value: Node, at: Node) -> None:
        path = project.find(
            fields["inject"], "experiments", root=self.root, named_in=self.path, at=value.at, problems=self.problems
        )
        given = at.get("with")
        if given:
            references.check(given, {*self.endpoints, *self.values}, self.lab, self.problems)
        if path:
            self._read_fault(name, path, fields["engine"], fields["with"] or {}, value.at)

    def _read_fault(self, name: str, path: Path, engine: str, arguments: dict[str, Any], at: Position) -> Fault | None:
        known = plugins.installed("engine")
        if engine not in known:
            self.problems.error(f"there is no engine {engine}", at, suggest(engine, sorted(known)))
            return None
        document, found = plugins.load("engine", engine)().lint(path, project.shown(path), arguments)
        self.problems.found.extend(found)
        self._file(path)
        if document is None:
            return None
        fault = Fault(
            name=name,
            engine=engine,
            title=str(document.get("title") or name),
            file=self._relative(path),
            document=document,
            arguments=arguments,
        )
        self.faults[name] = fault
        return fault

    def _named(self, node: Node) -> None:
        """Read what a broken drill file names, as far as it can be told, for its messages."""
        for key in ("probes", "observe", "redundancy"):
            listed = node.get(key) if node.kind == "mapping" else None
            if listed is not None and listed.kind == "list":
                for child in listed.children:
                    if isinstance(child.value, str):
                        project.find(
                            child.value,
                            "probes",
                            root=self.root,
                            named_in=self.path,
                            at=child.at,
                            problems=self.problems,
                        )

    def _file(self, path: Path) -> None:
        relative = self._relative(path)
        if path.is_file():
            self.files[relative] = FileDigest(path=relative, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def _relative(self, path: Path) -> str:
        resolved = path.resolve()
        root = self.root.resolve()
        return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else resolved.name

    def _sorted(self) -> list[Problem]:
        return sorted(self.problems.found, key=lambda problem: problem.at or Position(""))

    def _refusal(self) -> SpecError:
        return SpecError(problems=self._sorted())


def default_baseline(probes: Any) -> int:
    """The baseline when no step says: the sooner of 30 s and 200 samples per probe, at least 5 s."""
    slowest = max((probe.every for probe in probes), default=SECOND)
    return int(min(30 * SECOND, max(5 * SECOND, 200 * slowest)))
