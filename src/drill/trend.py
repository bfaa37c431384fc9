"""
What repeated runs prove, and whether a run is worse than those before it. Pure.

Nothing here assumes a normal curve: failovers have several typical times, so
quantiles come from order statistics, and shares from the binomial distribution.

Sources:
    C. Clopper, E. S. Pearson, "The use of confidence or fiducial limits", Biometrika 26 (1934).
    E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, fsum, log, sqrt

from drill.model import Bounds

CONFIDENCE = 0.95
LEAST_RUNS = 5  # before a run can be an outlier
BASELINE = 10  # runs from which CUSUM learns what is normal
WORSE = 1.25
SLACK = 0.5  # in standard deviations: half of the shift to be found
ALARM = 5.0
LEAST_SD = 0.03  # of ln: runs alike to the microsecond must not make three per cent an alarm


def proved(runs: int, met: int, confidence: float = CONFIDENCE) -> float:
    """
    The share of such runs within their target, at least, by the Clopper–Pearson lower bound.

    0.05 ** (1/n) when all of n were.

    Raises:
        ValueError: *met* is not from 0 to *runs*, or *confidence* not between 0 and 1.
    """
    if not 0 <= met <= runs:
        raise ValueError(f"met must be from 0 to {runs}, not {met}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if met == 0:
        return 0.0
    if met == runs:
        return float((1 - confidence) ** (1 / runs))
    low, high = 0.0, met / runs
    for _ in range(60):
        middle = (low + high) / 2
        # The chance of so many or more, were the share no larger than this.
        if _at_least(met, runs, middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


def runs_needed(share: float, confidence: float = CONFIDENCE) -> int:
    """How many runs without a miss prove that at least *share* of them are within the target."""
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    runs = 1
    while (1 - confidence) ** (1 / runs) < share:
        runs += 1
    return runs


def quantile_bound(uppers: Sequence[int], share: float, confidence: float = CONFIDENCE) -> int | None:
    """
    What a *share* of all such runs stays within, at the given confidence; None: not estimable from so few.

    The smallest of the sorted upper bounds that is not below the true quantile
    with that confidence: the 9th of 10 for the median, the maximum of 59 for the 95th percentile.
    """
    runs = len(uppers)
    # The k-th smallest lies below the quantile only if k or more of the runs do.
    rank = next((k for k in range(1, runs + 1) if _at_least(k, runs, share) <= 1 - confidence), None)
    return None if rank is None else sorted(uppers)[rank - 1]


def _at_least(k: int, n: int, p: float) -> float:
    """The chance of k or more successes in n trials of probability p each."""
    return fsum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def far_worse(run: Bounds, before: Sequence[Bounds]) -> bool:
    """
    The first rule: surely a quarter worse than the worst of the last runs.

    Never with fewer than five runs before it; those that never recovered must not be among them.
    """
    uppers = _recovered(before)
    return len(uppers) >= LEAST_RUNS and run.lower > WORSE * max(uppers)


@dataclass(frozen=True, slots=True)
class Shift:
    """
    Where the sum of deviations stands after a run.

    Attributes:
        z: How far the run's logarithm lies above the baseline's mean, in standard deviations.

        sum: What has added up beyond the slack, never below 0.
    """

    z: float
    sum: float

    @property
    def alarm(self) -> bool:
        return self.sum > ALARM


def cusum(runs: Sequence[Bounds], baseline: int = BASELINE) -> list[Shift]:
    """
    The second rule: small changes that add up, in the runs after the first *baseline* ones.

    Empty without more runs than that. The baseline is fixed, so that a slow
    drift cannot become the norm by being slow.

    Raises:
        ValueError: *baseline* is below 10: so few say nothing of their spread.
    """
    if baseline < BASELINE:
        raise ValueError(f"a baseline has at least {BASELINE} runs, not {baseline}")
    _recovered(runs)
    logs = [log(max(1, middle(run))) for run in runs]
    norm = logs[:baseline]
    if len(logs) <= baseline:
        return []
    mean = fsum(norm) / baseline
    sd = max(sqrt(fsum((each - mean) ** 2 for each in norm) / (baseline - 1)), LEAST_SD)
    found: list[Shift] = []
    total = 0.0
    for each in logs[baseline:]:
        z = (each - mean) / sd
        total = max(0.0, total + z - SLACK)
        found.append(Shift(z, total))
    return found


def middle(run: Bounds) -> float:
    """What trends follow: the midpoint. Gates use the upper bound."""
    if run.upper is None:
        raise ValueError("a run that never recovered has no midpoint: leave it out")
    return (run.lower + run.upper) / 2


def _recovered(runs: Sequence[Bounds]) -> list[int]:
    uppers = [run.upper for run in runs if run.upper is not None]
    if len(uppers) < len(runs):
        raise ValueError("a run that never recovered has no upper bound: leave it out")
    return uppers
