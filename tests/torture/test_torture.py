"""A seeded part of the torture: the whole of it is `make torture`."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.torture import cases
from tests.torture.__main__ import carried_out, trial
from tests.torture.worlds import listening

SEED = 20261121
HOWS = ("before", "torn", "after")


@pytest.mark.timeout(600)
def test_however_a_drill_is_killed_nothing_stays_broken(tmp_path: Path) -> None:
    """At records of its journal and at random instants, alone and with its guardian, frozen, on a full disk."""
    draw = random.Random(SEED)
    with listening() as port:
        lasts, records = trial(tmp_path, port, times=1)
        planned = [("random", case, draw.randrange(10**9)) for case in cases.AT_RANDOM.values()]
        planned += [("random", cases.conductor, draw.randrange(10**9)) for _ in range(3)]
        for n, number in enumerate(range(draw.randrange(4), records, 4)):
            make = cases.record_both if n % 3 == 0 else cases.record
            planned.append(("record", make(number, draw.choice(HOWS)), 0))
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda case: carried_out(tmp_path, port, *case, lasts), planned))

    amiss = {f"{each.kind} at {each.at}": each.amiss for each in found if each.amiss}
    assert not amiss, json.dumps(amiss, indent=1)
    assert sum(each.was_broken for each in found) >= len(found) // 5
