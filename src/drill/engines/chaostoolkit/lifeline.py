"""
The end of an experiment's process when drill is gone, by whatever means.

drill holds the write end of a pipe. A small process beside the experiment
waits for that end to close and then kills the experiment's whole process
group: a thread could not (an activity may sit in C code), and a signal to the
experiment alone would leave what it started alive.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal

_PR_SET_PDEATHSIG = 1


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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    gone = select.poll()
    gone.register(life, select.POLLHUP)
    gone.register(watched, select.POLLHUP)
    ended = {fd for fd, _ in gone.poll()}
    if life not in ended:
        # The experiment ended by itself, or died of the same death as drill a moment ago.
        gone.unregister(watched)
        ended = {fd for fd, _ in gone.poll(1000)}
    if life in ended:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)
