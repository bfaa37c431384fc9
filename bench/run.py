"""
Every benchmark, one after the other, each in a process of its own; then results.json and the table in README.md.

    python -m bench.run [--quick] [NAME …]

A quick run prints its rows and leaves both files alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.rows import Row, cells_of, line

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
README = HERE / "README.md"
NAMES = ("accuracy", "probing", "ledger", "verification", "report", "startup", "overhead", "restoring")
HEADS = ("what", "drill", "beside", "it", "ratio", "goal", "reached", "note")
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(NAMES)}; all of them without")
    options.add_argument("--quick", action="store_true", help="small sizes: shows that each works, proves nothing")
    chosen = options.parse_args()
    unknown = sorted(set(chosen.names) - set(NAMES))
    if unknown:
        options.error(f"there is no benchmark named {unknown[0]}; there are {', '.join(NAMES)}")
    failed = False
    for name in chosen.names or NAMES:
        print(f"{name}", file=sys.stderr, flush=True)
        before = machine()
        rows = one(name, quick=chosen.quick)
        if rows is None:
            failed = True
            continue
        for row in rows:
            print(line(row), flush=True)
        if not chosen.quick:
            keep(name, before, rows)
    if not chosen.quick:
        README.write_text(with_table(README.read_text(), json.loads(RESULTS.read_text())))
    return 1 if failed else 0


def one(name: str, *, quick: bool) -> list[Row] | None:
    """The rows of one benchmark; None when it failed, which it has then said itself."""
    argv = [sys.executable, "-m", f"bench.{name}", "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(argv, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        print(f"  {name} failed (exit {done.returncode}); its old results stay", file=sys.stderr)
        return None
    return [Row(**row) for row in json.loads(done.stdout)]


def machine() -> dict[str, object]:
    """What the numbers depend on, before a benchmark begins."""
    found = "an unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [text.partition(":")[2].strip() for text in cpuinfo.read_text().splitlines() if "model name" in text]
        found = models[0] if models else found
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": found,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
    }


def keep(name: str, before: dict[str, object], rows: list[Row]) -> None:
    """Put one benchmark's rows in the place of its old ones."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[name] = {"machine": before, "rows": [asdict(row) for row in rows]}
    RESULTS.write_text(json.dumps({each: kept[each] for each in NAMES if each in kept}, indent=2) + "\n")


def with_table(readme: str, results: dict[str, dict[str, object]]) -> str:
    """The README with one table per benchmark in the place of the old ones."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "".join(section(name, found) for name, found in results.items()) + "\n" + END + tail


def section(name: str, found: dict[str, object]) -> str:
    on = found["machine"]
    assert isinstance(on, dict)
    rows = found["rows"]
    assert isinstance(rows, list)
    cores = "1 core" if on["cores"] == 1 else f"{on['cores']} cores"
    busy = f"load {on['load_before']} when it began"
    said = f"{on['date']}, {on['processor']}, {cores}, {busy}, {on['system']}, Python {on['python']}"
    table = [HEADS, ("---",) * len(HEADS), *(cells_of(Row(**row)) for row in rows)]
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in table)
    return f"\n### {name}\n\n{said}\n\n{lines}"


if __name__ == "__main__":
    sys.exit(main())
