"""One run from drill to report: lab, lock, journal, conductor, record."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.metadata
import os
import platform
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from drill import __version__, load, plan, plugins
from drill.clock import SystemClock
from drill.conductor import Conductor
from drill.errors import EnvironmentFault, FaultLeftInPlace, Refused
from drill.guardian import Guardian
from drill.journal import Journal, replay
from drill.model import AnyEvent, Completion, Drill, Plan
from drill.record import Record
from drill.scrub import Scrubber
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
) -> Finished:
    """
    Bring the lab up (or use the one named by *on*), carry the drill out, write the reports.

    The first fault waits for a random share of *cycle* (nanoseconds) or of the drill's own.

    Raises:
        EnvironmentFault: The run could not begin; nothing was broken.
    """
    if drill.load is not None:
        load.check(drill.load)
    stopping = _Signals()
    with stopping, _one_at_a_time(_under_test(drill, on), environment):
        async with _lab(drill, view, on, stopping) as lab:
            made = plan.make(drill, lab.endpoints if lab else {}, lab_folder=str(lab.folder) if lab else None)
            folder = reports / run_id(drill.name)
            probers, known = _probers(made, environment)
            sends, more = _load(made, drill.root, environment)
            scrub = Scrubber(known | more)
            engines = {fault.engine: plugins.load("engine", fault.engine)() for fault in made.faults}
            # The project's own modules are importable for its experiments, as `chaos run` has it.
            journal = Journal(folder, observer=view.event)
            try:
                conductor = Conductor(
                    made,
                    journal,
                    clock=SystemClock(),
                    engines=engines,
                    probers=probers,
                    scrub=scrub,
                    marks=lab,
                    load=sends(scrub) if sends else None,
                    cycle=cycle if cycle is not None else drill.cycle,
                )
                stopping.on_signal = conductor.stop
                view.began(made, conductor)
                async with _guarded(folder, conductor):
                    completion = await conductor.run(folder.name, _versions(), trigger)
            finally:
                stopping.on_signal = None
                journal.close()
    view.say("writing the reports")
    try:
        return replace(finish(folder), stopped=stopping.count > 0)
    except EnvironmentFault as error:
        if completion is Completion.UNSAFE:
            # A report that cannot be written must not hide a fault that is still in place.
            raise FaultLeftInPlace(str(error), instructions=conductor.instructions) from error
        raise


def finish(folder: Path, *, only: str | None = None) -> Finished:
    """
    Read a run's journal and write its reports beside it.

    Raises:
        EnvironmentFault: The journal is missing or damaged, or a report cannot be written.
    """
    from drill.assemble import assemble

    history = replay(folder)
    record = assemble(history)
    files = []
    for name in sorted(plugins.installed("report")):
        if only is None or name == only:
            report = plugins.load("report", name)()
            path = folder / report.filename
            try:
                path.write_bytes(report.render(record, history))
            except OSError as error:
                raise EnvironmentFault(f"the report {path} cannot be written: {error.strerror}") from error
            files.append(path)
    return Finished(folder, record, tuple(files))


def run_id(drill: str) -> str:
    """A name for a run that sorts by time and never repeats: 20261121-154903-region-failover-1a2b."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-{re.sub(r'[^A-Za-z0-9._-]', '-', drill)}-{secrets.token_hex(2)}"


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
async def _lab(drill: Drill, view: View, on: Path | str | None, stopping: _Signals) -> AsyncIterator[Any]:
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
    coming = asyncio.ensure_future(labs.up(drill.lab, progress=lambda text: view.say(f"waiting: {text}")))

    def stop(reason: str) -> None:
        coming.cancel()

    stopping.on_signal = stop
    try:
        lab = await coming
    except asyncio.CancelledError:
        raise Refused("stopped while the lab was coming up; nothing was broken") from None
    finally:
        stopping.on_signal = None
    try:
        yield lab
    finally:
        view.say("bringing the lab down")
        await lab.down()


@asynccontextmanager
async def _guarded(folder: Path, conductor: Conductor) -> AsyncIterator[None]:
    """A guardian beside the run; when it dies, the run is stopped."""
    guardian = Guardian(folder)

    def stop(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            conductor.stop(str(task.exception()), "guardian")

    beating = asyncio.create_task(guardian.beat())
    beating.add_done_callback(stop)
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.to_thread(guardian.dismiss)


class _Signals:
    """SIGINT, SIGTERM and SIGHUP stop the run; a second one does not lose the undo."""

    def __init__(self) -> None:
        self.on_signal: Callable[[str], None] | None = None
        self.count = 0

    def __enter__(self) -> _Signals:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._signalled, number)
        return self

    def __exit__(self, *exc: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _signalled(self, number: signal.Signals) -> None:
        self.count += 1
        if self.on_signal:
            self.on_signal(f"stopped by a person ({number.name})")


def _under_test(drill: Drill, on: Path | str | None) -> str | None:
    """
    What only one drill at a time may touch: the system, and on a shared lab that lab.

    None for a lab of the run's own, which nobody else can touch.
    """
    if on is not None:
        from drill import lab as labs

        return f"{drill.system}@{labs.find(str(on)).folder.name}"
    return None if drill.lab else drill.system


@contextmanager
def _one_at_a_time(system: str | None, environment: Mapping[str, str]) -> Iterator[None]:
    """
    Hold the system's lock: one drill at a time per system on this machine.

    Raises:
        Refused: Another drill is at it.
    """
    if system is None:
        yield
        return
    state = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    path = Path(state) / "drill" / "locks" / f"{system}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFault(f"the lock {path} cannot be taken: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 100, 0).decode(errors="replace").strip()
            raise Refused(
                f"another drill of the system {system} is going on (process {holder or 'unknown'})",
                hint="one drill at a time per system: wait for it to end",
            ) from None
        os.truncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)
