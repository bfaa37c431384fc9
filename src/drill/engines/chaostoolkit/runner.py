"""
The process of one experiment: chaoslib, with a gate before every single call.

Every provider call of chaoslib goes through one of three functions in
`chaoslib.activity`; wrapping them sees all of them, also dynamic configuration
and probes inside tolerances, after the pauses and just before the effect.
A test holds that for each release we allow.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from itertools import count
from typing import Any

from drill import locks
from drill.engines.chaostoolkit import document as doc
from drill.engines.chaostoolkit import wire
from drill.engines.chaostoolkit.line import Line
from drill.engines.chaostoolkit.variables import Unusable, Variables, told
from drill.errors import EnvironmentFault
from drill.model import SECOND

CHOKE_POINTS = ("run_python_activity", "run_process_activity", "run_http_activity")
_EVERY = 1.0  # seconds between two looks at a continuous hypothesis, chaoslib's default


class _Stop(Exception):
    """Nothing more is to be done; it was said why."""


class Runner:
    """One experiment, walked through."""

    def __init__(self, line: Line, task: wire.Task) -> None:
        self.line = line
        self.task = task
        self.document = deepcopy(task.document)
        self.known = Variables(task)
        self.journal: dict[str, Any] = {"status": "running", "deviated": False, "run": [], "rollbacks": []}
        self._calls = count()
        self._here = threading.local()
        self._failed = threading.Event()
        self._config_error = ""

    # --- saying ---

    def say_trouble(self, text: str, *, fails: bool = True) -> None:
        if fails:
            self._failed.set()
        self.line.say(wire.Trouble(text=self.known.scrubber.text(wire.plain(text)), fails=fails))

    def next(self, what: str, pauses: float = 0, index: int | None = None) -> None:
        within = wire.BETWEEN + int(pauses * SECOND)
        self.line.say(wire.Next(what=self.known.scrubber.text(what), within=within, index=index))

    @contextlib.contextmanager
    def stage(self, name: str, *, background: bool = False) -> Iterator[None]:
        before = getattr(self._here, "stage", "method"), getattr(self._here, "background", False)
        self._here.stage, self._here.background = name, background
        try:
            yield
        finally:
            self._here.stage, self._here.background = before

    # --- the gate ---

    def install_gate(self) -> None:
        import chaoslib.activity

        for name in CHOKE_POINTS:
            setattr(chaoslib.activity, name, self._gated(getattr(chaoslib.activity, name)))

    def _gated(self, run: Callable[..., Any]) -> Callable[..., Any]:
        from chaoslib.exceptions import ActivityFailed

        def gated(activity: dict[str, Any], configuration: Any, secrets: Any) -> Any:
            if doc.is_dry(activity, self.document):
                self.say_trouble(f"{doc.name(activity)} was left out: it is marked dry", fails=False)
                return None
            activity = self._with_timeout(activity)
            stage = getattr(self._here, "stage", "method")
            kind = str(activity.get("type"))
            breaks = kind == "action" and stage != "rollback"
            limit = doc.deadline(activity, self.task.deadline)
            with self.asked(doc.name(activity), kind, breaks=breaks, limit=limit) as answer:
                try:
                    locks.check(self.task.fence, undoing=self.task.undoing)
                except EnvironmentFault as error:
                    raise ActivityFailed(str(error)) from error
                output = run(activity, configuration, secrets)
                answer["output"] = output
                wrong = self._wrong(activity, output, stage)
                if wrong:
                    raise ActivityFailed(wrong)
                return output

        return gated

    @contextlib.contextmanager
    def asked(self, activity: str, kind: str, *, breaks: bool, limit: int) -> Iterator[dict[str, Any]]:
        """Ask before the block, and say what came of it."""
        call = next(self._calls)
        self.line.ask(
            wire.Ask(
                call=call,
                activity=self.known.scrubber.text(activity),
                kind=kind,
                stage=getattr(self._here, "stage", "method"),
                breaks=breaks,
                deadline=limit,
                background=getattr(self._here, "background", False),
            )
        )
        answer: dict[str, Any] = {"output": None}
        error = ""
        try:
            yield answer
        except BaseException as raised:
            error = told(raised)
            if getattr(self._here, "stage", "") == "configuration":
                self._config_error = error
            raise
        finally:
            output = wire.presentable(answer["output"], self.known.scrubber)
            said = self.known.scrubber.text(wire.plain(error))
            self.line.say(wire.Done(call=call, ok=not error, output=output, error=said))

    def _with_timeout(self, activity: dict[str, Any]) -> dict[str, Any]:
        """With the timeout where chaoslib minds it: on the provider of what goes through a process or HTTP."""
        from chaoslib import substitute

        result = {**activity, "provider": dict(activity["provider"])}
        by = result["provider"]
        for holder in (result, by):
            if holder.get("timeout") is not None:
                holder["timeout"] = substitute(holder["timeout"], self.known.configuration, self.known.secrets)
        if by.get("type") in ("process", "http") and doc.seconds(by.get("timeout")) is None:
            by["timeout"] = doc.seconds(result.get("timeout")) or self.task.deadline / SECOND
        elif isinstance(by.get("timeout"), str):
            by["timeout"] = doc.seconds(by["timeout"])
        return result

    def _wrong(self, activity: dict[str, Any], output: Any, stage: str) -> str:
        """What chaoslib counts as a success and is none."""
        by = doc.provider(activity).get("type")
        status = output.get("status") if isinstance(output, dict) else None
        if not isinstance(status, int) or isinstance(status, bool):
            return ""
        if by == "process" and status != 0 and (activity.get("type") == "action" or stage == "configuration"):
            last = (str(output.get("stderr") or output.get("stdout") or "").strip().splitlines() or [""])[-1]
            return f"it ended with exit code {status}{f': {last}' if last else ''}"
        if by == "http" and status >= 400 and stage in ("rollback", "configuration"):
            return f"it was answered with status {status}"
        if by == "http" and status >= 400 and activity.get("type") == "action":
            text = f"{doc.name(activity)} was answered with status {status}, which Chaos Toolkit counts as success"
            self.say_trouble(text, fails=False)
        return ""

    # --- getting ready ---

    def load(self) -> None:
        """Configuration, secrets, controls, in chaoslib's order."""
        from chaoslib.control import initialize_controls

        self.document["configuration"] = self.known.written
        try:
            self.known.load()
            with self.stage("configuration"):
                self.known.find_out()
        except Unusable as error:
            for text in error.args:
                self.say_trouble(f"{text}: {self._config_error}" if self._config_error else text)
            raise _Stop from error
        names = doc.controls(self.document)
        if names:
            what = f"load controls: {', '.join(names)}"
            with self.stage("control"), self.asked(what, "control", breaks=False, limit=self.task.deadline):
                initialize_controls(self.document, self.known.configuration, self.known.secrets)

    # --- the method ---

    def method(self) -> None:
        """Steady state, method, steady state; as chaoslib's runner, but each failure is told."""
        strategy = doc.hypothesis_strategy(self.document)
        before = strategy in ("default", "before-method-only", "continuously")
        with self._controlled("experiment"):
            if before and self.steady_state("before") is not True:
                raise _Stop
            watching = self._watch() if strategy in ("during-method-only", "continuously") else None
            with self._controlled("method"):
                self._walk()
            if watching:
                watching()
            if strategy in ("default", "after-method-only", "continuously") and not self._failed.is_set():
                self.steady_state("after")

    def _walk(self) -> None:
        activities = doc.section(self.document, "method")
        beside = [activity for activity in activities if activity.get("background") is True]
        pool = ThreadPoolExecutor(len(beside)) if beside else None
        futures: list[Future[bool]] = []
        for activity in activities:
            if self._failed.is_set():
                raise _Stop
            if pool and activity.get("background") is True:
                futures.append(pool.submit(self._activity, activity, "method", True))
                continue
            self.next(doc.name(activity), self._pauses(activity))
            self._activity(activity, "method")
        if futures:
            self.line.say(wire.Next(what="waiting for activities in the background", within=None))
            for future in futures:
                future.result()
        if self._failed.is_set():
            raise _Stop

    def _activity(self, activity: dict[str, Any], stage: str, background: bool = False) -> bool:
        """Carry one out; True when it succeeded. A failed action is trouble, a failed probe is written down."""
        from chaoslib.activity import execute_activity
        from chaoslib.exceptions import InterruptExecution

        title = f"{activity.get('type')} {doc.name(activity)}"
        with self.stage(stage, background=background):
            try:
                run = execute_activity(self.document, activity, self.known.configuration, self.known.secrets, None)
            except InterruptExecution as error:
                self.say_trouble(f"{title}: the experiment was interrupted: {error}")
                return False
            except (Exception, SystemExit) as error:  # noqa: BLE001 - chaoslib lets everything but its own errors out
                self.say_trouble(f"{title} could not be carried out: {told(error)}")
                return False
        self.journal["rollbacks" if stage == "rollback" else "run"].append(run)
        if run.get("status") == "succeeded":
            return True
        self.say_trouble(
            f"{title} failed: {_failure(run)}", fails=stage == "rollback" or activity.get("type") == "action"
        )
        return False

    def _pauses(self, activity: dict[str, Any]) -> float:
        from chaoslib import substitute

        pauses = substitute(activity.get("pauses") or {}, self.known.configuration, self.known.secrets)
        return sum(doc.seconds(pauses.get(when)) or 0 for when in ("before", "after"))

    @contextlib.contextmanager
    def _controlled(self, level: str) -> Iterator[None]:
        from chaoslib.control import controls
        from chaoslib.exceptions import InterruptExecution

        try:
            with controls(level, self.document, self.document, self.known.configuration, self.known.secrets) as control:
                control.with_state(self.journal if level == "experiment" else self.journal["run"])
                yield
        except InterruptExecution as error:
            self.say_trouble(f"a control interrupted the experiment: {error}")
            raise _Stop from error

    # --- the hypothesis ---

    def steady_state(self, when: str, *, background: bool = False) -> bool | None:
        """Look at the steady state and say what it is: True, False, or None when it could not be found out."""
        from chaoslib.hypothesis import run_steady_state_hypothesis

        probes = [probe for probe in doc.probes(self.document) if not doc.is_dry(probe, self.document)]
        if not probes:
            return True
        hypothesis = {**self.document["steady-state-hypothesis"], "probes": probes}
        held = {**self.document, "steady-state-hypothesis": hypothesis}
        if not background:
            self.next(f"steady state {when} the method", sum(self._pauses(probe) for probe in probes))
        with self.stage(when, background=background):
            try:
                state = run_steady_state_hypothesis(held, self.known.configuration, self.known.secrets, None, None)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a tolerance that does not fit raises anything
                why = f"it could not be evaluated: {told(error)}"
                self.line.say(wire.Hypothesis(when=when, met=None, why=self.known.scrubber.text(wire.plain(why))))
                return None
        met: bool | None = state["steady_state_met"]
        why = ""
        if not met:
            last = state["probes"][-1]
            if last["status"] == "failed":
                met, found = None, _failure(last)
            else:
                output = json.dumps(wire.presentable(last["output"], self.known.scrubber))[:200]
                tolerance = json.dumps(wire.plain(last["activity"].get("tolerance")))[:200]
                found = f"{output} is not within {tolerance}"
            why = f"{doc.name(last['activity'])}: {found}"
            self.journal["deviated"] = when != "before"
        self.line.say(wire.Hypothesis(when=when, met=met, why=self.known.scrubber.text(wire.plain(why))))
        return met

    def _watch(self) -> Callable[[], None]:
        """Look at the steady state again and again beside the method; returns what ends it."""
        over = threading.Event()

        def look() -> None:
            # Once told, it is told: a hypothesis that stays unmet would only fill the journal.
            while not over.is_set() and self.steady_state("during", background=True) is True:
                over.wait(_EVERY)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()

        def end() -> None:
            over.set()
            self.next("the last look at the steady state during the method")
            thread.join()

        return end

    # --- the undo ---

    def rollbacks(self) -> None:
        """Every rollback in order; one that fails does not stop the rest."""
        begun = False
        # A control that interrupts here would leave the fault in place: it is told, and the rollbacks go on.
        with contextlib.suppress(_Stop), self._controlled("rollback"):
            begun = True
            self._undo()
        if not begun:
            self._undo()

    def _undo(self) -> None:
        for index, activity in enumerate(doc.section(self.document, "rollbacks")):
            if index < self.task.start:
                continue
            self.next(doc.name(activity), self._pauses(activity), index)
            lacking = self.known.lacking(activity)
            if lacking:
                self.say_trouble(f"action {doc.name(activity)} was not carried out: {lacking}")
            else:
                self._activity(activity, "rollback")

    def run(self) -> None:
        self.next("configuration, secrets and controls")
        with contextlib.suppress(_Stop):
            self.install_gate()
            self.load()
            if self.task.undoing:
                self.rollbacks()
            else:
                self.method()
        with contextlib.suppress(Exception):
            from chaoslib.control import cleanup_controls

            cleanup_controls(self.document)
        self.line.say(wire.End())


def _failure(run: dict[str, Any]) -> str:
    """What a failed activity said, from chaoslib's record of it."""
    said = (run.get("exception") or ["it failed"])[-1].strip()
    return str(said).removeprefix("chaoslib.exceptions.ActivityFailed: ")


def main(fd: int) -> int:
    line = Line(fd)
    try:
        task = line.task()
        if task.folder:
            # Last, as `PYTHONPATH=. chaos run` has it for experiments with modules of their own beside them,
            # but so that a folder "probes" or "yaml.py" of a project hides no installed package.
            sys.path.append(task.folder)
        from chaoslib.caching import cache_activities

        cache_activities({"method": [], **task.document})
        Runner(line, task).run()
    except KeyboardInterrupt:
        return 130
    return 0
