"""
A run as people watch it: a live view on a terminal, plain lines elsewhere.

Both tell the same story: `Story` turns events into sentences.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from drill.cli import say
from drill.errors import printable
from drill.model import (
    SECOND,
    AnyEvent,
    Began,
    Delayed,
    Done,
    Effect,
    Ended,
    Injected,
    InjectFailed,
    Intent,
    LoadBegan,
    LoadEnded,
    Measure,
    Note,
    Outcome,
    Plan,
    RestoreBegan,
    Restored,
    Samples,
    StepBegan,
    StepEnded,
    Survivors,
)

if TYPE_CHECKING:
    from drill.conductor import Conductor
    from drill.run import Finished
    from drill.runs import ObjectiveRun, Summary

_COLOURS = {
    "met": "green",
    "missed": "red",
    "inconclusive": "yellow",
    "refused": "yellow",
    "aborted": "yellow",
    "unsafe": "red",
}
_RIBBON = 60  # cells of a probe's ribbon, half a second each
_CELL_S = 0.5


class Story:
    """Events as sentences, with the moments at which a probe turns bad or good."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.began = 0
        self._state: dict[str, Outcome] = {}

    def tell(self, event: AnyEvent) -> list[str]:
        """What a person should hear of this event; often nothing."""
        match event:
            case Began():
                self.plan, self.began = event.plan, event.at
                return []
            case StepBegan():
                return self._step(event)
            case StepEnded() if not event.done:
                return [f"not done: {event.reason}"]
            case Intent() if event.breaks and not event.undoing:
                return [f"{event.fault}: {event.activity}"]
            case Done() if not event.ok:
                return [f"{event.fault}: failed: {event.error}"]
            case Injected():
                shown = {Effect.SHOWN: "broken", Effect.NONE: "nothing broke", Effect.UNKNOWN: "carried out"}
                evidence = f": {event.injection.evidence}" if event.injection.evidence else ""
                return [f"{event.fault}: {shown[event.injection.effect]}{evidence}"]
            case InjectFailed():
                return [f"{event.fault} could not be carried out: {event.error}"]
            case RestoreBegan():
                return [f"undoing {event.fault}"]
            case Restored():
                return [
                    f"{event.fault} is undone"
                    if event.verified
                    else f"{event.fault} MAY STILL BE IN PLACE: {event.error}"
                ]
            case Samples():
                return self._turns(event)
            case Survivors() if event.read.ids is not None:
                return [f"survivors of {event.probe}: {len(event.read.ids)} read"]
            case Survivors():
                return [f"survivors of {event.probe} could not be read: {event.read.error}"]
            case Delayed():
                return [f"the fault waits {event.delay / SECOND:.1f} s of a cycle of {event.cycle / SECOND:g} s"]
            case LoadBegan():
                return [f"the load has begun ({event.processes} {'process' if event.processes == 1 else 'processes'})"]
            case LoadEnded() if event.error:
                return [f"THE LOAD: {event.error}"]
            case Note():
                return [event.text]
            case Ended() if event.reason:
                return [event.reason]
        return []

    def _step(self, event: StepBegan) -> list[str]:
        assert self.plan is not None
        step = self.plan.steps[event.n]
        within = f" (at most {step.within / SECOND:g} s)" if step.within and step.condition else ""
        lasting = f" for {step.within / SECOND:g} s" if step.within and not step.condition else ""
        return [f"step {event.n + 1}/{len(self.plan.steps)}: {step}{lasting}{within}"]

    def _turns(self, event: Samples) -> list[str]:
        told = []
        for sample in event.samples:
            if sample.outcome is Outcome.UNKNOWN:
                continue
            before = self._state.get(event.probe)
            if sample.outcome is not before:
                if sample.outcome is Outcome.FAILED:
                    told.append(f"{event.probe} is failing: {sample.detail}")
                elif before is not None:
                    told.append(f"{event.probe} is good again")
            self._state[event.probe] = sample.outcome
        # A flapping probe is told once per batch, not once per flap.
        return told[-1:]


