"""
Three who watch the same outages: drill's sampler, a closed loop as a script around curl is one, and Chaos Toolkit.

    python -m bench.watchers drill|loop|chaos OUT EVERY_MS DEADLINE_MS PORT …

Each watches every port until its standard input ends, then writes to OUT, for each port, what it saw: drill its
samples, the others [began, ended, good] of each check, all in nanoseconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import multiprocessing
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from drill.model import MILLISECOND, Probe, Sample

Check = tuple[int, int, bool]


# --- drill ----------------------------------------------------------------------------------------------------------


async def drill(ports: list[int], every_ms: float, deadline_ms: float) -> list[list[Sample]]:
    """A probe that writes numbers, so that the server can tell when it looked at which."""
    from drill.clock import SystemClock
    from drill.probes.http import HttpProbe
    from drill.probes.sampler import Sampler

    seen: dict[str, list[Sample]] = {str(port): [] for port in ports}
    running = []
    for port in ports:
        options = {"write": {"url": f"http://127.0.0.1:{port}/?id=${{id}}", "acknowledged": {"json": {"ok": True}}}}
        every, deadline = int(every_ms * MILLISECOND), int(deadline_ms * MILLISECOND)
        probe = Probe(name=str(port), kind="http", every=every, deadline=deadline, options=options, writes=True)
        prober = HttpProbe(probe)
        await prober.open()
        sampler = Sampler(
            probe, prober, SystemClock(), lambda name, batch: seen[name].extend(batch), ids=iter(numbers())
        )
        running.append((sampler, prober))
    gc.collect()
    gc.freeze()
    tasks = [asyncio.create_task(sampler.run()) for sampler, _ in running]
    await asyncio.to_thread(sys.stdin.read)
    for sampler, _ in running:
        sampler.stop()
    await asyncio.gather(*tasks)
    for _, prober in running:
        await prober.close()
    return list(seen.values())


def numbers() -> range:
    return range(1, 1 << 40)


# --- a script's loop ------------------------------------------------------------------------------------------------


def loop(port: int, every_s: float, deadline_s: float, ended: threading.Event, seen: list[Check]) -> None:
    """Ask, wait for the answer or the deadline, sleep a period, and again: what a script around curl does."""
    while not ended.is_set():
        began = time.monotonic_ns()
        good = False
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=deadline_s)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            good = response.status == 200 and json.loads(response.read()) == {"ok": True}
        except (OSError, http.client.HTTPException, ValueError):
            good = False
        finally:
            connection.close()
        seen.append((began, time.monotonic_ns(), good))
        time.sleep(every_s)


def loops(ports: list[int], every_ms: float, deadline_ms: float) -> list[list[Check]]:
    ended = threading.Event()
    seen: list[list[Check]] = [[] for _ in ports]
    threads = [
        threading.Thread(target=loop, args=(port, every_ms / 1000, deadline_ms / 1000, ended, found))
        for port, found in zip(ports, seen, strict=True)
    ]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    return seen


# --- Chaos Toolkit --------------------------------------------------------------------------------------------------


def chaos(ports: list[int], every_ms: float, deadline_ms: float) -> list[list[Check]]:
    """One run per port, in a process each: its hypothesis goes on continuously until our standard input ends."""
    context = multiprocessing.get_context("spawn")
    ended, found = context.Event(), context.Queue()
    runs = [context.Process(target=_run, args=(port, every_ms, deadline_ms, ended, found)) for port in ports]
    for run in runs:
        run.start()
    sys.stdin.read()
    ended.set()
    told = dict(found.get() for _ in runs)
    for run in runs:
        run.join()
    return [told[port] for port in ports]


_ended: Any = None


def wait_for_the_end() -> bool:
    """The one action of the experiment."""
    _ended.wait()
    return True


def _run(port: int, every_ms: float, deadline_ms: float, ended: Any, found: Any) -> None:
    import logging

    from chaoslib.run import Runner
    from chaoslib.types import Schedule, Strategy

    global _ended
    _ended = ended
    logging.disable(logging.CRITICAL)
    # The experiment names this module; it must be this very one, which holds the event.
    sys.modules["bench.watchers"] = sys.modules[__name__]
    wall, monotonic = time.time_ns(), time.monotonic_ns()
    probe = {
        "type": "probe",
        "name": "is it good",
        "tolerance": {"type": "regex", "target": "body", "pattern": "true"},
        "provider": {"type": "http", "url": f"http://127.0.0.1:{port}/", "timeout": deadline_ms / 1000},
    }
    experiment = {
        "title": "watch",
        "description": "watch",
        "steady-state-hypothesis": {"title": "it is good", "probes": [probe]},
        "method": [
            {
                "type": "action",
                "name": "wait",
                "provider": {"type": "python", "module": "bench.watchers", "func": "wait_for_the_end"},
            }
        ],
        "rollbacks": [],
    }
    runner = Runner(Strategy.DURING_METHOD, Schedule(continuous_hypothesis_frequency=every_ms / 1000, fail_fast=False))
    journal = runner.run(experiment, settings={})
    states = [state["probes"][-1] | {"good": state["steady_state_met"]} for state in _during(journal)]
    found.put(
        (
            port,
            [
                (_instant(one["start"], wall, monotonic), _instant(one["end"], wall, monotonic), one["good"])
                for one in states
            ],
        )
    )


def _during(journal: Any) -> list[Any]:
    return [state for state in journal["steady_states"]["during"] if state and state["probes"]]


def _instant(said: str, wall: int, monotonic: int) -> int:
    """A time that Chaos Toolkit wrote down (UTC) on the monotonic clock."""
    moment = datetime.fromisoformat(said)
    seconds = (moment - datetime.fromtimestamp(0, moment.tzinfo)).total_seconds()
    return round(seconds * 1e9) - wall + monotonic


def main() -> None:
    who, out, every_ms, deadline_ms = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    ports = [int(port) for port in sys.argv[5:]]
    if who == "drill":
        out.write_bytes(msgspec.json.encode(asyncio.run(drill(ports, every_ms, deadline_ms))))
    else:
        seen = loops if who == "loop" else chaos
        out.write_text(json.dumps(seen(ports, every_ms, deadline_ms)))


if __name__ == "__main__":
    main()
