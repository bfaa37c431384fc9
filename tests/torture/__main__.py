"""
Kill drills in every way, at every record and at random instants, and see that nothing stays broken.

    python -m tests.torture [--seed N] [--kills N] [--jobs N] [--only WORD]

Prints each failure as it comes, then a table; exit code 1 when there was any.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture import cases, lab
from tests.torture.cases import PROMISED_S, Case, Found
from tests.torture.worlds import listening, world

# Shares of the random kills.
WEIGHTS = {
    "conductor": 0.5,
    "both": 0.15,
    "guardian": 0.08,
    "guardian_frozen": 0.04,
    "child": 0.08,
    "power": 0.05,
    "next_run": 0.04,
    "frozen": 0.04,
    "disk": 0.04,
    "damaged": 0.06,
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=None, help="the same instants again; default: new ones")
    options.add_argument("--kills", type=int, default=300, help="at random instants, on top of those at every record")
    options.add_argument("--jobs", type=int, default=3)
    options.add_argument("--only", default="", help="kinds whose name contains this")
    chosen = options.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="drill-torture-") as name, listening() as port:
        lasts, records = trial(Path(name), port)
        print(f"a drill lasts {lasts:.1f} s and writes {records} records beside its samples", flush=True)
        listed = [each for each in planned(seed, chosen.kills, records) if chosen.only in each[0]]
        with ThreadPoolExecutor(chosen.jobs) as pool:
            for n, each in enumerate(pool.map(lambda case: carried_out(Path(name), port, *case, lasts), listed), 1):
                found.append(each)
                if each.amiss:
                    print(f"\nAMISS {each.kind} at {each.at}:\n  " + "\n  ".join(each.amiss), flush=True)
                if n % 20 == 0:
                    print(f"{n} of {len(listed)}, {sum(bool(each.amiss) for each in found)} amiss", flush=True)
    if chosen.only in "lab":
        print("on the lab", flush=True)
        for each in lab.torture(seed):
            found.append(each)
            said = "AMISS " + "\n  ".join(each.amiss) if each.amiss else "well"
            print(f"{each.kind} at {each.at}: {said}", flush=True)
    table(found)
    return 1 if any(each.amiss for each in found) else 0


def trial(parent: Path, port: int, times: int = 2) -> tuple[float, int]:
    """How long a drill that nobody kills goes on until its journal ends, seconds, and how many records it writes."""
    from drill.journal import NAME, salvage

    took, records = [], 0
    for _ in range(times):  # the first one finds a machine whose files are not in memory
        with world(parent, port) as made:
            began = time.time()
            run = made.drills("run", made.drill)
            run.wait()
            folders = made.run_folders()
            if run.returncode not in (0, 3) or not folders:
                raise SystemExit(f"the drill itself does not work (exit {run.returncode}): {made.output()}")
            took.append((folders[0] / NAME).stat().st_mtime - began)
            records = len(salvage(folders[0])[0].events)
    return min(took), records


def planned(seed: int, kills: int, records: int) -> Iterator[tuple[str, Case, int]]:
    """Every case with its own seed."""
    for number in range(records):
        for how in ("before", "torn", "after"):
            yield f"record {how}", cases.record(number, how), 0
        yield "record both", cases.record_both(number, ("before", "torn", "after")[number % 3]), 0
    draw = random.Random(seed)
    for _ in range(kills):
        kind = draw.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
        yield f"random {kind}", cases.AT_RANDOM[kind], draw.randrange(10**9)


def carried_out(parent: Path, port: int, name: str, case: Case, seed: int, lasts: float) -> Found:
    with world(parent, port) as made:
        try:
            found = case(made, random.Random(seed), lasts)
        except Exception as error:
            found = Found(name, f"seed {seed}", [f"the case itself failed: {error!r}"])
    return found


def table(found: list[Found]) -> None:
    """For each way to kill: how often, how often something was broken, how long it took, what was amiss."""
    print(f"\n{'killed':42} {'times':>6} {'broken':>7} {'median':>8} {'longest':>8} {'late':>5} {'amiss':>6}")
    for kind in sorted({each.kind for each in found}):
        those = [each for each in found if each.kind == kind]
        took = sorted(each.took_s for each in those if each.was_broken)
        middle, longest = (f"{took[len(took) // 2]:.2f} s", f"{took[-1]:.2f} s") if took else ("", "")
        late = sum(each > PROMISED_S for each in took)
        amiss = sum(bool(each.amiss) for each in those)
        print(f"{kind:42} {len(those):6} {len(took):7} {middle:>8} {longest:>8} {late:5} {amiss:6}")
    print(f"{'all':42} {len(found):6} {sum(each.was_broken for each in found):7}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
