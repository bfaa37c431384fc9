"""What streams that watch one part tell of the whole: a promotion, a new route, the system's own idea of its lag."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drill.measure.bounds import between
from drill.model import Estimate, History, Outcome, Phase, Probe, Sample, Window

# The newest answers before an instant that tell who served then; fewer could be one odd answer.
_BEFORE = 3


def promotions(history: History, t0: Window | None) -> list[Phase]:
    """
    Each time a server that had not done so before took a write sent straight to it.

    From the last question that was not answered so to the first that was. The
    same server on the same timeline taking writes again after a hiccup is no promotion.
    """
    if t0 is None:
        return []
    asked = [(probe.name, sample) for probe in _that_show(history, "promoted") for sample in _decided(history, probe)]
    asked.sort(key=lambda each: each[1].sent or 0)
    known: set[str | None] = set()
    before: dict[str, Sample] = {}
    found = []
    for name, sample in asked:
        last, before[name] = before.get(name), sample
        if not _takes(sample):
            continue
        sent = sample.sent or 0
        fresh = sample.served_by not in known if sample.served_by else last is not None and last.value == 0
        known.add(sample.served_by)
        if fresh and last is not None and not _takes(last) and sent >= t0.lower:
            text = f"{sample.served_by or name} takes writes"
            found.append(Phase(name="promoted", window=Window(last.sent or 0, sent), source=name, text=text))
    return found


def routes(history: History, t0: Window | None, undone: Sequence[int]) -> list[Phase]:
    """When somebody else began to serve a stream: once from the fault on, and once from each undo on."""
    if t0 is None:
        return []
    begins = [t0.lower, *undone]
    ends: list[int | None] = [*undone, None]
    found = []
    for probe in _that_show(history, "routed"):
        samples = _decided(history, probe)
        found += [_routed(probe.name, samples, begin, end) for begin, end in zip(begins, ends, strict=True)]
    return [phase for phase in found if phase is not None]


def _routed(name: str, samples: Sequence[Sample], begin: int, end: int | None) -> Phase | None:
    served = [sample for sample in samples if sample.outcome is Outcome.OK and sample.served_by is not None]
    usual = {sample.served_by for sample in [each for each in served if (each.sent or 0) < begin][-_BEFORE:]}
    since = [each for each in served if begin <= (each.sent or 0) and (end is None or (each.sent or 0) < end)]
    new = next((sample for sample in since if sample.served_by not in usual), None)
    if not usual or new is None:
        return None
    sent = new.sent or 0
    last = max(sample.sent or 0 for sample in samples if (sample.sent or 0) < sent)
    return Phase(name="routed", window=Window(last, sent), source=name, text=f"{new.served_by} answers")


def estimates(history: History, disaster: Window | None) -> tuple[Estimate, ...]:
    """What each stream of the system's own replication lag had said when the disaster came."""
    if disaster is None:
        return ()
    return tuple(_estimate(history, probe, disaster) for probe in _that_show(history, "replication_lag"))


def _estimate(history: History, probe: Probe, disaster: Window) -> Estimate:
    known = [each for each in _decided(history, probe) if each.ended is not None and each.ended <= disaster.lower]
    good = [sample for sample in known if sample.outcome is Outcome.OK]
    values = [sample.value for sample in good if sample.value is not None]
    found = Estimate(
        probe=probe.name,
        of=probe.shows,
        highest=max(values, default=None),
        readings=len(good),
        empty=len(good) - len(values),
        failed=len(known) - len(good),
        error="nothing was read before the disaster",
    )
    if not known:
        return found
    last = known[-1]
    sampled = Window(last.sent or 0, last.ended or 0)
    failed = last.outcome is not Outcome.OK
    return msgspec.structs.replace(
        found,
        source=last.served_by,
        value=None if failed else last.value,
        sampled=sampled,
        age=between(sampled, disaster),
        error=last.detail if failed else "the system gave no value" if last.value is None else "",
    )


def _that_show(history: History, what: str) -> list[Probe]:
    return [probe for probe in history.plan.probes if probe.shows == what]


def _decided(history: History, probe: Probe) -> list[Sample]:
    """Its ok and failed samples by the instant they were sent."""
    decided = [
        each for each in history.samples(probe.name) if each.outcome is not Outcome.UNKNOWN and each.sent is not None
    ]
    return sorted(decided, key=lambda sample: sample.sent or 0)


def _takes(sample: Sample) -> bool:
    return sample.outcome is Outcome.OK and sample.value == 1