class PlainView:
    """One line per happening, on standard error; quiet enough for a CI log."""

    def __init__(self) -> None:
        self._story = Story()
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        # A run goes on when nobody listens any more.
        with suppress(OSError):
            click.echo(f"{time.monotonic() - self._start:7.1f} s  {printable(text)}", err=True)

    def began(self, run: Plan, conductor: Conductor) -> None:
        self.say(f"{run.title} ({run.drill}, system {run.system})")

    def event(self, event: AnyEvent) -> None:
        for text in self._story.tell(event):
            self.say(text)

    def close(self) -> None:
        pass


class LiveView:
    """Steps, probes with their last half minute, and the story so far, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._story = Story()
        self._start = time.monotonic()
        self._told: deque[tuple[float, str]] = deque(maxlen=12)
        self._steps: dict[int, str] = {}
        self._cells: dict[str, deque[tuple[int, Outcome]]] = {}
        self._fault_at: float | None = None
        self._conductor: Conductor | None = None
        self._plan: Plan | None = None
        self._console = Console(stderr=True)
        # Two pictures a second: drawing shares the machine with the measuring.
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=2, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        self._told.append((time.monotonic() - self._start, text))

    def began(self, run: Plan, conductor: Conductor) -> None:
        self._plan, self._conductor = run, conductor

    def event(self, event: AnyEvent) -> None:
        match event:
            case StepBegan():
                self._steps[event.n] = "now"
            case StepEnded():
                self._steps[event.n] = "done" if event.done else "not done"
            case Samples():
                self._cell(event)
            case Intent() if event.breaks and not event.undoing and self._fault_at is None:
                self._fault_at = time.monotonic()
        for text in self._story.tell(event):
            self.say(text)

    def close(self) -> None:
        with suppress(OSError):
            self._live.stop()

    def _cell(self, event: Samples) -> None:
        cells = self._cells.setdefault(event.probe, deque(maxlen=_RIBBON))
        rank = {Outcome.OK: 0, Outcome.UNKNOWN: 1, Outcome.FAILED: 2}
        for sample in event.samples:
            slot = int(sample.planned / SECOND / _CELL_S)
            if cells and cells[-1][0] >= slot:
                if rank[sample.outcome] > rank[cells[-1][1]]:
                    cells[-1] = (cells[-1][0], sample.outcome)
            else:
                cells.append((slot, sample.outcome))

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        elapsed = time.monotonic() - self._start
        head = Text(self._plan.title if self._plan else "drill", style="bold")
        head.append(f"   {elapsed:.0f} s", style="dim")
        if self._fault_at is not None:
            head.append(f"   {time.monotonic() - self._fault_at:.0f} s since the fault{self._target()}", style="cyan")
        parts: list[Any] = [head, Text()]
        if self._plan:
            parts += [self._draw_steps(self._plan), Text(), self._draw_probes(self._plan), Text()]
        told = Table.grid(padding=(0, 1))
        for at, text in self._told:
            told.add_row(Text(f"{at:6.1f} s", style="dim"), Text(text, style="red" if "MAY STILL" in text else ""))
        return Group(*parts, told)

    def _target(self) -> str:
        """The recovery time asked for, to hold the clock against."""
        rto = next((o.target for o in self._plan.objectives if o.measure is Measure.RTO), None) if self._plan else None
        return f" (recovery within {rto / SECOND:g} s)" if rto else ""

    def _draw_steps(self, plan: Plan) -> Any:
        from rich.text import Text

        line = Text()
        marks = {"done": ("✔ ", "green"), "now": ("▶ ", "bold cyan"), "not done": ("✘ ", "yellow")}
        for n, step in enumerate(plan.steps):
            mark, style = marks.get(self._steps.get(n, ""), ("· ", "dim"))
            line.append(f"{mark}{step}   ", style=style)
        return line

    def _draw_probes(self, plan: Plan) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        glyphs = {Outcome.OK: ("█", "green"), Outcome.FAILED: ("░", "bold red"), Outcome.UNKNOWN: ("?", "dim")}
        for probe in plan.probes:
            cells = Text()
            for _, outcome in self._cells.get(probe.name, ()):
                glyph, style = glyphs[outcome]
                cells.append(glyph, style=style)
            sampler = self._conductor.samplers.get(probe.name) if self._conductor else None
            counts = f"{sampler.counts.ok} ok, {sampler.counts.failed} failed" if sampler else ""
            table.add_row(
                Text(probe.name, style="" if probe.name in plan.judged else "dim"), Text(counts, style="dim"), cells
            )
        return table


def verdict(finished: Finished) -> None:
    """The verdict table, what a person must do when that is so, and where the reports are."""
    from drill.reports import text
    from drill.spec import project

    record = finished.record
    colour = _COLOURS[record.result]
    click.echo()
    click.echo(click.style(f" {record.result.upper()} ", fg="black", bg=colour) + f"  {printable(record.reason)}")
    for instruction in record.instructions:
        click.echo(click.style(f"  do now: {printable(instruction)}", fg="red", bold=True))
    rows = text.table(record)
    if rows:
        click.echo()
        heads = ("OBJECTIVE", "TARGET", "MEASURED", "VERDICT")
        cells = [(row.objective, row.target, row.measured, row.says) for row in rows]
        widths = [max(len(line[n]) for line in [heads, *cells]) for n in range(4)]
        click.echo(
            "  "
            + "  ".join(click.style(head.ljust(width), dim=True) for head, width in zip(heads, widths, strict=True))
        )
        for row, line in zip(rows, cells, strict=True):
            padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            padded[3] = click.style(padded[3], fg=None if row.void else _COLOURS[row.verdict], dim=bool(row.void))
            click.echo("  " + "  ".join(padded))
            if row.verdict != "met":
                click.echo(click.style(f"      {printable(row.explanation)}", dim=True))
    click.echo()
    for path in finished.files:
        click.echo(f"  {project.shown(path)}")


def together(summary: Summary, path: Path) -> None:
    """Every run with its bounds, and what they prove together."""
    from drill import wording
    from drill.spec import project

    click.echo()
    click.echo(
        click.style(f" {summary.result.upper()} ", fg="black", bg=_COLOURS[summary.result])
        + f"  {len(summary.runs)} of {summary.asked} runs of {summary.drill}"
        + (f": {summary.stopped}" if summary.stopped else "")
    )
    click.echo()
    ids = list(dict.fromkeys(each.id for run in summary.runs for each in run.objectives))
    rows = [("RUN", "RESULT", "WAITED", *(id.upper() for id in ids))]
    for run in summary.runs:
        found = {each.id: each for each in run.objectives}
        waited = "" if run.delay_s is None else f"{run.delay_s:.1f} s"
        cells = (_bounds(found[id], wording.measure_of(id)) if id in found else "" for id in ids)
        rows.append((run.run_id, run.result, waited, *cells))
    say.table(rows)
    click.echo()
    for proved in summary.proved:
        click.echo(f"  {proved.id}: {proved.says}")
    for limit in summary.limits:
        click.echo(click.style(f"  {limit}", dim=True))
    click.echo()
    click.echo(f"  {project.shown(path)}")


def _bounds(found: ObjectiveRun, measure: Measure) -> str:
    from drill import wording
    from drill.model import Bounds

    if found.lower is None:
        return "not measured"
    scale = 1 if measure in wording.COUNTS else 1_000_000 if measure in wording.SHARES else SECOND
    upper = None if found.upper is None else round(found.upper * scale)
    return wording.bounds(Bounds(round(found.lower * scale), upper), measure)
