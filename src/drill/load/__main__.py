"""
One process of a drill's load: `python -m drill.load locust|k6`, told what to send by one JSON line.

It ends when its standard input does. Its standard output carries lines of
`Said`; what a script prints goes to standard error.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    # The kernel's own promise: whoever started this is gone, and so is this.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C on a terminal is for the conductor, who ends the load when the fault is undone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    said = os.dup(1)
    os.dup2(2, 1)
    if sys.argv[1:] == ["k6"]:
        from drill.load.k6 import send
    else:
        # gevent must come before everything that opens a socket.
        from gevent import monkey

        monkey.patch_all()
        from drill.load.users import send
    import msgspec

    from drill.load import Order, Said

    os.write(said, msgspec.json.encode(Said(ready=True)) + b"\n")
    line = _line()
    if line:
        order = msgspec.json.decode(line, type=Order)
        # Whoever died before the promise was made is found here.
        if os.getppid() == order.parent:
            send(order, said)


def _line() -> bytes:
    """One line of standard input, and not a byte more: the rest of it is the end."""
    found = bytearray()
    while not found.endswith(b"\n"):
        more = os.read(0, 1)
        if not more:
            return b""
        found += more
    return bytes(found)


if __name__ == "__main__":
    main()
