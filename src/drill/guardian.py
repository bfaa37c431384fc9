"""
The guardian: a separate process that restores when the conductor is gone.

It starts before the first fault, in a session of its own, so that no Ctrl-C, closed
terminal or kill of the conductor's group reaches it, and holds one end of a pipe.
The conductor sends a beat through the pipe as long as its loop turns. When the
pipe closes (it died) or no beat comes for a lease (it is frozen), the guardian
ends what is left of it, so that it cannot wake up and go on, and restores from
the journal. So it does when a fault is in place for longer than it may be, however
well the conductor is. Told to go, it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from drill.errors import DrillError, EnvironmentFault
from drill.locks import Lock
from drill.model import SECOND, AnyEvent, Prepared, RestoreBegan, Restored

LEASE_S = 5.0  # longest silence of a conductor that is alive
BEAT_S = 1.0
# What a conductor gets on top to undo an expired fault itself, which loses less evidence.
GRACE_S = 5.0
# One line each: a sign of life; go; or when faults expire, as JSON.
_BEAT, _GO = b".\n", b"!\n"


class Guardian:
    """The conductor's end of the pipe."""

    def __init__(self, folder: Path, lock: Lock, *, undoing_s: float = 0.0, lease_s: float = LEASE_S) -> None:
        """
        Start the guardian of the run in *folder*; its journal exists by now.

        It shares the hold of *lock*, so that nobody else begins before it has restored. Undoing
        a fault may take the conductor *undoing_s*.

        Raises:
            EnvironmentFault: It could not be started: no guardian, no fault.
        """
        self._undoing_s = undoing_s
        self._expire: dict[str, int] = {}
        watched, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)  # a guardian that does not read must not hold its conductor up
        orders = (folder, watched, os.getpid(), lease_s, lock.fd, lock.fence.path, lock.fence.token)
        try:
            log = (folder / "guardian.log").open("ab")
            with log:
                # -P: what lies in the working folder is not for it to run, whatever its name.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "drill.guardian", *map(str, orders)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(watched, lock.fd),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._pipe)
            raise EnvironmentFault(
                f"the guardian could not be started: {error.strerror}; no guardian, no fault"
            ) from error
        finally:
            os.close(watched)
        self._folder = folder

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still watches; one that somebody froze does not."""
        return self._process.poll() is None and not _frozen(self.pid)

    def hear(self, event: AnyEvent) -> None:
        """Tell the guardian when faults expire, as the run's events have it."""
        if isinstance(event, Prepared) and event.expires is not None:
            self._expire[event.undo.fault] = event.expires + round(GRACE_S * SECOND)
        elif isinstance(event, RestoreBegan) and event.fault in self._expire:
            # It is at it: only an undo that hangs is late now.
            self._expire[event.fault] = event.at + round((self._undoing_s + GRACE_S) * SECOND)
        elif isinstance(event, Restored):
            self._expire.pop(event.fault, None)
        else:
            return
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._pipe, json.dumps(self._expire).encode() + b"\n")

    async def beat(self) -> None:
        """Renew the lease until cancelled. Raises EnvironmentFault when the guardian has died."""
        while True:
            if not self.alive():
                how = "died" if self._process.poll() is not None else "is frozen"
                raise EnvironmentFault(f"the guardian of this run {how}; no guardian, no fault")
            with contextlib.suppress(BrokenPipeError, BlockingIOError):
                os.write(self._pipe, _BEAT)
            await asyncio.sleep(BEAT_S)

    def dismiss(self) -> None:
        """Nothing is broken any more: let it go."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            os.write(self._pipe, _GO)
        try:
            self._process.wait(timeout=0.1 if _frozen(self.pid) else 10)
        except subprocess.TimeoutExpired:
            # It holds the system's lock with us: what does not go is not left behind.
            self._process.kill()
            self._process.wait()
        os.close(self._pipe)
        with contextlib.suppress(OSError):
            log = self._folder / "guardian.log"
            if log.stat().st_size == 0:
                log.unlink()


def _frozen(pid: int) -> bool:
    """Whether a process stands still (SIGSTOP); False where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in ("T", "t")
    except OSError:
        return False


class Observer:
    """Passes the journal's events on to whoever looks on: the view, and once there is one, the guardian."""

    def __init__(self, *hear: Callable[[AnyEvent], None]) -> None:
        self.hear = list(hear)

    def __call__(self, event: AnyEvent) -> None:
        for hear in self.hear:
            # A closed terminal must not keep the guardian from hearing.
            with contextlib.suppress(Exception):
                hear(event)


