"""Where the drills of one user leave word for each other: locks, which runs are live, and that none may begin."""

from __future__ import annotations

import getpass
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault, Refused

_STOPPED = "stopped.json"
_SAID = "stops.log"
ABORT = "abort.json"  # in a run's folder: somebody wants that run to end


def folder(environment: Mapping[str, str]) -> Path:
    """This user's folder for what drills remember; it need not exist."""
    state = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # as its specification has it
        state = os.path.expanduser("~/.local/state")
    return Path(state) / "drill"


def private(path: Path) -> Path:
    """The folder *path*, made for this user alone. Raises EnvironmentFault when it cannot be."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"the folder {path} cannot be made: {error.strerror}",
            hint="set XDG_STATE_HOME to a folder that can be written",
        ) from error
    return path


# --- who is live ------------------------------------------------------------------------------------------------


def enter(state: Path, run: Path) -> None:
    """Say that *run* has begun. What cannot be said is only harder to find for `drill abort`."""
    with suppress(EnvironmentFault):
        write(private(state / "live") / run.name, {"folder": str(run.resolve())})


def leave(state: Path, run: Path) -> None:
    """Say that *run* is over."""
    with suppress(OSError):
        (state / "live" / run.name).unlink(missing_ok=True)


def entered(state: Path) -> list[Path]:
    """Folders of the runs that began and never said that they were over, oldest first."""
    listed = state / "live"
    found = []
    for path in sorted(listed.iterdir()) if listed.is_dir() else []:
        told = read(path)
        if told is not None and isinstance(told.get("folder"), str):
            found.append(Path(told["folder"]))
    return found


# --- orders to end ------------------------------------------------------------------------------------------------


def order(why: str) -> dict[str, Any]:
    """Who orders something, when, from where and why."""
    return {
        "by": _user(),
        "host": socket.gethostname(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "why": why,
    }


def abort(run: Path, why: str) -> None:
    """Order the run in *run* to end. Raises EnvironmentFault when its folder cannot be written."""
    write(run / ABORT, order(why))


def stop_all(state: Path, why: str) -> dict[str, Any]:
    """Order every run of this user to end, and that none may begin; what was ordered."""
    said = order(why)
    write(private(state) / _STOPPED, said)
    _remember(state, {"said": "stop-all", **said})
    return said


def resume(state: Path, why: str) -> dict[str, Any] | None:
    """Let drills begin again; what had stopped them, or None when nothing had."""
    said = stopped(state)
    try:
        (state / _STOPPED).unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"{state / _STOPPED} cannot be removed: {error.strerror}") from error
    if said is not None:
        _remember(state, {"said": "resume", **order(why)})
    return said


def stopped(state: Path) -> dict[str, Any] | None:
    """Who said `drill stop-all`, when and why, while it holds. A word that cannot be read holds as well."""
    path = state / _STOPPED
    return (read(path) or {}) if os.path.lexists(path) else None


def told(run: Path) -> dict[str, Any] | None:
    """Who said `drill abort` of this run, when and why."""
    path = run / ABORT
    return (read(path) or {}) if os.path.lexists(path) else None


def refuse_if_stopped(state: Path) -> None:
    """
    Raises:
        Refused: `drill stop-all` was said, and not yet `drill resume`.
    """
    said = stopped(state)
    if said is not None:
        raise Refused(
            f"drill stop-all holds: {sentence(said)}",
            hint="nothing was broken; once it is safe: drill resume",
        )


def sentence(said: Mapping[str, Any]) -> str:
    """Who, when and why, in words."""
    who = f"{said.get('by', 'somebody')} on {said.get('host', 'this machine')}"
    return f"said by {who} at {said.get('at', 'an unknown time')}, {said.get('why') or 'no reason given'}"


# --- files -------------------------------------------------------------------------------------------------------


def write(path: Path, value: dict[str, Any]) -> None:
    """Write a small private file; it is on disk, whole, when this returns. Raises EnvironmentFault."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path) -> dict[str, Any] | None:
    """What such a file says; None when it says nothing that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _remember(state: Path, said: dict[str, Any]) -> None:
    """Keep for later who stopped everything and who let it go on."""
    with suppress(OSError), (state / _SAID).open("a", encoding="utf-8") as file:
        file.write(json.dumps(said) + "\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in containers
        return str(os.geteuid())
