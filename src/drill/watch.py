"""
What the samples so far say, while the run goes on: is the baseline good, is service back, must we stop?

Only when to go on is decided here, by the same rules as the measurement; what
was measured is decided later, from the journal. No input or output.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from drill.measure import redundancy_parameters, resolve
from drill.measure.ongoing import Before, Ongoing
from drill.model import SECOND, Condition, Guard, Outcome, Parameters, Plan, Probe, Sample, Window

_IN_A_ROW = 3  # failures of a guarded probe that are no hiccup
_BLIND_PERIODS = 10
_BLIND_NS = 10 * SECOND
_AGAIN = SECOND // 2  # judging thousands of samples more often would disturb the sampling
_NEWEST = 50  # samples that a guarded probe's last failures are looked for among


@dataclass(slots=True)
class _Seen:
    """
    What is kept of one probe's samples, however many there were.

    Attributes:
        recent: The newest, in the order they ended: as many as any question about now needs.

        before: What became of older ones.

        last_good, last_bad: When the newest good sample was sent, and the newest failed one since.

        newest_bad: The latest instant at which a failed sample counts.

        value: The newest number that was read, and when it was asked for.
    """

    recent: deque[Sample] = field(default_factory=deque)
    before: Before = field(default_factory=Before)
    count: int = 0
    failed: int = 0
    good: bool = False
    why_failed: str = ""
    last_good: int | None = None
    last_bad: int | None = None
    newest_bad: int | None = None
    first_planned: int | None = None
    value: tuple[float, int] | None = None

    def add(self, sample: Sample) -> None:
        self.recent.append(sample)
        self.count += 1
        self.first_planned = sample.planned if self.first_planned is None else self.first_planned
        if sample.outcome is Outcome.OK:
            self.good, self.last_good, self.last_bad = True, sample.sent, None
        elif sample.outcome is Outcome.FAILED:
            self.failed += 1
            self.why_failed = sample.detail
            self.last_bad = self.last_bad if sample.sent is None else sample.sent
            at = sample.sent or sample.planned
            self.newest_bad = at if self.newest_bad is None else max(self.newest_bad, at)
        if sample.value is not None and sample.sent is not None:
            self.value = sample.value, sample.sent

    def forget(self, planned_before: int) -> None:
        while len(self.recent) > _NEWEST and self.recent[0].planned < planned_before:
            self.before.add(self.recent.popleft())


class Watch:
    """
    Follows the samples of one run; what it keeps of them does not grow with the run.

    Attributes:
        fault: The window of the first fault, from its first action until it was made; None before.

        latest: The same of the latest fault: what is awaited is awaited after all of it.
    """

    def __init__(self, plan: Plan) -> None:
        self.fault: Window | None = None
        self.latest: Window | None = None
        self._plan = plan
        self._seen = {probe.name: _Seen() for probe in plan.probes}
        self._rules = {
            (name, condition): plan.parameters
            if condition is Condition.RECOVERY
            else redundancy_parameters(plan.probe(name).every)
            for condition, names in ((Condition.RECOVERY, plan.judged), (Condition.REDUNDANCY, plan.redundancy))
            for name in names
        }
        # Since the first fault began, and since the latest was made.
        self._since_first: dict[tuple[str, Condition], Ongoing] = {}
        self._since_latest: dict[tuple[str, Condition], Ongoing] = {}
        # Since when each metric has been beyond its limit.
        self._beyond_since: dict[Guard, int | None] = {guard: None for guard in plan.guards if guard.metric}
        self._judged: dict[tuple[str, Condition], tuple[int, bool]] = {}

    def fault_begins(self, at: int) -> None:
        """A fault is about to be carried out. What was found out before says nothing about it."""
        self.latest = Window(at, at)
        if self.fault is None:
            self.fault = self.latest
            self._since_first = self._followed(self.fault)
        self._since_latest = self._followed(self.latest)
        self._judged.clear()

    def fault_is_made(self, at: int) -> None:
        """The fault that began last has been carried out."""
        assert self.latest is not None
        assert self.fault is not None
        made = Window(self.latest.lower, at)
        if self.fault == self.latest:
            self.fault = made
            for ongoing in self._since_first.values():
                ongoing.made(at)
        self.latest = made
        # An outage that was over before the latest fault's last action says nothing about what that action does.
        self._since_latest = self._followed(Window(at, at))
        self._judged.clear()

    def add(self, probe: str, samples: tuple[Sample, ...]) -> None:
        """Note samples in the order they ended."""
        seen = self._seen[probe]
        for sample in samples:
            seen.add(sample)
            self._look_at_value(probe, sample)
        for followed in (self._since_first, self._since_latest):
            for condition in (Condition.RECOVERY, Condition.REDUNDANCY):
                ongoing = followed.get((probe, condition))
                if ongoing is not None:
                    ongoing.add(samples)
        if samples:
            seen.forget(samples[-1].planned - self._memory(self._plan.probe(probe)))

    def kept(self) -> int:
        """How many samples are kept; those that several questions need count for each."""
        followed = [*self._since_first.values(), *self._since_latest.values()]
        return sum(len(seen.recent) for seen in self._seen.values()) + sum(map(len, followed))

    def unhealthy(self) -> str | None:
        """Why the baseline is not good, as one sentence; None when every judged probe was ok throughout."""
        for name in self._plan.judged:
            seen = self._seen[name]
            if seen.failed:
                return (
                    f"the baseline is unhealthy: {seen.failed} of {seen.count} samples of {name} failed "
                    f"(last: {seen.why_failed})"
                )
            if not seen.good:
                why = seen.recent[-1].detail if seen.recent else "none was sent"
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
            newest = list(self._seen[guard.probe].recent)[-_NEWEST:]
            decided = [sample for sample in newest if sample.outcome is not Outcome.UNKNOWN][-_IN_A_ROW:]
            if len(decided) == _IN_A_ROW and all(sample.outcome is Outcome.FAILED for sample in decided):
                return f"guard: {guard.probe} failed {_IN_A_ROW} times in a row ({decided[-1].detail})"
        if guard.max_outage is not None:
            for name in self._plan.judged:
                if self._down_for(name, now) > guard.max_outage:
                    return f"guard: {name} has been down for more than {guard.max_outage / SECOND:g} s"
        return None

    def _beyond(self, guard: Guard, probe: Probe, now: int) -> str | None:
        """Whether a metric has been beyond its limit for long enough, or could not be read for so long."""
        seen = self._seen[probe.name]
        # A guard that is blind guards nothing; a few lost answers are no blindness.
        blind_after = max(guard.lasting, _BLIND_PERIODS * probe.every + probe.deadline, _BLIND_NS)
        since = self._beyond_since[guard]
        if seen.value is not None and since is not None and seen.value[1] - since >= guard.lasting:
            limit = f"above {guard.above:g}" if guard.above is not None else f"below {guard.below:g}"
            lasting = f" for {guard.lasting / SECOND:g} s" if guard.lasting else ""
            return f"guard: {probe.name} is {seen.value[0]:g}, {limit}{lasting}"
        latest = seen.first_planned if seen.value is None else seen.value[1]
        if latest is not None and now - latest > blind_after:
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
            rules = self._rules[probe.name, condition]
            back = not self._failed_lately(probe, settled, rules) and all(
                followed[probe.name, condition].back(settled) for followed in (self._since_latest, self._since_first)
            )
            self._judged[probe.name, condition] = now, back
        return back

    def _failed_lately(self, probe: Probe, settled: int, rules: Parameters) -> bool:
        """Whether a failure within the last hold rules recovery out: seen at once, however long the outage was."""
        assert self.fault is not None
        if rules.onset_ratio or rules.recovery_ratio:
            return False
        since = settled - resolve(rules, probe.every).hold
        for sample in reversed(self._seen[probe.name].recent):
            if sample.planned < since - probe.deadline:
                return False
            if sample.outcome is Outcome.FAILED and sample.sent is not None and sample.sent > since:
                return (sample.ended or sample.sent) >= self.fault.lower
        return False

    def _followed(self, t0: Window) -> dict[tuple[str, Condition], Ongoing]:
        """Every probe that may be awaited, from *t0*, which is now, on."""
        found = {}
        for (name, condition), rules in self._rules.items():
            probe, seen = self._plan.probe(name), self._seen[name]
            ongoing = Ongoing(t0, probe.every, rules, probe.deadline + 2 * probe.every, seen.before)
            ongoing.add(seen.recent)
            found[name, condition] = ongoing
        return found

    def _memory(self, probe: Probe) -> int:
        """How far back any question about now looks at single samples; nanoseconds."""
        holds = [resolve(rules, probe.every).hold for (name, _), rules in self._rules.items() if name == probe.name]
        return max(holds, default=0) + 2 * probe.deadline + 3 * probe.every

    def _look_at_value(self, probe: str, sample: Sample) -> None:
        """Whether a metric is beyond its limit, and since when."""
        if sample.value is None or sample.sent is None:
            return
        for guard, since in self._beyond_since.items():
            if guard.metric == probe:
                first = sample.sent if since is None else min(since, sample.sent)
                self._beyond_since[guard] = first if _is_beyond(guard, sample.value) else None

    def _bad_since_fault(self, name: str) -> bool:
        newest = self._seen[name].newest_bad
        return newest is not None and newest >= (self.latest.lower if self.latest else 0)

    def _down_for(self, name: str, now: int) -> int:
        """How long nothing good was seen of a probe that is failing; nanoseconds."""
        assert self.fault is not None
        last_bad, last_good = self._seen[name].last_bad, self._seen[name].last_good
        if last_bad is None or (last_good is not None and last_good > last_bad):
            return 0
        return now - max(last_good or 0, self.fault.lower)


def _is_beyond(guard: Guard, value: float) -> bool:
    return (guard.above is not None and value > guard.above) or (guard.below is not None and value < guard.below)
