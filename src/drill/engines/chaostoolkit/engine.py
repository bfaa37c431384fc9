"""Drill's side of an experiment: prepare, inject, undo."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from drill.engines import Gate, Limits
from drill.engines.chaostoolkit import document as doc
from drill.engines.chaostoolkit import lasting, lifeline, wire
from drill.engines.chaostoolkit import reach as reaching
from drill.engines.chaostoolkit.child import Conversation, Stopped, options, task_from
from drill.errors import EnvironmentFault, FaultLeftInPlace, Problem, Refused
from drill.model import Effect, Fault, Injection, Undo
from drill.policy import Reach
from drill.scrub import Scrubber

# How often an undo is begun whose process is killed.
_TRIES = 3


class ChaosToolkitEngine:
    """Any Chaos Toolkit experiment as one fault: its method breaks, its rollbacks undo."""

    name = "chaostoolkit"

    def lint(
        self, path: Path, shown: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, Sequence[Problem]]:
        """Read an experiment offline: without its modules, its variables, or chaoslib."""
        from drill.spec import experiment

        document, problems = experiment.lint(path, shown, arguments)
        if document is None:
            return None, problems
        # What a plan and a journal hold: JSON data, and no secret that stands in the file.
        return doc.with_secrets_referred(wire.plain(document)), problems

    def describe(self, fault: Fault) -> Sequence[str]:
        """What it will do and how it is undone, one line each."""
        document = doc.inlined(fault.document)
        environment = doc.pinned(document, fault.arguments, os.environ)
        return doc.described(document, doc.shown(document, fault.arguments, environment))

    def reach(self, fault: Fault) -> Reach:
        """What it would call, and how much of what: for policies."""
        document = doc.inlined(fault.document)
        environment = doc.pinned(document, fault.arguments, os.environ)
        return reaching.reach(document, doc.shown(document, fault.arguments, environment))

    def sources(self, document: dict[str, Any], root: Path) -> Sequence[Path]:
        """Code of the project that an experiment would run: a plan's digest covers it."""
        return reaching.sources(doc.inlined(document), root)

    def undoable(self, fault: Fault) -> bool:
        """Whether it says how it is undone."""
        return bool(doc.section(fault.document, "rollbacks"))

    async def prepare(self, fault: Fault) -> Undo:
        """
        Resolve what can be resolved without running anything.

        Raises:
            EnvironmentFault: A variable, a module, a function or a program is missing here, for the
                method or for the rollbacks.
        """
        document = doc.inlined(fault.document)
        missing = [
            f"the environment variable {name} is not set"
            for name in doc.needed_variables(document, fault.arguments)
            if name not in os.environ and not (name == "DRILL_LAB" and fault.lab)
        ]
        missing += _missing_parts(document, _root(fault), fault.file)
        if missing:
            raise EnvironmentFault(f"{fault.file or fault.name} cannot be carried out here: {'; '.join(missing)}")
        task = _task(fault, doc.only_undo(document), undoing=True)
        if doc.dynamic(document, fault.arguments):
            task = msgspec.structs.replace(task, memory=str(lasting.place()))
        values = doc.shown(document, fault.arguments, task.environment)
        return Undo(
            engine=self.name,
            fault=fault.name,
            data={"task": options(task), "lab": fault.lab, "mark": uuid.uuid4().hex},
            summary=tuple(doc.summary(document, values)),
            instructions=tuple(doc.instructions(document, values)),
        )

    async def inject(self, fault: Fault, undo: Undo, gate: Gate) -> Injection:
        """
        Walk through the method.

        Raises:
            Refused: The steady state was not met, or could not be found out, before anything was broken.
            EnvironmentFault: An action failed or did not end in time, or the process died.
        """
        prepared = task_from(undo.data["task"])
        task = _task(fault, doc.inlined(fault.document), undoing=False)
        task = msgspec.structs.replace(
            task,
            environment=prepared.environment,
            folder=prepared.folder,
            file=prepared.file,
            memory=prepared.memory,
        )
        seen = Seen(fault.name)
        try:
            await _conversation(task, gate, fault.lab, seen.hear, mark=undo.data.get("mark", "")).run()
        except Stopped as stopped:
            seen.stopped(stopped)
        return seen.injection(task.document)

    def limits(self, fault: Fault) -> Limits:
        """How long the method and the rollbacks may take at most, each activity at its deadline."""
        document = doc.inlined(fault.document)
        inject = doc.default_deadline(document, fault.arguments, undoing=False)
        undo = doc.default_deadline(document, fault.arguments, undoing=True)
        unsaid = any(doc.timeout(activity) is None for activity in doc.activities(document))
        values = doc.shown(document, fault.arguments, doc.pinned(document, fault.arguments, os.environ))
        sections = ("steady-state-hypothesis", "method", "steady-state-hypothesis")
        return Limits(
            inject=doc.longest(document, sections, inject, values),
            undo=doc.longest(document, ("rollbacks",), undo, values),
            unsaid=inject if unsaid else None,
            told=doc.pauses_known(document, values),
        )

    def end(self, undo: Undo) -> None:
        """End what the method of a fault that never came to its end has started, wherever it went."""
        lifeline.end_marked(undo.data.get("mark", ""))

    async def undo(self, undo: Undo, gate: Gate) -> None:
        """
        Run every rollback, in processes of its own, from the undo's data alone.

        Raises:
            FaultLeftInPlace: A rollback failed, hung or lacked a secret; the others were run.
        """
        task = task_from(undo.data["task"])
        rollbacks = doc.section(task.document, "rollbacks")
        troubles: list[str] = []
        failed: set[int] = set()
        again = _TRIES - 1
        while task.start < len(rollbacks):
            listening = _Rollbacks(task.start)
            try:
                await _conversation(task, gate, undo.data.get("lab"), listening.hear).run()
            except Stopped as stopped:
                if stopped.killed and again:
                    # Undoing is idempotent, and one more try costs little.
                    again -= 1
                    task = msgspec.structs.replace(task, start=stopped.index or task.start)
                    troubles += listening.troubles
                    failed |= listening.failed
                    continue
                # One that hangs or takes the process with it does not stop the rest.
                troubles += [*listening.troubles, str(stopped)]
                # Without an index it had not come to the first yet: nothing would be different a second time.
                ended_at = range(task.start, len(rollbacks)) if stopped.index is None else [stopped.index]
                failed |= listening.failed | set(ended_at)
                task = msgspec.structs.replace(task, start=max(ended_at) + 1)
            else:
                troubles += listening.troubles
                failed |= listening.failed
                break
        if troubles:
            values = doc.shown(task.document, task.arguments, task.environment)
            by_hand = [activity for index, activity in enumerate(rollbacks) if index in failed]
            raise FaultLeftInPlace(
                f"{undo.fault} could not be undone: {'; '.join(troubles)}",
                instructions=doc.instructions(task.document, values, by_hand or None),
            )


