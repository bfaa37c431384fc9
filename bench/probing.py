"""
How many HTTP probes a second one core sends on time, beside `hey` and prometheus-blackbox-exporter.

drill sends open loop and journals every sample; the rate counts only while 99 % of the requests leave within 5 ms of
when they were planned. hey and the exporter plan nothing: theirs is the most they get done on the same core against the
same server. Processor time per probe is beside it, because it hardly depends on what else the machine does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import peers
from bench.rows import Row, Say, main, on_core, percentile, ratio
from drill.clock import SystemClock
from drill.journal import Journal
from drill.model import MILLISECOND, SECOND, Outcome, Probe, Sample, Samples
from drill.probes.http import HttpProbe
from drill.probes.sampler import Sampler

GOAL = 2_000
LATE_MS = 5.0
LIKELY = 800
LOWEST = 50
SAMPLERS = 20
TICK = os.sysconf("SC_CLK_TCK")


def measure(quick: bool, say: Say) -> list[Row]:
    seconds = 1.0 if quick else 6.0
    rows = []
    with serving() as port:
        for connection in ("fresh", "pooled"):
            best = highest(port, connection, seconds, quick, say)
            for name, found in (
                ("hey", hey(port, connection, seconds, say)),
                ("prometheus-blackbox-exporter", exporter(port, seconds, say) if connection == "fresh" else None),
            ):
                if found is None and connection == "pooled" and name != "hey":
                    continue  # the exporter keeps no connections
                rows += compared(best, name, found, connection, quick)
    return rows


# Probes a second (None: at no rate on time) and processor seconds per probe.
Rate = tuple[float | None, float]


def compared(best: Rate, name: str, peer: Rate | None, connection: str, quick: bool) -> list[Row]:
    what = f"HTTP probes a second on one core, {connection} connections"
    rate = best[0]
    note = f"99 % sent within {LATE_MS:g} ms; the most {name} gets done"
    note += "" if rate else f"; drill was not on time at the lowest rate tried, {LOWEST}/s"
    reached = None if quick else rate is not None and rate >= GOAL
    mine, theirs = best[1] * 1e6, peer[1] * 1e6 if peer else None
    return [
        Row(what, rate, name, peer[0] if peer else None, ratio(rate, peer and peer[0]), f"{GOAL:,}", reached, note),
        Row(f"the same, processor µs per probe, {connection}", mine, name, theirs, ratio(mine, theirs)),
    ]


# --- drill ----------------------------------------------------------------------------------------------------------


def highest(port: int, connection: str, seconds: float, quick: bool, say: Say) -> Rate:
    """The highest rate at which drill is on time: from a likely one up by a quarter until it is not, or down to one."""
    best: Rate = (None, 0.0)
    rate, missed = float(LIKELY), 0
    while LOWEST <= rate < 20_000:
        found = drill(port, connection, rate, seconds)
        on_time = found["late_p99_ms"] <= LATE_MS and found["ok"] >= 0.999 * found["planned"]
        say(
            f"drill, {connection}, {rate:.0f}/s: p99 {found['late_p99_ms']:.1f} ms late, "
            f"{found['us']:.0f} µs a probe, {found['ok']:.0f} of {found['planned']:.0f} ok"
        )
        if on_time:
            best, missed = (found["rate"], found["us"] / 1e6), 0
        else:
            missed += 1
            best = best if best[0] else (None, found["us"] / 1e6)
        if quick or (missed == 2 and best[0]):
            break
        # One late try may be the machine's: once more before giving up.
        rate = rate * 1.25 if on_time else rate if missed == 1 else rate / 2
    return best


def drill(port: int, connection: str, rate: float, seconds: float) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.probing", "--child", str(port), connection, str(rate), str(seconds)]
    return dict(json.loads(subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout))


async def sample(port: int, connection: str, rate: float, seconds: float) -> dict[str, float]:
    """Sample as a drill does: samplers, probes, journal; in this process."""
    clock = SystemClock()
    seen: list[Sample] = []
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name) / "run")

        def sink(probe: str, batch: tuple[Sample, ...]) -> None:
            journal.append(Samples(at=clock.now(), probe=probe, samples=batch))
            seen.extend(batch)

        running = []
        for n in range(SAMPLERS):
            options = {"url": f"http://127.0.0.1:{port}/", "connection": connection}
            probe = Probe(
                name=f"p{n}", kind="http", every=int(SECOND * SAMPLERS / rate), deadline=SECOND, options=options
            )
            prober = HttpProbe(probe)
            await prober.open()
            running.append((Sampler(probe, prober, clock, sink), prober))
        gc.collect()
        gc.freeze()
        began, used = time.monotonic(), time.process_time()
        tasks = [asyncio.create_task(sampler.run()) for sampler, _ in running]
        await asyncio.sleep(seconds)
        for sampler, _ in running:
            sampler.stop()
        await asyncio.gather(*tasks)
        took, used = time.monotonic() - began, time.process_time() - used
        for _, prober in running:
            await prober.close()
        journal.close()
    late = [(each.sent - each.planned) / MILLISECOND for each in seen if each.sent is not None]
    ok = sum(each.outcome is Outcome.OK for each in seen)
    return {
        "planned": len(seen),
        "ok": ok,
        "rate": ok / took,
        "late_p99_ms": percentile(late, 0.99),
        "us": used / max(len(seen), 1) * 1e6,
    }


# --- beside it ------------------------------------------------------------------------------------------------------


def hey(port: int, connection: str, seconds: float, say: Say) -> Rate | None:
    """The most that hey gets done on one core with twenty workers."""
    program = peers.find("hey", say)
    if program is None:
        return None
    keep = ["-disable-keepalive"] if connection == "fresh" else []
    argv = [program, "-z", f"{seconds:g}s", "-c", str(SAMPLERS), *keep, f"http://127.0.0.1:{port}/"]
    started = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: on_core(0))
    assert started.stdout is not None
    said = started.stdout.read()
    _, _, usage = os.wait4(started.pid, 0)
    done = sum(int(n) for n in re.findall(r"\[200\]\t(\d+) responses", said))
    if not done:
        say(f"hey got nothing done: {said[:200]}")
        return None
    say(f"hey, {connection}: {done / seconds:.0f}/s")
    return done / seconds, (usage.ru_utime + usage.ru_stime) / done


def exporter(port: int, seconds: float, say: Say) -> Rate | None:
    """The most probes that the exporter gets done on one core, asked for them by hey on the other."""
    program, asking = peers.find("prometheus-blackbox-exporter", say), peers.find("hey", say)
    if program is None or asking is None:
        return None
    with tempfile.TemporaryDirectory() as name, blackbox(program, Path(name)) as (address, pid):
        url = f"http://{address}/probe?target=http://127.0.0.1:{port}/&module=plain"
        if b"probe_success 1" not in urllib.request.urlopen(url, timeout=10).read():
            say("the exporter's probe does not succeed")
            return None
        before = processor_s(pid)
        argv = [asking, "-z", f"{seconds:g}s", "-c", "8", url]
        said = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: on_core(1)).stdout
        used = processor_s(pid) - before
    done = sum(int(n) for n in re.findall(r"\[200\]\t(\d+) responses", said))
    if not done:
        return None
    say(f"the exporter: {done / seconds:.0f}/s")
    return done / seconds, used / done


@contextmanager
def blackbox(program: str, folder: Path) -> Iterator[tuple[str, int]]:
    """The exporter on a free port: its address and process."""
    configuration = folder / "blackbox.yml"
    configuration.write_text("modules: {plain: {prober: http, timeout: 1s, http: {preferred_ip_protocol: ip4}}}\n")
    argv = [program, f"--config.file={configuration}", "--web.listen-address=127.0.0.1:0", "--log.level=info"]
    started = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: on_core(0))
    try:
        assert started.stderr is not None
        for said in started.stderr:
            if found := re.search(r"127\.0\.0\.1:[1-9]\d*", said):
                yield found[0], started.pid
                return
        raise SystemExit("the exporter did not say where it listens")
    finally:
        started.kill()
        started.wait()


def processor_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def serving() -> Iterator[int]:
    """The quick server, on the other core."""
    argv = [sys.executable, "-m", "bench.quick_server"]
    pipe = subprocess.PIPE
    started = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, preexec_fn=lambda: on_core(1))
    try:
        assert started.stdout is not None
        yield int(started.stdout.readline())
    finally:
        started.kill()
        started.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        on_core(0)
        print(json.dumps(asyncio.run(sample(int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), float(sys.argv[5])))))
    else:
        main(measure)
