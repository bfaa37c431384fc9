"""
The programs that drill is measured beside.

`hey` and `prometheus-blackbox-exporter` are Debian packages. Where they are not installed, apt-get downloads them
(it checks their signatures) and they are unpacked into build/: nothing is installed, nothing is started, no root.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.rows import Say

UNPACKED = Path(__file__).parents[1] / "build" / "peers"


def find(package: str, say: Say) -> str | None:
    """The program of a Debian package, by the package's name; None, said aloud, when it cannot be had."""
    found = shutil.which(package) or shutil.which(str(UNPACKED / "usr" / "bin" / package))
    if found is None and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        _download(package)
        found = shutil.which(str(UNPACKED / "usr" / "bin" / package))
    if found is None:
        say(f"{package} is not here and could not be downloaded, so nothing is beside us: apt-get install {package}")
    return found


def _download(package: str) -> None:
    UNPACKED.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["apt-get", "download", package], cwd=UNPACKED, capture_output=True, check=False).returncode:
        return
    for archive in UNPACKED.glob(f"{package}_*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, UNPACKED], capture_output=True, check=False)