@dataclass
class _Rollbacks:
    """What is heard while undoing."""

    index: int
    troubles: list[str] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)

    def hear(self, message: wire.AnyMessage, asked: wire.Ask | None) -> None:
        if isinstance(message, wire.Next) and message.index is not None:
            self.index = message.index
        elif isinstance(message, wire.Trouble) and message.fails:
            self.troubles.append(message.text)
            self.failed.add(self.index)


@dataclass
class Seen:
    """What is heard of a method, and what follows from it."""

    fault: str
    details: list[dict[str, Any]] = field(default_factory=list)
    effects: list[tuple[Effect, str]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def hear(self, message: wire.AnyMessage, asked: wire.Ask | None) -> None:
        if isinstance(message, wire.Trouble):
            self._trouble(message)
        elif isinstance(message, wire.Hypothesis):
            self._hypothesis(message)
        elif isinstance(message, wire.Done) and asked:
            self._done(message, asked)

    def _trouble(self, message: wire.Trouble) -> None:
        if message.fails:
            raise EnvironmentFault(f"{self.fault}: {message.text}")
        self.notes.append(message.text)
        self.details.append({"note": message.text})

    def _hypothesis(self, message: wire.Hypothesis) -> None:
        unsaid = {"before": "before", "during": "during", "after": "after"}[message.when]
        self.details.append({"steady_state": message.when, "met": message.met, "why": message.why})
        if message.met:
            return
        state = "was not met" if message.met is False else "could not be found out"
        text = f"the steady state {state} {unsaid} the method: {message.why}"
        if message.when == "before":
            raise Refused(f"{self.fault}: {text}", hint="nothing was broken")
        self.findings.append(text)

    def _done(self, message: wire.Done, asked: wire.Ask) -> None:
        if asked.stage == "during" and message.ok:
            return  # one line per second would bury the rest
        detail = {"activity": asked.activity, "type": asked.kind, "stage": asked.stage, "ok": message.ok}
        self.details.append(
            detail
            | ({"output": message.output} if message.output is not None else {})
            | ({"error": message.error} if message.error else {})
        )
        if asked.breaks and message.ok:
            self.actions.append(asked.activity)
            self.effects.append(said_effect(message.output))

    def stopped(self, stopped: Stopped) -> None:
        """The process did not end well: what that means depends on where it was."""
        if stopped.stage == "after":
            self.findings.append(f"the steady state could not be found out after the method: {stopped}")
        elif stopped.stage == "before":
            raise Refused(
                f"{self.fault}: the steady state could not be found out before the method: {stopped}",
                hint="nothing was broken",
            ) from stopped
        else:
            raise EnvironmentFault(f"{self.fault}: {stopped}") from stopped

    def injection(self, document: dict[str, Any]) -> Injection:
        """What is known of the effect, from what the actions themselves say."""
        meant = [activity for activity in doc.section(document, "method") if activity.get("type") == "action"]
        if meant and not self.actions:
            effect, evidence = Effect.NONE, "every action is marked dry: nothing was done"
        else:
            effect = combined([said for said, _ in self.effects])
            evidence = "; ".join(text for _, text in self.effects if text)
        if not evidence and self.actions:
            evidence = f"{', '.join(self.actions)}: ended without an error, which does not show an effect"
        words = [evidence, *self.notes, *self.findings]
        return Injection(
            effect=effect,
            evidence="; ".join(word for word in words if word),
            details=tuple(self.details),
            failed=tuple(self.findings),
        )


def said_effect(output: Any) -> tuple[Effect, str]:
    """What an action's output says of its effect: our own convention, `{"effect": "shown", "evidence": "…"}`."""
    if isinstance(output, Mapping) and output.get("effect") in ("shown", "none"):
        return Effect(output["effect"]), str(output.get("evidence") or "")
    return Effect.UNKNOWN, ""


def combined(effects: Sequence[Effect]) -> Effect:
    """One effect of many actions: shown if any was; none if one is known to have had none and no other shows one."""
    if Effect.SHOWN in effects:
        return Effect.SHOWN
    return Effect.NONE if Effect.NONE in effects else Effect.UNKNOWN


def _task(fault: Fault, document: dict[str, Any], *, undoing: bool) -> wire.Task:
    return wire.Task(
        document=document,
        undoing=undoing,
        arguments=dict(fault.arguments),
        environment=doc.pinned(document, fault.arguments, os.environ),
        file=os.path.join(_root(fault), fault.file) if fault.file else "",
        folder=_root(fault),
        deadline=doc.default_deadline(document, fault.arguments, undoing=undoing),
    )


def _root(fault: Fault) -> str:
    """Where the fault's file and the modules beside it are found."""
    return fault.root or os.getcwd()


def _conversation(task: wire.Task, gate: Gate, lab: str | None, hear: Any, mark: str = "") -> Conversation:
    task = msgspec.structs.replace(task, fence=gate.fence)
    environment = dict(os.environ)
    if lab:
        environment["DRILL_LAB"] = lab
    if task.undoing:
        # What an undo starts (a service) must live on, also when a later rollback hangs.
        environment.pop(lifeline.MARK, None)
    else:
        environment[lifeline.MARK] = mark or uuid.uuid4().hex
    secret = doc.secret_variables(task.document, task.arguments)
    scrubber = Scrubber({name: os.environ[name] for name in secret if name in os.environ})
    return Conversation(task=task, gate=gate, environment=environment, scrubber=scrubber, hear=hear)


def _missing_parts(document: dict[str, Any], folder: str, file: str) -> list[str]:
    """Modules, functions, programs and files that are not here, found without importing anything."""
    from drill.spec.experiment import modules

    missing = []
    if doc.refers_to_its_file(document) and not os.path.isfile(file):
        missing.append(f"its secrets are written in {file or 'its file'}, which is not found from here")
    for activity in doc.activities(document):
        by = doc.provider(activity)
        if by.get("type") == "python":
            module, name = str(by.get("module")), str(by.get("func"))
            known = modules.find(module, name, folder).known
            if known is modules.Known.NO_MODULE:
                missing.append(f"the module {module} is not installed here")
            elif known is modules.Known.NO_FUNCTION:
                missing.append(f"the module {module} has no function {name}")
        elif by.get("type") == "process":
            path = str(by.get("path"))
            if "${" not in path and shutil.which(os.path.expanduser(path)) is None:
                missing.append(f"the program {path} is not on this machine's PATH")
    return list(dict.fromkeys(missing))
