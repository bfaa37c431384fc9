"""The same on the real lab: a region cut off and a frozen database; the lab must be whole again."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from drill import lab as labs
from drill.errors import EnvironmentFault
from drill.lab import Lab
from tests.torture import cases
from tests.torture.cases import Case, Found
from tests.torture.worlds import MARK, World, until

ROOT = Path(__file__).parents[2]
DRILL = """
drill: torture-lab
system: orders
lab: two-regions
objectives: {rto: 60s}
probes: [orders-reads]
steps:
  - watch: 1s
  - inject: region-partition
  - watch: 1s
  - inject: postgres-primary-freeze
  - watch: 3s
"""
LASTS_S = 9.0  # seconds until its last watch is over

# Which, how often; each waits for databases to rejoin.
PLAN: tuple[tuple[Case, int], ...] = (
    (cases.conductor, 5),
    (cases.both, 3),
    (cases.power, 2),
    (cases.frozen, 2),
    (cases.guardian, 2),
    (cases.child, 2),
)


def torture(seed: int) -> Iterator[Found]:
    """Every case of the plan on one lab, one after the other."""
    draw = random.Random(seed)
    lab = asyncio.run(labs.up())
    try:
        for case, times in PLAN:
            for _ in range(times):
                with _world(lab) as made:
                    if not until(lambda made=made: not made.broken(), 120, 0.5):  # type: ignore[misc]
                        yield Found("lab", "before", [f"the lab is not whole to begin with: {made.broken()}"])
                        return
                    found = case(made, draw, LASTS_S)
                found.kind = f"lab: {found.kind}"
                yield found
    finally:
        asyncio.run(lab.down())


def broken(lab: Lab) -> list[str]:
    """What is not as it was when the lab came up."""
    try:
        status = lab.ask_now("status", answer_within=20)
    except EnvironmentFault as error:
        return [f"the lab does not answer: {error}"]
    found = [f"{name} is {each['state']}" for name, each in status["processes"].items() if each["state"] != "running"]
    found += [f"a link is not clear: {link}" for link in status["links"]]
    return found or ([] if status["healthy"] else [f"the lab is not whole: {', '.join(status['missing'])}"])


@contextmanager
def _world(lab: Lab) -> Iterator[World]:
    mark = uuid.uuid4().hex
    folder = lab.folder.parent / f"drill-torture-{mark[:8]}"
    folder.mkdir()
    for name in ("experiments", "probes"):
        shutil.copytree(ROOT / name, folder / name)
    for path in (folder / "experiments").glob("*.yaml"):
        # Thawing the database waits in vain as long as its region is cut off: not for two minutes each time.
        path.write_text(path.read_text().replace("within: 120", "within: 60"))
    (folder / "drills").mkdir()
    nothing = subprocess.Popen(["sleep", "100000"], start_new_session=True)
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), MARK: mark}
    made = World(folder, nothing, mark, environment, look=lambda: broken(lab), options=("--on", str(lab.folder)))
    made.settles_s = 300
    made.looks_s = 0.5  # asking all of its servers is work
    made.heals_s = 180  # a new primary is chosen when the old one's lease runs out
    made.drill.write_text(DRILL)
    try:
        yield made
    finally:
        made.kill(made.processes())
        for run in made.started:
            run.wait()
        nothing.kill()
        nothing.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    amiss = 0
    for each in torture(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        amiss += bool(each.amiss)
        said = "; ".join(each.amiss) or "well"
        print(f"{each.kind} at {each.at}: broken {each.was_broken}, {each.took_s:.1f} s, {said}", flush=True)
    sys.exit(1 if amiss else 0)
