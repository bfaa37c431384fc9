"""
The end of an experiment's process when drill is gone, by whatever means.

drill holds the write end of a pipe. A small process beside the experiment
waits for that end to close unsaid and then kills the experiment's whole process
group: a thread could not (an activity may sit in C code), and a signal to the
experiment alone would leave what it started alive.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import time

_PR_SET_PDEATHSIG = 1

# Written by drill when the experiment has come to its end: what it started on purpose (a load generator) may go on.
RELEASE = b"."

# In the environment of all that a fault starts, so that aborting it finds what left the process group.
MARK = "DRILL_EXPERIMENT"


def hold(life: int) -> None:
    """Tie this process, the leader of its group, to the pipe end *life*; forks, so call it before any thread starts."""
    group = os.getpid()
    with contextlib.suppress(OSError, AttributeError):
        # Faster than the watcher, but for this process only.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    watched, alive = os.pipe()
    os.set_inheritable(alive, False)
    between = os.fork()
    if between == 0:
        # Twice forked: an activity that waits for any child of its own must not meet this one.
        if os.fork() == 0:
            os.close(alive)
            _watch(life, watched, group)
        os._exit(0)
    os.waitpid(between, 0)
    os.close(watched)
    os.close(life)


def _watch(life: int, watched: int, group: int) -> None:
    os.setsid()
    # Above all the connection to drill: held here, it would never be seen to end.
    first, second = sorted((life, watched))
    for low, high in ((3, first), (first + 1, second), (second + 1, 1024)):
        os.closerange(low, high)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gone = select.poll()
    gone.register(life, select.POLLIN | select.POLLHUP)
    gone.register(watched, select.POLLHUP)
    ended = {fd for fd, _ in gone.poll()}
    if life not in ended:
        # The experiment has ended, by itself or of the same death as drill: drill's end of the pipe will tell.
        gone.unregister(watched)
        gone.poll()
    if os.read(life, 1) != RELEASE:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        kill_marked(os.environ.get(MARK, ""))
    os._exit(0)


def kill_marked(mark: str) -> int:
    """
    Kill every process that carries *mark* in its environment: what an activity moved to a session of its own.

    Returns how many there were; what they had just begun to start may still come.
    """
    if not mark:
        return 0
    wanted, found = f"{MARK}={mark}".encode(), 0
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/environ", "rb") as environment:
                marked = wanted in environment.read().split(b"\0")
            if marked:
                os.kill(int(entry), signal.SIGKILL)
                found += 1
    return found


def end_marked(mark: str, within_s: float = 5.0) -> None:
    """`kill_marked` until nothing carries the mark any more, or *within_s* has passed."""
    end = time.monotonic() + within_s
    while kill_marked(mark) and time.monotonic() < end:
        time.sleep(0.01)
