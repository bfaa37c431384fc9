"""One run from drill to report: lab, lock, journal, conductor, record."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import platform
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from drill import __version__, artifacts, load, locks, orders, permission, plan, plugins, restoring, state
from drill.clock import SystemClock
from drill.conductor import Conductor
from drill.engines import limits, undoing
from drill.errors import EnvironmentFault, FaultLeftInPlace, Refused
from drill.guardian import Observer, guarded
from drill.journal import Journal, is_live, replay, salvage
from drill.locks import Lock
from drill.model import AnyEvent, Began, Drill, Fence, History, Plan
from drill.record import Record
from drill.reports import Format
from drill.scrub import Scrubber, concealed
from drill.signals import Signals
from drill.spec import references


class View(Protocol):
    """Whoever shows a run while it happens."""

    def say(self, text: str) -> None:
        """One line about what drill is doing before and after the run."""

    def began(self, run: Plan, conductor: Conductor) -> None:
        """The run begins."""

    def event(self, event: AnyEvent) -> None:
        """Something was journaled."""

    def close(self) -> None:
        """Nothing more will happen."""


@dataclass(frozen=True, slots=True)
class Finished:
    """
    A run that is over, and where it left what it found.

    Attributes:
        stopped: Somebody asked drill to stop while it went on, even when that changed nothing any more.
    """

    folder: Path
    record: Record
    files: tuple[Path, ...]
    stopped: bool = False


async def run(
    drill: Drill,
    reports: Path,
    view: View,
    *,
    environment: Mapping[str, str],
    on: Path | str | None = None,
    trigger: str = "manual",
    cycle: int | None = None,
    policy: Path | None = None,
) -> Finished:
    """
    Bring the lab up (or use the one named by *on*), carry the drill out, write the reports.

    The first fault waits for a random share of *cycle* (nanoseconds) or of the drill's own. *policy* is one
    more policy file beside those of the project and the folders above it.

    Raises:
        EnvironmentFault: The run could not begin; nothing was broken.
    """
    permitted = permission.require(drill, environment, policy=policy, cycle=cycle)
    if drill.load is not None:
        load.check(drill.load)
    home = state.folder(environment)
    state.refuse_if_stopped(home)
    folder = reports / run_id(drill.name)
    taking = limits(drill.faults)
    stopping = Signals()
    with stopping, locks.of_system(_under_test(drill, on), home) as lock:
        async with orders.heard(stopping, home, folder):
            await restore_the_dead(reports, home, drill.system, lock, view.say)
            if lock:
                lock.renew(folder)
            async with _lab(drill, view, on, stopping) as lab:
                made = plan.make(
                    drill,
                    lab.endpoints if lab else {},
                    lab_folder=str(lab.folder) if lab else None,
                    carrying_out=sum(each.inject for each in taking.values()),
                    permission=permitted,
                )
                probers, known = _probers(made, environment)
                sends, more = _load(made, drill.root, environment)
                made, written = concealed(made)
                scrub = Scrubber(written | known | more)

                def conductor(journal: Journal, fence: Fence) -> Conductor:
                    return Conductor(
                        made,
                        journal,
                        clock=SystemClock(),
                        engines={fault.engine: plugins.load("engine", fault.engine)() for fault in made.faults},
                        probers=probers,
                        scrub=scrub,
                        marks=lab,
                        load=sends(scrub) if sends else None,
                        cycle=cycle if cycle is not None else drill.cycle,
                        fence=fence,
                    )

                undoing_s = undoing(drill.faults, taking)
                left = await _carry_out(conductor, folder, lock, stopping, home, view, trigger, undoing_s)
            view.say("writing the reports")
            try:
                return replace(finish(folder), stopped=stopping.heard)
            except Exception as error:
                raise _unsafe_if(left, error) from error


async def _carry_out(
    conductor_of: Callable[[Journal, Fence], Conductor],
    folder: Path,
    lock: Lock | None,
    stopping: Signals,
    home: Path,
    view: View,
    trigger: str,
    undoing_s: float,
) -> list[str]:
    """Conduct with a journal in *folder*, under a guardian; what a person must do about faults still in place."""
    observer = Observer(view.event)
    journal = Journal(folder, observer=observer)
    try:
        restoring.refuse_what_nobody_may_restore(folder)
        with nullcontext(lock) if lock else _own_lock(folder) as held:
            conductor = conductor_of(journal, held.fence)
            state.enter(home, folder)
            try:
                stopping.tell(conductor.stop)
                view.began(conductor.plan, conductor)
                async with guarded(folder, held, observer, conductor.stop, undoing_s=undoing_s):
                    await conductor.run(folder.name, _versions(), trigger)
            except Exception as error:
                raise _unsafe_if(conductor.instructions, error) from error
            finally:
                stopping.tell(None)
                # Nobody who finds that this run is over may find its journal locked.
                journal.close()
                state.leave(home, folder)
    finally:
        journal.close()
    return conductor.instructions


def _own_lock(folder: Path) -> AbstractContextManager[Lock]:
    """The lock of a run that has its lab to itself: it keeps nobody out but a conductor that was taken over."""
    return locks.held(folder.resolve() / locks.OWN, f"the run {folder.name}", folder)


def _unsafe_if(instructions: Sequence[str], error: Exception) -> Exception:
    """The error, unless a fault may still be in place: nothing that went wrong beside it may hide that."""
    return FaultLeftInPlace(str(error), instructions=instructions) if instructions else error


async def restore_the_dead(
    reports: Path, home: Path, system: str, lock: Lock | None, say: Callable[[str], None]
) -> None:
    """
    Undo what a drill of the same system left that died with its guardian, as in a power cut.

    Also one whose reports lie elsewhere, when it never said that it was over, or was the last to
    hold the system's lock.

    Raises:
        FaultLeftInPlace: It could not be undone: no second fault on top of a first.
    """
    dead = {folder.resolve(): folder for folder in restoring.unfinished(reports)}
    for folder in (*state.entered(home), *([lock.previous] if lock and lock.previous else [])):
        if folder.resolve() not in dead and restoring.left_something(folder):
            dead[folder.resolve()] = folder
    for folder in dead.values():
        history, _ = salvage(folder)
        began = next(iter(history.of(Began)), None)
        if began is None or began.plan.system != system:
            continue
        if history.ended is not None:
            say(f"{folder.name} ended unsafe; when nobody has mended it since: drill restore {folder}")
            continue
        say(f"undoing what {folder.name} left")
        try:
            await restoring.restore_run(folder, say, lock=lock)
        except EnvironmentFault:
            if is_live(folder) or (began.fence and locks.is_held(Path(began.fence.path))):
                continue  # somebody else is at it
            raise
        finish(folder)


def finish(folder: Path, *, only: str | None = None) -> Finished:
    """
    Read a run's journal and write its reports beside it, each whole or not at all.

    Raises:
        EnvironmentFault: The journal is missing or damaged, or a report cannot be written; the others are.
    """
    from drill.assemble import assemble

    history = replay(folder)
    record = assemble(history, attachments=artifacts.found(folder))
    files, failed = [], []
    for name in sorted(plugins.installed("report")):
        if only is None or name == only:
            try:
                report = plugins.load("report", name)()
                if only is not None or _at_hand(report):
                    files.append(_write(folder, report, record, history))
            except EnvironmentFault as error:
                failed.append(error)
    if failed:
        raise failed[0]
    return Finished(folder, record, tuple(files))


def _at_hand(report: Format) -> bool:
    """Whether what a format is made with is installed; some need a library that not everybody wants."""
    needs = getattr(report, "needs", None)
    return needs is None or importlib.util.find_spec(needs) is not None


def _write(folder: Path, report: Format, record: Record, history: History) -> Path:
    path = folder / report.filename
    partial = path.with_name(f".{path.name}")
    try:
        partial.write_bytes(report.render(record, history))
        partial.replace(path)
    except ImportError as error:
        raise EnvironmentFault(
            f"the report {path.name} cannot be made: {error}",
            hint=f'install its extra: pip install "drill-orchestrator[{report.name}]"',
        ) from error
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise EnvironmentFault(f"the report {path} cannot be written: {error.strerror}") from error
    return path


def run_id(drill: str) -> str:
    """A name for a run that sorts by time and never repeats: 20261121-154903-region-failover-1a2b."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-{locks.file_name(drill)}-{secrets.token_hex(2)}"


