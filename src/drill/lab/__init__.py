"""
Labs: real systems on one machine to break.

`up` brings one up, `find` finds one that runs, `Lab` talks to it. Everything
of a lab belongs to its keeper (`drill.lab.keeper`) and ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill.errors import EnvironmentFault

ENVIRONMENT = "DRILL_LAB"
_CARD = "lab.json"


@dataclass(eq=False)
class Lab:
    """
    A running lab, seen from outside.

    Attributes:
        name: What people call it.

        folder: Everything it is lies here; gone when the lab is down.

        endpoints: Addresses by name, as `${…}` in probes takes them.

        seconds: How long it took to come up; None for a lab that was found.
    """

    name: str
    folder: Path
    endpoints: dict[str, str]
    seconds: float | None = None
    # Its standard input is held open while we own the lab: it ends when we do, however we end.
    _keeper: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    # What `marks` would tell, had it happened.
    tells: tuple[str, ...] = ("detected", "decided", "promoted", "routed", "redundant")

    async def ask(self, verb: str, *, answer_within: float = 10, **arguments: Any) -> dict[str, Any]:
        """
        Have the keeper do one thing (`drill.lab.verbs`); the answer must come in *answer_within* seconds.

        Raises:
            EnvironmentFault: It could not be done, or the lab is gone.
        """
        from drill.lab import control

        return await control.ask(self.folder, {"verb": verb, **arguments}, within=answer_within)

    def ask_now(self, verb: str, *, answer_within: float = 10, **arguments: Any) -> dict[str, Any]:
        """The same for code that is not asynchronous."""
        from drill.lab import control

        return control.ask_now(self.folder, {"verb": verb, **arguments}, within=answer_within)

    async def status(self) -> dict[str, Any]:
        """Roles, lag, who serves, links and processes; plain data."""
        return await self.ask("status")

    async def marks(self, since_ns: int = 0) -> list[dict[str, Any]]:
        """What the lab saw happen to itself since then: {name, lower, upper, source, text}, monotonic nanoseconds."""
        found: list[dict[str, Any]] = (await self.ask("marks", since=since_ns))["marks"]
        return found

    async def down(self, within: float = 20) -> None:
        """
        End the lab and wait until no process and no file of it is left.

        Raises:
            EnvironmentFault: Something is left after *within* seconds.
        """
        from drill.lab import process

        try:
            await self.ask("down")
        except EnvironmentFault:
            # Nobody answers: whatever is left of it goes all the same.
            await asyncio.to_thread(process.sweep, self.folder)
            process.remove(self.folder)
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            await asyncio.to_thread(self._keeper.wait)
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while self.folder.exists() or process.belonging(self.folder):
            if loop.time() > until:
                raise EnvironmentFault(f"the lab in {self.folder} is not gone after {within:g} s")
            await asyncio.sleep(0.02)
        _forget(self.folder)


async def up(
    name: str = "two-regions",
    folder: Path | None = None,
    *,
    attached: bool = True,
    progress: Callable[[str], None] = lambda sentence: None,
) -> Lab:
    """
    Bring a lab up and return once it is healthy.

    Attached, it ends with this process, however that ends; detached, it stays until `down`.
    *progress* hears one sentence at a time. Cancelling it leaves nothing behind.

    Raises:
        EnvironmentFault: The folder is in use, or the lab did not come up; with the tail of the log that says why.
    """
    _clear_abandoned()
    folder = _make(folder, name)
    log = folder / "keeper.log"
    keeper = _start_keeper(folder, name, "attached" if attached else "detached", log)
    assert keeper.stdin is not None
    ready: dict[str, Any] | None = None
    try:
        ready = await _await_ready(keeper, progress, log)
    finally:
        if ready is None:
            keeper.stdin.close()
            await asyncio.shield(asyncio.to_thread(keeper.wait))
            _forget(folder)
    if attached:
        return Lab(name, folder, ready["ready"], ready["seconds"], keeper)
    keeper.stdin.close()
    # Not ours any more: nobody is to wait for it, or to be warned that nobody did.
    keeper.returncode = 0
    return Lab(name, folder, ready["ready"], ready["seconds"])


def _start_keeper(folder: Path, name: str, mode: str, log: Path) -> subprocess.Popen[bytes]:
    from drill.lab import process

    with log.open("ab") as sink:
        return subprocess.Popen(
            [str(word) for word in process.python("drill.lab.keeper", folder, name, mode)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            bufsize=0,
            start_new_session=True,
            env={**os.environ, process.MARK: str(folder / "keeper")},
        )


async def _await_ready(keeper: subprocess.Popen[bytes], progress: Callable[[str], None], log: Path) -> dict[str, Any]:
    from drill.lab import process

    lines = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), keeper.stdout
    )
    try:
        while text := await lines.readline():
            said: dict[str, Any] = json.loads(text)
            if "error" in said:
                raise EnvironmentFault(f"the lab did not come up: {said['error']}")
            if "ready" in said:
                return said
            progress(said["progress"])
    finally:
        pipe.close()
    raise EnvironmentFault(f"the lab's keeper ended while it came up\n{process.tail(log)}")


def find(folder_or_name: str | os.PathLike[str] | None = None) -> Lab:
    """
    The running lab in a folder, of a name, or named by the environment (DRILL_LAB); or the only one that runs.

    Raises:
        EnvironmentFault: There is none, or more than one when nothing says which.
    """
    wanted = folder_or_name or os.environ.get(ENVIRONMENT)
    if wanted is None:
        labs = running()
        if len(labs) == 1:
            return labs[0]
        if labs:
            raise EnvironmentFault(
                f"{len(labs)} labs are running: {', '.join(str(lab.folder) for lab in labs)}",
                hint=f"say which, or set {ENVIRONMENT}",
            )
        raise EnvironmentFault("no lab is running", hint="drill lab up")
    if os.sep in str(wanted):
        lab = _read(Path(wanted))
        if lab is None:
            raise EnvironmentFault(f"no lab is running in {wanted}", hint="drill lab up")
        return lab
    named = [lab for lab in running() if str(wanted) in (lab.name, lab.folder.name)]
    if len(named) != 1:
        raise EnvironmentFault(
            f"{len(named) or 'no'} labs named {wanted} are running", hint="give its folder" if named else "drill lab up"
        )
    return named[0]


def running() -> list[Lab]:
    """Every lab of this user that answers, oldest first."""
    found = []
    for link in sorted(_root().iterdir(), key=lambda path: path.lstat().st_mtime_ns):
        lab = _read(link.resolve() if link.is_symlink() else link)
        if lab is not None:
            found.append(lab)
        elif link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)
    return found


def _read(folder: Path) -> Lab | None:
    from drill.lab import control

    try:
        card = json.loads((folder / _CARD).read_text())
        control.ask_now(folder, {"verb": "marks", "since": sys.maxsize}, within=5)
    except (OSError, ValueError, EnvironmentFault):
        return None
    return Lab(card["name"], folder.resolve(), card["endpoints"])


# --- folders --------------------------------------------------------------------------------------------------


def _root() -> Path:
    """
    Where labs of this user lie, or are linked to: on a disk, because a database's promise to
    have written is worth nothing in memory, and short, because some paths must be.
    """
    root = Path(tempfile.gettempdir()) / f"drill-{os.getuid()}"
    # Others may pass through (PostgreSQL may run as another account), not look.
    root.mkdir(mode=0o711, exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.getuid():
        raise EnvironmentFault(f"{root} belongs to somebody else", hint="set TMPDIR to a folder of your own")
    return root


def _make(folder: Path | None, name: str) -> Path:
    token = f"{name}-{secrets.token_hex(3)}"
    if folder is None:
        made = _root() / token
        made.mkdir(mode=0o700)
    else:
        made = folder.resolve()
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(made.iterdir()):
            raise EnvironmentFault(f"the folder {made} is not empty", hint="a lab wants a folder of its own")
        (_root() / token).symlink_to(made)
    from drill.lab import process

    process.account().own(made)
    return made


def _clear_abandoned() -> None:
    """Finish off labs whose keeper and janitor died together, of a power cut or a killed session."""
    from drill.lab import process

    for entry in _root().iterdir():
        if process.abandoned(entry.resolve()):
            process.sweep(entry.resolve())
            process.remove(entry.resolve())
        if entry.is_symlink() and not entry.exists():
            entry.unlink(missing_ok=True)


def _forget(folder: Path) -> None:
    for link in _root().iterdir():
        if link.is_symlink() and link.resolve() == folder:
            link.unlink(missing_ok=True)
