"""
A new sample from a real run: reports/sample/, and what `make drill` prints in README.md.

Run it on a machine with nothing else to do: `make sample`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.documents import README, ROOT

SAMPLE = ROOT / "reports" / "sample"
BLOCK = re.compile(r"(<!-- output: make drill -->\n```\n).*?(```)", re.S)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "drill", "run", "drills/region-failover.yaml", "--reports", folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(done.stderr + done.stdout)
        run = next(Path(folder).iterdir())
        shutil.rmtree(SAMPLE, ignore_errors=True)
        SAMPLE.mkdir(parents=True)
        for file in sorted(run.iterdir()):
            # What needs an extra is not what `make drill` leaves.
            if file.is_file() and file.suffix != ".parquet":
                shutil.copyfile(file, SAMPLE / file.name)
        printed = (done.stderr + done.stdout).replace(str(run.parent), "reports").replace("\u00a0", " ")
        lines = "".join(f"{line.rstrip()}\n" for line in printed.splitlines() if ".parquet" not in line)
        README.write_text(BLOCK.sub(lambda found: f"{found[1]}{lines}{found[2]}", README.read_text()))


if __name__ == "__main__":
    main()