def _load(
    made: Plan, root: str, environment: Mapping[str, str]
) -> tuple[Callable[[Scrubber], load.Generator] | None, dict[str, str]]:
    """What makes the plan's load, secrets filled in, and those secrets by name."""
    if made.load is None:
        return None, {}
    options = {"request": made.load.request, "environment": made.load.environment}
    _refuse_unfilled("the load", options)
    known = references.secrets(options, environment)
    revealed = msgspec.structs.replace(made.load, **references.reveal(options, environment))
    return (lambda scrub: load.Generator(revealed, Path(root), SystemClock(), scrub, environment)), known


def _probers(made: Plan, environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Every probe of a plan, secrets filled in, and those secrets by name."""
    known: dict[str, str] = {}
    probers = {}
    for probe in made.probes:
        _refuse_unfilled(f"the probe {probe.name}", probe.options)
        known |= references.secrets(probe.options, environment)
        options = references.reveal(probe.options, environment)
        probers[probe.name] = plugins.load("probe", probe.kind)(msgspec.structs.replace(probe, options=options))
    return probers, known


def _refuse_unfilled(what: str, options: Any) -> None:
    missing: list[str] = []

    def note(name: str) -> None:
        if name not in references.PER_REQUEST and not name.startswith("env:"):
            missing.append(name)

    references.fill(options, note)
    if missing:
        raise EnvironmentFault(
            f"{what} needs ${{{missing[0]}}}, which nothing gives",
            hint=f"give it: --with {missing[0]}=VALUE, with: in the drill, or a lab",
        )


def _versions() -> dict[str, str]:
    found = {"drill": __version__, "python": platform.python_version(), "platform": platform.platform(terse=True)}
    for package in ("chaostoolkit", "chaostoolkit-lib", "chaostoolkit-aws", "chaostoolkit-kubernetes"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@asynccontextmanager
async def _lab(drill: Drill, view: View, on: Path | str | None, stopping: Signals) -> AsyncIterator[Any]:
    """The lab the drill runs on, or None; brought down again unless it was there before."""
    if on is not None:
        from drill import lab as labs

        yield labs.find(str(on))
        return
    if drill.lab is None:
        yield None
        return
    from drill import lab as labs

    view.say(f"bringing up the lab {drill.lab}")
    coming = asyncio.create_task(labs.up(drill.lab, progress=lambda text: view.say(f"waiting: {text}")))

    # Once only: a second Ctrl-C must not cut short how the lab cleans up after the first.
    stopping.tell(lambda reason: coming.cancel() if not coming.cancelling() else None)
    try:
        lab = await coming
    except asyncio.CancelledError:
        raise Refused("stopped while the lab was coming up; nothing was broken") from None
    finally:
        stopping.tell(None)
    try:
        yield lab
    finally:
        view.say("bringing the lab down")
        try:
            await lab.down()
        except EnvironmentFault as error:
            # What the drill showed does not hang on it.
            view.say(str(error))


def _under_test(drill: Drill, on: Path | str | None) -> str | None:
    """
    What only one drill at a time may touch: the system, and on a shared lab that lab.

    None for a lab of the run's own, which nobody else can touch.
    """
    if on is not None:
        from drill import lab as labs

        return f"{drill.system}@{labs.find(str(on)).folder.name}"
    return None if drill.lab else drill.system
