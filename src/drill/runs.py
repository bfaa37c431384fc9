"""
Several runs of one drill, and what they prove together: never more than that many runs can. Pure.

A run counts as a trial once a fault was carried out, whatever became of it
afterwards: leaving out those that were aborted or decided nothing would leave
out the bad ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

from drill import trend, wording
from drill.model import SECOND, Result
from drill.record import Field, ObjectiveRecord, Record

SCHEMA = "drill-repeat-v1"

# The first that applies to any run is the result of all.
ORDER = ("unsafe", "aborted", "refused", "missed", "inconclusive", "met")

_NEVER = 1 << 62


class ObjectiveRun(Field, frozen=True):
    """What one run measured for one objective: seconds for a duration, else a count or share."""

    id: str
    verdict: str
    lower: float | None
    upper: float | None


class Run(Field, frozen=True):
    """
    One run of several.

    Attributes:
        trial: A fault was carried out.

        delay_s: How long the first fault waited, of the cycle.
    """

    run_id: str
    result: str
    reason: str
    trial: bool
    delay_s: float | None
    objectives: list[ObjectiveRun]


class Proved(Field, frozen=True):
    """
    What the runs prove of one objective, or of all together (`id` "all").

    Attributes:
        trials, met, missed, inconclusive: Runs.

        at_least: At 95 % confidence this share of such runs meets it, 0 to 1, rounded down; null without a trial.

        median_s: At 95 % confidence half of such runs stay within it; null when it is no duration or
            so few runs do not tell.

        says: The same as one sentence.
    """

    id: str
    trials: int
    met: int
    missed: int
    inconclusive: int
    at_least: float | None
    median_s: float | None
    says: str


class Summary(Field, frozen=True):
    """
    Several runs of one drill.

    Attributes:
        asked: How many runs were asked for.

        stopped: Why there are fewer; null when there are not.

        cycle_s: The cycle that the faults were spread over; null when they were not.
    """

    schema: str
    drill: str
    title: str
    system: str
    asked: int
    stopped: str | None
    result: str
    exit_code: int
    cycle_s: float | None
    runs: list[Run]
    proved: list[Proved]
    limits: list[str]


def summarise(records: Sequence[Record], asked: int, stopped: str | None = None, failed: str | None = None) -> Summary:
    """
    What the runs of one drill prove together.

    *failed* is the result of a run that left no record of its own: aborted or unsafe.

    Raises:
        ValueError: There is no record.
    """
    if not records:
        raise ValueError("there is no run to summarise")
    first = records[0]
    results = [record.result for record in records] + ([failed] if failed else [])
    result = next(each for each in ORDER if each in results)
    runs = [_run(record) for record in records]
    trials = [record for record in records if _trial(record)]
    cycles = {record.cycle_s for record in trials}
    return Summary(
        schema=SCHEMA,
        drill=first.drill,
        title=first.title,
        system=first.system,
        asked=asked,
        stopped=stopped,
        result=result,
        exit_code={"met": 0, "missed": 1, "inconclusive": 3, "unsafe": 5}.get(result, 4),
        cycle_s=cycles.pop() if len(cycles) == 1 else None,
        runs=runs,
        proved=list(_proved(trials)),
        limits=list(_limits(records, trials)),
    )


def _trial(record: Record) -> bool:
    return any(fault.injected_at is not None for fault in record.faults)


def _void(record: Record) -> bool:
    """Whether it came to no verdict: then none of its objectives counts as met."""
    return Result(record.result) in wording.VOID


def _named(record: Record, id: str) -> ObjectiveRecord | None:
    return next((each for each in record.objectives if each.id == id), None)


def _run(record: Record) -> Run:
    return Run(
        run_id=record.run_id,
        result=record.result,
        reason=record.reason,
        trial=_trial(record),
        delay_s=record.delay_s,
        objectives=[
            ObjectiveRun(
                id=each.id,
                verdict=each.verdict,
                lower=each.lower if each.target_s is None else each.lower_s,
                upper=each.upper if each.target_s is None else each.upper_s,
            )
            for each in record.objectives
        ],
    )


def _proved(trials: Sequence[Record]) -> Iterator[Proved]:
    """Every objective in the order of the drill, then all of them together."""
    named = {each.id: None for record in trials for each in record.objectives}
    for id in named:
        found = [None if _void(record) else _named(record, id) for record in trials]
        verdicts = [each.verdict if each else "inconclusive" for each in found]
        what = wording.MEASURES[wording.measure_of(id)]
        yield _share(id, f"stay within the target of {what}", verdicts, _median(found))
    if len(named) != 1:
        verdicts = [record.result if record.result in ("met", "missed") else "inconclusive" for record in trials]
        yield _share("all", "meet every objective", verdicts, None)


def _share(id: str, what: str, verdicts: Sequence[str], median: float | None) -> Proved:
    runs, met = len(verdicts), verdicts.count("met")
    # Rounded down: 54.9 % is proved by five clean runs, 55 % is not.
    share = floor(trend.proved(runs, met) * 1000) / 1000 if runs else None
    if share is None:
        says = "no fault was carried out, so nothing is proved"
    elif not met:
        says = f"none of {wording.plural(runs, 'run')} was clean, so nothing is proved"
    else:
        clean = wording.plural(runs, "clean run") if met == runs else f"{met} clean of {wording.plural(runs, 'run')}"
        says = f"{clean}: at 95 % confidence at least {share * 100:g} % of such failovers {what}"
        if median is not None:
            says += f", and half of them take at most {wording.duration(round(median * SECOND), up=True)}"
    return Proved(
        id=id,
        trials=runs,
        met=met,
        missed=verdicts.count("missed"),
        inconclusive=runs - met - verdicts.count("missed"),
        at_least=share,
        median_s=median,
        says=says,
    )


def _median(found: Sequence[ObjectiveRecord | None]) -> float | None:
    """A run without an upper bound took longer than any that has one."""
    if not any(each is not None and each.target_s is not None for each in found):
        return None
    uppers = [_NEVER if each is None or each.upper_s is None else round(each.upper_s * SECOND) for each in found]
    bound = trend.quantile_bound(uppers, 0.5)
    return None if bound is None or bound == _NEVER else bound / SECOND


def _limits(records: Sequence[Record], trials: Sequence[Record]) -> Iterator[str]:
    if len(trials) < len(records):
        yield f"{wording.plural(len(records) - len(trials), 'run')} broke nothing and proves nothing."
    undecided = sum(record.result not in ("met", "missed") for record in trials)
    if undecided:
        yield f"{wording.plural(undecided, 'run')} decided nothing and counts as not clean."
    if trials and any(record.cycle_s is None for record in trials):
        yield (
            "Every fault came at the same moment after the baseline: give cycle: (or --cycle), the longest cycle of "
            "the system, so that faults fall everywhere in it."
        )
    if len({tuple(sorted((file["path"], file["sha256"]) for file in record.plan["files"])) for record in trials}) > 1:
        yield "The drill's files changed between runs: they are not runs of one drill."
    yield "Proved for this drill, on this system as it was configured, and for no other."
