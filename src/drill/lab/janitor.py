"""
Cleans up when a keeper is gone, by whatever means.

    python -m drill.lab.janitor FOLDER

Standard input is a pipe from the keeper: its end is the keeper's end. Carries
no mark and stands outside the folder, so that it never ends itself.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from drill.lab import process


def main() -> None:
    folder = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    process.sweep(folder, within=60)
    # A child between fork and exec carries no mark yet; nothing new can begin after it.
    time.sleep(0.2)
    process.sweep(folder, within=60)
    process.remove(folder)


if __name__ == "__main__":
    main()
