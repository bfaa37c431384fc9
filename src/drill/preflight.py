"""Whether a drill would work, found out by looking: nothing is broken, and only probes that read ask anything."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from drill import doctor, locks, plugins, restoring, state
from drill.doctor import Finding
from drill.errors import DrillError, EnvironmentFault
from drill.model import SECOND, Drill, Outcome, Plan, Probe
from drill.spec import references


def without_undo(made: Plan) -> list[str]:
    """Faults whose engine knows of no undo."""
    names = []
    for fault in made.faults:
        told = getattr(plugins.load("engine", fault.engine)(), "undoable", None)
        if told is not None and not told(fault):
            names.append(fault.name)
    return names


def check(drill: Drill, made: Plan, environment: Mapping[str, str]) -> list[Finding]:
    """Every check, in the order in which a run would meet them."""
    return [
        *_machine(drill, environment),
        *_alone(drill, environment),
        *_faults(made),
        *asyncio.run(_probes(made, environment)),
        *_place(made),
    ]


def _machine(drill: Drill, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What of this machine is not well; `drill doctor` has the rest."""
    reports = Path(drill.root) / "reports"
    for about, look in (("reports", doctor.disk), ("clock", doctor.clock)):
        yield from (Finding(about, *found) for found in look(reports, environment) if found[0] is not True)


def _alone(drill: Drill, environment: Mapping[str, str]) -> Iterator[Finding]:
    home = state.folder(environment)
    try:
        state.refuse_if_stopped(home)
    except DrillError as error:
        yield Finding("drills", False, str(error.args[0]), error.hint or "")
    if drill.lab is None and locks.is_held(home / "locks" / f"{locks.file_name(drill.system)}.lock"):
        yield Finding("drills", False, f"another drill of the system {drill.system} is going on", "wait for its end")
    else:
        yield Finding("drills", True, f"no other drill of the system {drill.system} is going on")
    for folder in restoring.unfinished(Path(drill.root) / "reports"):
        yield Finding("drills", None, f"{folder.name} died, and may have left a fault", f"drill restore {folder}")


def _faults(made: Plan) -> Iterator[Finding]:
    for fault in made.faults:
        try:
            # The lab of a lab drill is not up yet; its place is known then.
            ready = msgspec.structs.replace(fault, lab=made.lab) if made.lab else fault
            undo = asyncio.run(plugins.load("engine", fault.engine)().prepare(ready))
        except EnvironmentFault as error:
            yield Finding(fault.name, False, str(error.args[0]), error.hint or "")
            continue
        yield Finding(fault.name, True, "its modules, programs and variables are here")
        if fault.name in without_undo(made):
            yield Finding(fault.name, None, "it declares no rollbacks", "add rollbacks: what it leaves behind stays")
        else:
            yield Finding(fault.name, True, "; ".join(undo.summary))


async def _probes(made: Plan, environment: Mapping[str, str]) -> list[Finding]:
    if made.lab:
        return [Finding("probes", None, f"they can be asked once the lab {made.lab} is up")]
    return [await _probe(probe, environment) for probe in made.probes]


async def _probe(probe: Probe, environment: Mapping[str, str]) -> Finding:
    if probe.writes:
        return Finding(probe.name, None, "it writes, so it was not asked")
    missing: list[str] = []

    def note(name: str) -> None:
        if not name.startswith("env:") and name not in references.PER_REQUEST:
            missing.append(name)

    references.fill(probe.options, note)
    if missing:
        return Finding(probe.name, False, f"it needs ${{{missing[0]}}}", f"give it: --with {missing[0]}=VALUE")
    try:
        references.secrets(probe.options, environment)
        options = references.reveal(probe.options, environment)
        prober = plugins.load("probe", probe.kind)(msgspec.structs.replace(probe, options=options))
        await prober.open()
    except EnvironmentFault as error:
        return Finding(probe.name, False, str(error.args[0]), error.hint or "")
    try:
        answer = await asyncio.wait_for(prober.sample(None), probe.deadline / SECOND)
    except TimeoutError:
        return Finding(probe.name, False, "it got no answer before its deadline", "see that the service is well")
    finally:
        await prober.close()
    if answer.outcome is Outcome.OK:
        return Finding(probe.name, True, "it got a good answer")
    from drill.scrub import Scrubber

    why = Scrubber(references.secrets(probe.options, environment)).text(answer.detail)
    return Finding(probe.name, False, f"it got no good answer: {why}", "see that the service is well")


def _place(made: Plan) -> Iterator[Finding]:
    """A prober that shares the target's fate tells of nothing."""
    if made.lab:
        return
    for probe in made.probes:
        host = _host(probe)
        if host is not None and _here(host):
            yield Finding(
                probe.name,
                None,
                f"it asks {host}, which is this machine: a fault here would take the prober with it",
                "run drill on a machine outside of what it breaks",
            )


def _host(probe: Probe) -> str | None:
    for key in ("url", "host", "address", "dsn"):
        value = probe.options.get(key)
        if isinstance(value, str) and "${" not in value:
            with suppress(ValueError):
                return urlsplit(value).hostname if "://" in value else value.partition(":")[0]
    return None


def _here(host: str) -> bool:
    if host == "localhost" or host == socket.gethostname():
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def data(finding: Finding) -> dict[str, Any]:
    """One finding as data."""
    return {"about": finding.about, "ok": finding.ok, "said": finding.said, "todo": finding.todo}
