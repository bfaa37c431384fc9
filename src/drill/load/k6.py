"""A k6 script as the load: k6's own JSON stream, counted by the second."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time

import msgspec

from drill.load import Order, Said
from drill.load.count import Tally

_PR_SET_PDEATHSIG = 1


def command(order: Order) -> list[str]:
    """k6 with its measurements on standard output; the script decides what is sent, unless users are asked for."""
    users = [step.users for step in order.load.steps if step.users]
    # Longer than any drill: it is ended, it does not end.
    given = ["--vus", str(users[0]), "--duration", "24h"] if users else []
    # The variables of `environment:` are in its environment; k6 shows those to scripts by itself.
    return ["k6", "run", "--quiet", "--no-summary", "--out", "json=-", *given, str(order.script)]


def send(order: Order, said: int) -> None:
    """Run the script until standard input ends, telling each second on the descriptor *said*."""
    libc = ctypes.CDLL(None)

    def with_us() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    process = subprocess.Popen(command(order), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=with_us)
    threading.Thread(target=_until_hung_up, args=(process,), daemon=True).start()
    tally, lock = Tally(order.number, order.start), threading.Lock()
    users = [0]
    threading.Thread(target=_tell, args=(tally, lock, users, said), daemon=True).start()
    assert process.stdout is not None
    for line in process.stdout:
        with lock:
            take(line, tally, users)
    code = process.wait()
    with lock:
        os.write(said, msgspec.json.encode(Said(ended=f"k6 ended with exit code {code}")) + b"\n")
    sys.exit(1)


def take(line: bytes, tally: Tally, users: list[int]) -> None:
    """
    Count one line of k6's stream.

    Source:
        https://grafana.com/docs/k6/latest/results-output/real-time/json/
    """
    try:
        point = json.loads(line)
        metric, data = point["metric"], point["data"]
        if point["type"] != "Point":
            return
        value = float(data["value"])
    except (ValueError, KeyError, TypeError):
        return
    if metric == "vus":
        users[0] = round(value)
    if metric == "http_req_duration":
        tags = data.get("tags") or {}
        good = tags.get("expected_response", "true") == "true" and not tags.get("error_code")
        error = "" if good else tags.get("error") or f"status {tags.get('status', 'unknown')}"
        tally.sent()
        tally.ended(round(value * 1_000_000), error)


def _tell(tally: Tally, lock: threading.Lock, users: list[int], said: int) -> None:
    while True:
        time.sleep(0.05)
        with lock:
            for second, errors in tally.take(time.monotonic_ns(), users[0]):
                os.write(said, msgspec.json.encode(Said(second=second, errors=errors)) + b"\n")


def _until_hung_up(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    process.kill()
    os._exit(0)
