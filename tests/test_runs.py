"""What several runs prove together: never more than so many runs can."""

from __future__ import annotations

from dataclasses import replace as changed
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.assemble import assemble
from drill.model import Measure
from drill.record import Record
from drill.runs import ORDER, summarise
from tests.reports.worlds import Story, refused, region_failover, unsafe

S = 1_000_000_000
SHORT = Story(periods=20.0, lost=0)


@cache
def run(kind: str) -> Record:
    """One run of a kind; with a recovery time of 22 s against a target of 30 s, 10 s or one between the bounds."""
    if kind == "refused":
        return assemble(refused())
    if kind == "unsafe":
        return assemble(unsafe())
    targets = {"met": 60 * S, "missed": 10 * S, "inconclusive": 60 * S}
    story = changed(SHORT, targets={Measure.RTO: targets[kind]})
    record = assemble(region_failover(story))
    objectives = [msgspec.structs.replace(record.objectives[0], verdict=kind)]
    return msgspec.structs.replace(record, result=kind, objectives=objectives, cycle_s=20.0, delay_s=1.0)


@pytest.mark.parametrize(
    ("clean", "share"), [(1, 0.05), (3, 0.368), (5, 0.549), (10, 0.741), (14, 0.807), (29, 0.901), (59, 0.95)]
)
def test_clean_runs_prove_what_the_table_says(clean: int, share: float) -> None:
    """The table of measurement.md, section 8, rounded down and never up."""
    (proved,) = summarise([run("met")] * clean, clean).proved

    assert proved.at_least == share
    assert f"at least {share * 100:g} % of such failovers" in proved.says


def test_half_of_ten_runs_is_told_and_of_three_is_not() -> None:
    """The median is bounded by the ninth of ten; three runs do not bound it at all."""
    ten, three = summarise([run("met")] * 10, 10).proved[0], summarise([run("met")] * 3, 3).proved[0]

    assert (ten.median_s, three.median_s) == (run("met").objectives[0].upper_s, None)


# The first run of each kind is measured once, which takes its time.
@settings(deadline=None)
@given(st.lists(st.sampled_from(["met", "missed", "inconclusive", "refused", "unsafe"]), min_size=1, max_size=8))
def test_the_worst_run_is_the_result_of_all(kinds: list[str]) -> None:
    """Unsafe before aborted before missed before inconclusive before met, whatever the order of the runs."""
    found = summarise([run(kind) for kind in kinds], len(kinds))

    worst = min(kinds, key=ORDER.index)
    assert (found.result, found.exit_code) == (
        worst,
        {"met": 0, "missed": 1, "inconclusive": 3, "refused": 4, "unsafe": 5}[worst],
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from(["met", "missed", "inconclusive"]), min_size=1, max_size=8))
def test_a_run_that_is_not_clean_never_proves_more(kinds: list[str]) -> None:
    """A run that decided nothing never raises the share that is proved; a clean one never lowers it."""
    before = summarise([run(kind) for kind in kinds], 9).proved[0].at_least
    worse = summarise([run(kind) for kind in [*kinds, "inconclusive"]], 9).proved[0].at_least
    better = summarise([run(kind) for kind in [*kinds, "met"]], 9).proved[0].at_least

    assert before is not None
    assert worse is not None
    assert better is not None
    assert worse <= before <= better


def test_a_run_that_broke_nothing_is_no_trial() -> None:
    """A refused run proves nothing of failovers, and is said to."""
    found = summarise([run("met"), run("refused")], 2)

    assert [each.trials for each in found.proved if each.id == "rto"] == [1]
    assert "1 run broke nothing and proves nothing." in found.limits


def test_a_run_that_could_not_be_reported_counts() -> None:
    """What left no record of its own decides the result all the same."""
    assert summarise([run("met")], 3, "run 2 could not begin", "aborted").exit_code == 4
    assert summarise([run("met")], 3, "run 2 could not be reported", "unsafe").exit_code == 5


def test_an_objective_of_a_run_that_was_cut_short_is_not_clean() -> None:
    """It was met until somebody stopped the run, which proves nothing of the rest."""
    stopped = msgspec.structs.replace(run("met"), result="aborted")
    proved = summarise([run("met"), stopped], 2).proved[0]

    assert (proved.trials, proved.met, proved.inconclusive, proved.median_s) == (2, 1, 1, None)
