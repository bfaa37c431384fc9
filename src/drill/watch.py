"""
What the samples so far say, while the run goes on: is the baseline good, is service back, must we stop?

Only when to go on is decided here, by the same rules as the measurement; what
was measured is decided later, from the journal. No input or output.
"""

from __future__ import annotations

from drill.measure import redundancy_parameters, resolve, sustained
from drill.model import SECOND, Condition, Guard, Outcome, Parameters, Plan, Probe, Sample, Window

_IN_A_ROW = 3  # failures of a guarded probe that are no hiccup
_BLIND_PERIODS = 10
_BLIND_NS = 10 * SECOND
_AGAIN = SECOND // 2  # judging thousands of samples more often would disturb the sampling


class Watch:
    """
    Gathers the samples of one run.

    Attributes:
        fault: The window of the first fault, from its first action until it was made; None before.

        latest: The same of the latest fault: what is awaited is awaited after all of it.
    """

    def __init__(self, plan: Plan) -> None:
        self.fault: Window | None = None
        self.latest: Window | None = None
        self._plan = plan
        self._samples: dict[str, list[Sample]] = {probe.name: [] for probe in plan.probes}
        self._judged: dict[tuple[str, Condition], tuple[int, bool]] = {}

    def fault_begins(self, at: int) -> None:
        """A fault is about to be carried out. What was found out before says nothing about it."""
        self.latest = Window(at, at)
        self.fault = self.fault or self.latest
        self._judged.clear()

    def fault_is_made(self, at: int) -> None:
        """The fault that began last has been carried out."""
        assert self.latest is not None
        assert self.fault is not None
        made = Window(self.latest.lower, at)
        self.fault = made if self.fault == self.latest else self.fault
        self.latest = made
        self._judged.clear()

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

    def violated(self, guard: Guard, now: int, began: int = 0) -> str | None:
        """
        Why a guard stops the drill, as one sentence; None while it does not.

        Of a drill that *began* then. What the samples tell counts from the fault on, but for metrics:
        one that is beyond its limit is a reason not to begin.
        """
        if guard.max_duration is not None and now - began > guard.max_duration:
            return f"guard: the drill has lasted for more than {guard.max_duration / SECOND:g} s"
        if guard.metric:
            return self._beyond(guard, self._plan.probe(guard.metric), now)
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

    def _beyond(self, guard: Guard, probe: Probe, now: int) -> str | None:
        """Whether a metric has been beyond its limit for long enough, or could not be read for so long."""
        samples = self._samples[probe.name]
        # A guard that is blind guards nothing; a few lost answers are no blindness.
        blind_after = max(guard.lasting, _BLIND_PERIODS * probe.every + probe.deadline, _BLIND_NS)
        since = latest = None
        for sample in reversed(samples):
            if sample.value is None or sample.sent is None:
                continue
            latest = latest or sample
            if not _is_beyond(guard, sample.value):
                break
            since = sample.sent
            if latest.sent is not None and latest.sent - since >= guard.lasting:
                limit = f"above {guard.above:g}" if guard.above is not None else f"below {guard.below:g}"
                lasting = f" for {guard.lasting / SECOND:g} s" if guard.lasting else ""
                return f"guard: {probe.name} is {latest.value:g}, {limit}{lasting}"
        seen = latest.sent if latest is not None else samples[0].planned if samples else None
        if seen is not None and now - seen > blind_after:
            return f"guard: {probe.name} has given no value for more than {blind_after / SECOND:g} s"
        return None

    def _back(self, probe: Probe, condition: Condition, now: int) -> bool:
        """Whether a probe is good and has stayed so since the latest fault was made, judged at most twice a second."""
        assert self.fault is not None
        assert self.latest is not None
        judged_at, back = self._judged.get((probe.name, condition), (0, False))
        if now - judged_at >= _AGAIN:
            # What is still in flight may yet fail: judge only what has had its whole deadline.
            settled = now - probe.deadline - 2 * probe.every
            rules = self._parameters(probe, condition)
            back = not self._failed_lately(probe, settled, rules) and self._sustained(probe, settled, rules)
            self._judged[probe.name, condition] = now, back
        return back

    def _sustained(self, probe: Probe, settled: int, rules: Parameters) -> bool:
        assert self.fault is not None
        assert self.latest is not None
        # An outage that was over before the latest fault's last action says nothing about what that action does.
        since = Window(self.latest.upper, self.latest.upper)
        seen = [sample for sample in self._samples[probe.name] if sample.planned <= settled]
        return all(sustained(seen, window, probe.every, rules) for window in (since, self.fault))

    def _failed_lately(self, probe: Probe, settled: int, rules: Parameters) -> bool:
        """Whether a failure within the last hold rules recovery out: seen at once, however long the outage was."""
        assert self.fault is not None
        if rules.onset_ratio or rules.recovery_ratio:
            return False
        since = settled - resolve(rules, probe.every).hold
        for sample in reversed(self._samples[probe.name]):
            if sample.planned < since - probe.deadline:
                return False
            if sample.outcome is Outcome.FAILED and sample.sent is not None and sample.sent > since:
                return (sample.ended or sample.sent) >= self.fault.lower
        return False

    def _parameters(self, probe: Probe, condition: Condition) -> Parameters:
        return self._plan.parameters if condition is Condition.RECOVERY else redundancy_parameters(probe.every)

    def _bad_since_fault(self, name: str) -> bool:
        since = self.latest.lower if self.latest else 0
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


def _is_beyond(guard: Guard, value: float) -> bool:
    return (guard.above is not None and value > guard.above) or (guard.below is not None and value < guard.below)
