"""
drill, killed by its own hand at one exact line of its journal.

    python tests/torture/dying.py N before|torn|after alone|both ARGUMENTS OF DRILL …

N counts lines other than samples, from 0. With `both`, the guardian is killed first.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from drill import cli, journal
from drill.model import AnyEvent, Samples

_append = journal.Journal.append
_seen = 0


def die(*, both: bool) -> None:
    for entry in Path("/proc").glob("[0-9]*/cmdline") if both else ():
        with suppress(OSError):
            words = entry.read_bytes().split(b"\0")
            if b"drill.guardian" in words and str(os.getpid()).encode() in words:
                os.kill(int(entry.parent.name), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    number, how, both = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "both"

    def append(self: journal.Journal, event: AnyEvent) -> None:
        global _seen
        if isinstance(event, Samples):
            _append(self, event)
            return
        here, _seen = _seen == number, _seen + 1
        if here and how == "torn":
            line = journal.encode(event, self._previous)
            os.write(self._fd, line[: len(line) // 2])
        if here and how != "after":
            die(both=both)
        _append(self, event)
        if here:
            die(both=both)

    journal.Journal.append = append  # type: ignore[method-assign]  # so that no line of drill knows of its tests
    cli.main(sys.argv[4:])


if __name__ == "__main__":
    main()
