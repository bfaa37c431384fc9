"""
The lock of a system, and the number that shuts out whoever held it before.

One file per system. Its lock keeps two drills apart while they live; the number in it grows
with every holder, and whoever acts under an older one finds out before it touches anything:
a conductor that was frozen, and wakes up after somebody else has undone its fault, can do nothing.

The guardian shares the conductor's hold (one open file), so that between the end of the one
and the undo of the other no third can begin.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drill.errors import EnvironmentFault, Refused
from drill.model import Fence

OWN = "lock"  # in the folder of a run that has its lab to itself
# A look takes some microseconds, more on a busy machine; for so long it may stand in the way (seconds).
_LOOKS_S = 0.5
_PAUSE_S = 0.005


class Lock:
    """
    A held lock.

    Attributes:
        fence: The number under which its holder acts.

        previous: Folder of the run that held it before; None when nobody did, or that cannot be read.
    """

    def __init__(self, fd: int, path: Path, previous: Path | None = None, token: int = 0) -> None:
        self.fd = fd
        self.fence = Fence(path=str(path), token=token)
        self.previous = previous

    def renew(self, run: Path | None = None) -> Fence:
        """
        Act under the next number from now on, for *run*; it is on disk when this returns.

        Raises:
            EnvironmentFault: It cannot be written.
        """
        newest, previous = _read(self.fd)
        self.previous = previous if run is None else run
        self.fence = Fence(path=self.fence.path, token=max(newest, self.fence.token) + 1)
        said = f"{self.fence.token:020d}\n{os.getpid()}\n{'' if self.previous is None else self.previous.resolve()}\n"
        try:
            # One write of less than a page: nobody reads half a number.
            os.pwrite(self.fd, said.encode(errors="surrogateescape"), 0)
            os.truncate(self.fd, len(said.encode(errors="surrogateescape")))
            os.fsync(self.fd)
        except OSError as error:
            raise EnvironmentFault(f"the lock {self.fence.path} cannot be written: {error.strerror}") from error
        return self.fence

    def let_go(self) -> None:
        """Let the next one in."""
        path = Path(self.fence.path)
        if path.name == OWN:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # nobody else will ever want it
        os.close(self.fd)


def file_name(name: str) -> str:
    """A name as part of a file's: somebody else's experiment may be called anything."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:100]


def alone(fd: int) -> None:
    """
    Take an open file for its one writer; whoever only looks whether it is taken is waited for, some 0.5 s at most.

    Raises:
        BlockingIOError: Somebody else has it.
        OSError: It cannot be locked here.
    """
    end = time.monotonic() + _LOOKS_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails at once when it is a writer's
            fcntl.flock(fd, fcntl.LOCK_UN)
            if time.monotonic() >= end:
                raise
            # Two who wait must not meet each other for ever.
            time.sleep(random.uniform(0, _PAUSE_S))  # noqa: S311  no secret
        else:
            return


def take(path: Path, whose: str, run: Path | None = None) -> Lock:
    """
    Take the lock *path* of *whose* (in words) under a number of its own, for *run*.

    Raises:
        Refused: Somebody else holds it.
        EnvironmentFault: The file cannot be used.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EnvironmentFault(
            f"the lock {path} cannot be taken: {error.strerror}",
            hint="set XDG_STATE_HOME to a folder that can be written",
        ) from error
    try:
        try:
            alone(fd)
        except BlockingIOError:
            holder = os.pread(fd, 100, 0).decode(errors="replace").split("\n")[1:2]
            raise Refused(
                f"another drill of {whose} is going on (process {(holder or ['unknown'])[0] or 'unknown'})",
                hint="one drill at a time per system: wait for it to end, or drill abort",
            ) from None
        except OSError as error:
            raise EnvironmentFault(f"the lock {path} cannot be taken: {error.strerror}") from error
        lock = Lock(fd, path)
        before = _read(fd)[1]
        lock.renew(run)
        lock.previous = before
    except BaseException:
        os.close(fd)
        raise
    return lock


@contextmanager
def held(path: Path, whose: str, run: Path | None = None) -> Iterator[Lock]:
    """`take`, and let go at the end."""
    lock = take(path, whose, run)
    try:
        yield lock
    finally:
        lock.let_go()


@contextmanager
def of_system(system: str | None, home: Path) -> Iterator[Lock | None]:
    """
    Hold a system's lock: one drill at a time per system on this machine. Without a system, none.

    The file goes on naming the run before until `Lock.renew` names another: whoever holds it has
    to undo that one first, and may die over it.

    Raises:
        Refused: Another drill is at it.
    """
    if system is None:
        yield None
        return
    with held(home / "locks" / f"{file_name(system)}.lock", f"the system {system}") as lock:
        yield lock


def check(fence: Fence | None, *, undoing: bool = False) -> None:
    """
    Whether its holder may still act.

    Raises:
        EnvironmentFault: Somebody took over in the meantime; unless *undoing*, also when nobody can tell.
    """
    if fence is None:
        return
    try:
        newest = newest_of(Path(fence.path))
    except OSError as error:
        if undoing:
            return
        raise EnvironmentFault(f"the lock {fence.path} cannot be read: {error.strerror}; no lock, no fault") from error
    if newest > fence.token or (newest < fence.token and not undoing):
        raise EnvironmentFault(
            f"this drill was taken over by somebody else (number {newest} of {fence.path}, ours is {fence.token})"
        )


def newest_of(path: Path) -> int:
    """The newest number given out by the lock *path*. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read(fd)[0]
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock *path*."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def run_of(path: Path) -> Path | None:
    """The folder of the run that the lock *path* was last taken for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(fd)[1]
    finally:
        os.close(fd)


def _read(fd: int) -> tuple[int, Path | None]:
    """The newest number, and the folder of the run it was given out for."""
    lines = os.pread(fd, 8192, 0).decode(errors="surrogateescape").split("\n")
    if not lines[0]:
        return 0, None
    # What cannot be read must not give out a number twice: no counter comes near the nanoseconds since 1970.
    newest = int(lines[0]) if re.fullmatch(r"[0-9]{1,20}", lines[0]) else time.time_ns()
    return newest, Path(lines[2]) if len(lines) > 3 and lines[2] else None
