"""
Starts Patroni, or its raft witness, so that it dials from its region's own address.

    python -m drill.lab.patroni member|witness ADDRESS CONFIG

Raft knows a node by one address, which all others dial; the network can tell
who is calling only by where the call comes from, and pysyncobj has no setting
for that.
"""

from __future__ import annotations

import socket
import sys
from types import SimpleNamespace
from typing import Any


def _dial_from(address: str) -> None:
    from pysyncobj import tcp_connection

    class FromRegion(socket.socket):
        def connect(self, where: Any) -> None:
            self.bind((address, 0))
            super().connect(where)

    tcp_connection.socket = SimpleNamespace(**{**vars(socket), "socket": FromRegion})


def main() -> None:
    role, address, config = sys.argv[1:]
    _dial_from(address)
    sys.argv = ["patroni", config]
    if role == "witness":
        from patroni.raft_controller import main as run
    else:
        from patroni.__main__ import main as run
    run()


if __name__ == "__main__":
    main()
