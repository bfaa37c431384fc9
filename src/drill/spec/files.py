"""The files a drill names: probes, experiments and the lab's endpoints, each read once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill import plugins
from drill.errors import EnvironmentFault, Position, Problem, SpecError
from drill.model import SECOND, Fault, FileDigest, Probe
from drill.scrub import written
from drill.spec import project, references, source, tables
from drill.spec.shape import BAD, Problems, suggest
from drill.spec.source import Node


@dataclass(slots=True)
class Files:
    """
    What belongs to one drill; everything found wrong gathers in `problems`.

    Attributes:
        path: The drill's own file.

        given: Values from the command line, which come before those under `with:`.

        lab: The lab it will run on.

        rto: The recovery time target, from which probes take their defaults.
    """

    path: Path
    given: dict[str, str] = field(default_factory=dict)
    lab: str | None = None
    problems: Problems = field(default_factory=Problems)
    digests: dict[str, FileDigest] = field(default_factory=dict)
    probes: dict[str, Probe] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    endpoints: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    rto: int | None = None
    root: Path = Path()

    def __post_init__(self) -> None:
        self.root = project.root_of(self.path)

    def lab_endpoints(self, at: Position) -> None:
        if self.lab is None:
            return
        try:
            self.endpoints = tuple(plugins.load("lab", self.lab).endpoints)
        except EnvironmentFault as error:
            known = sorted(plugins.installed("lab"))
            self.problems.error(error.args[0], at, suggest(self.lab, known) if self.lab not in known else error.hint)

    def probe(self, named: Node, *, judged: bool = False) -> str | None:
        """Read the probe a node names; its name, or None once the problem is noted."""
        if not isinstance(named.value, str):
            return None
        path = project.find(
            named.value, "probes", root=self.root, named_in=self.path, at=named.at, problems=self.problems
        )
        return self.read_probe(path, judged=judged) if path else None

    def read_probe(self, path: Path, *, judged: bool = False) -> str | None:
        shown = project.shown(path)
        if path.stem in self.probes and self.probes[path.stem].file == self.relative(path):
            return path.stem
        try:
            node = source.read(path, shown)
        except SpecError as error:
            self.problems.found.extend(error.problems)
            return None
        self.file(path)
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
        self._programs(options)
        for problem in kind.check(options):
            at = problem.at or node.at
            self.problems.found.append(Problem(problem.message, at, problem.hint, problem.severity))
        for key, value in node.items:
            if written({key.value: value.value}):
                self.problems.warning(
                    f"a password is written into {key.value}", value.at, "take it from the environment: ${env:NAME}"
                )
        store = node.get("store")
        if store is not None and "write" not in options:
            self.problems.error("store belongs to a probe that writes", store.at)
        service = node.key("service")
        if service is not None and node.get("vantage") is None:
            self.problems.error("service belongs to a probe with a vantage", service.at, "such as vantage: paris")
        name = str(fields["probe"])
        name_node = node.get("probe")
        if name != path.stem and name_node:
            self.problems.error(
                f"the probe in {path.name} must be named {path.stem}, not {name}", name_node.at, "names are file names"
            )
        self.probes[path.stem] = self._timed(path, node, fields, options, judged)
        return path.stem

    def _programs(self, options: dict[str, Any]) -> None:
        """Programs and scripts of the project that a probe starts: a plan's digest covers them."""
        for part in (options, *(value for value in options.values() if isinstance(value, dict))):
            words = part.get("command")
            for word in words if isinstance(words, list) else ():
                path = self.root / str(word)
                if project.is_file(path) and not project.outside(path, self.root):
                    self.file(path)

    def _timed(self, path: Path, node: Node, fields: dict[str, Any], options: dict[str, Any], judged: bool) -> Probe:
        every, deadline = fields["every"], fields["deadline"]
        if self.rto and judged:
            for key, value, share in (("every", every, 50), ("deadline", deadline, 20)):
                at = node.get(key)
                if value and at and value > self.rto // share:
                    self.problems.warning(
                        f"{key} is longer than a {share}th of the rto target, which blurs what is measured", at.at
                    )
        if not (every and deadline):
            # numpy comes with it, which takes longer to import than most drills to read.
            from drill.measure import default_deadline, default_period

            every = every or default_period(self.rto or 50 * SECOND)
            deadline = deadline or default_deadline(self.rto or 20 * SECOND)
        return Probe(
            name=path.stem,
            kind=fields["kind"],
            every=every,
            deadline=deadline,
            options=options,
            writes="write" in options,
            store=fields["store"] or "",
            shows=fields["shows"] or "",
            shard=fields["shard"] or "",
            vantage=fields["vantage"] or "",
            service=fields["service"] or "",
            title=fields["title"] or "",
            file=self.relative(path),
        )

    def fault(self, name: str, fields: dict[str, Any], value: Node, at: Node) -> None:
        path = project.find(
            fields["inject"], "experiments", root=self.root, named_in=self.path, at=value.at, problems=self.problems
        )
        given = at.get("with")
        if given:
            references.check(given, {*self.endpoints, *self.values}, self.lab, self.problems)
            for key, node in given.items:
                # The undo needs it: it cannot be taken out of the journal, as a probe's password is.
                if written({key.value: references.fill(node.value, self.values.get)}):
                    self.problems.warning(
                        f"a secret is handed in under {key.value}, and will stand in the journal as it is",
                        node.at,
                        "take it from the environment: ${env:NAME}",
                    )
        if path:
            self.read_fault(name, path, fields["engine"], fields["with"] or {}, value.at)

    def read_fault(self, name: str, path: Path, engine: str, arguments: dict[str, Any], at: Position) -> Fault | None:
        known = plugins.installed("engine")
        if engine not in known:
            self.problems.error(f"there is no engine {engine}", at, suggest(engine, sorted(known)))
            return None
        document, found = plugins.load("engine", engine)().lint(path, project.shown(path), arguments)
        self.problems.found.extend(found)
        self.file(path)
        if document is None:
            return None
        # Whoever approves a plan approves the code beside it, too.
        for source_file in getattr(plugins.load("engine", engine)(), "sources", lambda *_: ())(document, self.root):
            self.file(source_file)
        fault = Fault(
            name=name,
            engine=engine,
            title=str(document.get("title") or name),
            file=self.relative(path),
            document=document,
            arguments=arguments,
        )
        self.faults[name] = fault
        return fault

    def file(self, path: Path) -> None:
        relative = self.relative(path)
        if project.is_file(path):
            self.digests[relative] = FileDigest(path=relative, sha256=hashlib.sha256(path.read_bytes()).hexdigest())

    def relative(self, path: Path) -> str:
        resolved = path.resolve()
        root = self.root.resolve()
        return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else resolved.name

    def sorted_problems(self) -> list[Problem]:
        return sorted(self.problems.found, key=lambda problem: problem.at or Position(""))

    def refusal(self) -> SpecError:
        return SpecError(problems=self.sorted_problems())