@contextlib.asynccontextmanager
async def guarded(
    folder: Path, lock: Lock, observer: Observer, stop: Callable[[str, str], None], *, undoing_s: float
) -> AsyncIterator[None]:
    """A guardian beside the run in *folder*; when it dies, the run is told to *stop*, with why and the cause."""
    guardian = Guardian(folder, lock, undoing_s=undoing_s)

    def died(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            stop(str(task.exception()), "guardian")

    beating = asyncio.create_task(guardian.beat())
    beating.add_done_callback(died)
    observer.hear.append(guardian.hear)
    try:
        yield
    finally:
        observer.hear.remove(guardian.hear)
        beating.cancel()
        await asyncio.to_thread(guardian.dismiss)


def watch(pipe: int, lease_s: float) -> tuple[str, str] | None:
    """
    Wait for the end of the conductor.

    Returns why the guardian must restore, and the word for it in the journal; None when it was told to go.
    """
    until = time.monotonic() + lease_s
    expire: dict[str, int] = {}
    heard = b""
    while True:
        first = min(expire, key=lambda fault: expire[fault], default=None)
        end = until if first is None else min(until, expire[first] / SECOND)
        ready, _, _ = select.select([pipe], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            if first is not None and time.monotonic() >= expire[first] / SECOND:
                return f"{first} has expired and was not undone in time", "expiry"
            if time.monotonic() >= until:
                return f"it gave no sign of life for {lease_s:g} s", "crash"
            continue
        said = os.read(pipe, 65536)
        if not said:
            return "it died", "crash"
        *lines, heard = (heard + said).split(b"\n")
        for line in lines:
            if line + b"\n" == _GO:
                return None
            if line + b"\n" != _BEAT:
                expire = json.loads(line)
        until = time.monotonic() + lease_s


def take_over(folder: Path, conductor: int, why: str, cause: str, lock: Lock) -> int:
    """End what is left of the conductor, restore from the journal, write the reports; the exit code."""
    from drill import locks, restoring
    from drill.journal import is_live
    from drill.run import finish

    print(f"the process {conductor} that ran this drill is no more: {why}; restoring", flush=True)
    try:
        locks.check(lock.fence, undoing=True)
    except EnvironmentFault as error:
        print(f"{error}: nothing is left to us", flush=True)
        return error.exit_code
    try:
        # From here on it can do nothing, should it live on.
        lock.renew(folder)
    except EnvironmentFault as error:
        # A full disk, perhaps: no reason to leave a fault in place.
        print(error, flush=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Frozen is not dead: it must not wake up beside us. The journal's lock tells it from a stranger of that number.
        if is_live(folder):
            os.kill(conductor, signal.SIGKILL)
    _until_free(folder)
    try:
        history = asyncio.run(
            restoring.restore_run(
                folder,
                lambda text: print(text, flush=True),
                lock=lock,
                reason=f"the process that ran the drill was ended: {why}; restored by its guardian"
                if cause == "expiry"
                else f"the process that ran the drill is gone: {why}; restored by its guardian",
                cause=cause,
            )
        )
    except DrillError as error:
        print(error, flush=True)
        code = error.exit_code
    else:
        print("restored" if history else "there was nothing to restore", flush=True)
        code = 0
    with contextlib.suppress(DrillError, OSError):
        finish(folder)
    lock.let_go()
    return code


def _until_free(folder: Path, within_s: float = 5.0) -> None:
    """Wait until the journal's lock is gone with its holder."""
    from drill.journal import is_live

    end = time.monotonic() + within_s
    while is_live(folder) and time.monotonic() < end:
        time.sleep(0.01)


def main(arguments: Sequence[str]) -> int:
    """`python -m drill.guardian FOLDER PIPE CONDUCTOR LEASE LOCK PATH TOKEN`."""
    folder, pipe, conductor, lease = Path(arguments[0]), int(arguments[1]), int(arguments[2]), float(arguments[3])
    lock = Lock(int(arguments[4]), Path(arguments[5]), token=int(arguments[6]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Needed at the worst moment: have it in memory before.
    from drill import plugins, restoring  # noqa: F401

    for engine in plugins.installed("engine"):
        with contextlib.suppress(DrillError):
            plugins.load("engine", engine)

    found = watch(pipe, lease)
    if found is None:
        return 0
    why, cause = found
    return take_over(folder, conductor, why, cause, lock)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
