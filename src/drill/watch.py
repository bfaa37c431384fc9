"""
What the samples so far say, while the run goes on: is the baseline good, is service back, must we stop?

Only when to go on is decided here, by the same rules as the measurement; what
was measured is decided later, from the journal. No input or output.
"""

from __future__ import annotations

from drill.measure import redundancy_parameters, sustained
from drill.model import SECOND, Condition, Guard, Outcome, Parameters, Plan, Probe, Sample, Window

_IN_A_ROW = 3  # failures of a guarded probe that are no hiccup
_AGAIN = SECOND // 2  # judging thousands of samples more often would disturb the sampling


class Watch:
    """
    Gathers the samples of one run.

    Attributes:
        fault: The window of the first fault action; None before.
    """

    def __init__(self, plan: Plan) -> None:
        self.fault: Window | None = None
        self._plan = plan
        self._samples: dict[str, list[Sample]] = {probe.name: [] for probe in plan.probes}
        self._judged_at: dict[str, int] = {}
        self._sustained: dict[str, bool] = {}

    def add(self, probe: str, samples: tuple[Sample, ...]) -> None:
        """Note samples in the order they ended."""
        self._samples[probe].extend(samples)

    def unhealthy(self) -> str | None:
        """Why the baseline is not good, as one sentence; None when every judged probe was ok throughout."""
        for name in self._plan.judged:
            samples = self._samples[name]
            failed = [sample for sample in samples if sample.outcome is Outcome.FAILED]
            if failed:
                return (
                    f"the baseline is unhealthy: {len(failed)} of {len(samples)} samples of {name} failed "
                    f"(last: {failed[-1].detail})"
                )
            if not any(sample.outcome is Outcome.OK for sample in samples):
                why = samples[-1].detail if samples else "none was sent"
                return f"the baseline shows nothing: no sample of {name} was answered during the watch ({why})"
        return None

    def holds(self, condition: Condition, now: int) -> bool:
        """Whether what an await step waits for is so."""
        if condition is Condition.IMPACT:
            return any(self._bad_since_fault(name) for name in self._plan.judged)
        names = self._plan.judged if condition is Condition.RECOVERY else self._plan.redundancy
        return all(self._back(self._plan.probe(name), condition, now) for name in names)

    def violated(self, guard: Guard, now: int) -> str | None:
        """Why a guard stops the drill, as one sentence; None while it does not. Guards watch from the fault on."""
        if self.fault is None:
            return None
        if guard.probe:
            decided = [s for s in self._samples[guard.probe][-50:] if s.outcome is not Outcome.UNKNOWN][-_IN_A_ROW:]
            if len(decided) == _IN_A_ROW and all(sample.outcome is Outcome.FAILED for sample in decided):
                return f"guard: {guard.probe} failed {_IN_A_ROW} times in a row ({decided[-1].detail})"
        if guard.max_outage is not None:
            for name in self._plan.judged:
                if self._down_for(name, now) > guard.max_outage:
                    return f"guard: {name} has been down for more than {guard.max_outage / SECOND:g} s"
        return None

    def _back(self, probe: Probe, condition: Condition, now: int) -> bool:
        """Whether a probe is good and has stayed so, judged at most twice a second."""
        assert self.fault is not None
        if now - self._judged_at.get(probe.name, 0) >= _AGAIN:
            self._judged_at[probe.name] = now
            # What is still in flight may yet fail: judge only what has had its whole deadline.
            settled = now - probe.deadline - 2 * probe.every
            seen = [s for s in self._samples[probe.name] if s.planned <= settled]
            self._sustained[probe.name] = sustained(seen, self.fault, probe.every, self._parameters(probe, condition))
        return self._sustained.get(probe.name, False)

    def _parameters(self, probe: Probe, condition: Condition) -> Parameters:
        return self._plan.parameters if condition is Condition.RECOVERY else redundancy_parameters(probe.every)

    def _bad_since_fault(self, name: str) -> bool:
        since = self.fault.lower if self.fault else 0
        return any(s.outcome is Outcome.FAILED and (s.sent or s.planned) >= since for s in self._samples[name])

    def _down_for(self, name: str, now: int) -> int:
        """How long nothing good was seen of a probe that is failing; nanoseconds."""
        assert self.fault is not None
        last_bad = last_good = None
        for sample in reversed(self._samples[name]):
            if sample.outcome is Outcome.FAILED and last_bad is None:
                last_bad = sample.sent
            if sample.outcome is Outcome.OK:
                last_good = sample.sent
                break
        if last_bad is None or (last_good is not None and last_good > last_bad):
            return 0
        return now - max(last_good or 0, self.fault.lower)
