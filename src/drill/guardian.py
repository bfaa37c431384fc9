"""
The guardian: a separate process that restores when the conductor is gone.

It starts before the first fault, in a session of its own, so that no Ctrl-C, closed
terminal or kill of the conductor's group reaches it, and holds one end of a pipe.
The conductor sends a beat through the pipe as long as its loop turns. When the
pipe closes (it died) or no beat comes for a lease (it is frozen), the guardian
ends what is left of it, so that it cannot wake up and go on, and restores from
the journal. Told to go, it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from drill.errors import DrillError, EnvironmentFault

LEASE_S = 5.0  # longest silence of a conductor that is alive
BEAT_S = 1.0
_BEAT, _GO = b".", b"!"


class Guardian:
    """The conductor's end of the pipe."""

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        """
        Start the guardian of the run in *folder*; its journal exists by now.

        Raises:
            EnvironmentFault: It could not be started: no guardian, no fault.
        """
        watched, self._pipe = os.pipe()
        try:
            log = (folder / "guardian.log").open("ab")
            with log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "drill.guardian", str(folder), str(watched), str(os.getpid()), str(lease_s)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(watched,),
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
        """Whether it still watches."""
        return self._process.poll() is None

    async def beat(self) -> None:
        """Renew the lease until cancelled. Raises EnvironmentFault when the guardian has died."""
        while True:
            if not self.alive():
                raise EnvironmentFault("the guardian of this run died; no guardian, no fault")
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, _BEAT)
            await asyncio.sleep(BEAT_S)

    def dismiss(self) -> None:
        """Nothing is broken any more: let it go."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, _GO)
        os.close(self._pipe)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        with contextlib.suppress(OSError):
            log = self._folder / "guardian.log"
            if log.stat().st_size == 0:
                log.unlink()


def watch(pipe: int, lease_s: float) -> str | None:
    """
    Wait for the end of the conductor.

    Returns why the guardian must restore, or None when it was told to go.
    """
    until = time.monotonic() + lease_s
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return f"it gave no sign of life for {lease_s:g} s"
        said = os.read(pipe, 4096)
        if _GO in said:
            return None
        if not said:
            return "it died"
        until = time.monotonic() + lease_s


def take_over(folder: Path, conductor: int, why: str) -> int:
    """End what is left of the conductor, restore from the journal, write the reports; the exit code."""
    from drill import restoring
    from drill.journal import is_live
    from drill.run import finish

    print(f"the process {conductor} that ran this drill is gone: {why}; restoring", flush=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Frozen is not dead: it must not wake up beside us. The journal's lock tells it from a stranger of that number.
        if is_live(folder):
            os.kill(conductor, signal.SIGKILL)
    _until_free(folder)
    try:
        history = asyncio.run(restoring.restore_run(folder, lambda text: print(text, flush=True)))
    except DrillError as error:
        print(error, flush=True)
        code = error.exit_code
    else:
        print("restored" if history else "there was nothing to restore", flush=True)
        code = 0
    with contextlib.suppress(DrillError, OSError):
        finish(folder)
    return code


def _until_free(folder: Path, within_s: float = 5.0) -> None:
    """Wait until the journal's lock is gone with its holder."""
    from drill.journal import is_live

    end = time.monotonic() + within_s
    while is_live(folder) and time.monotonic() < end:
        time.sleep(0.01)


def main(arguments: Sequence[str]) -> int:
    """`python -m drill.guardian FOLDER PIPE CONDUCTOR LEASE`."""
    folder, pipe, conductor, lease = Path(arguments[0]), int(arguments[1]), int(arguments[2]), float(arguments[3])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Needed at the worst moment: have it in memory before.
    from drill import restoring  # noqa: F401

    why = watch(pipe, lease)
    return take_over(folder, conductor, why) if why else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
