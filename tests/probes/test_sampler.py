"""When requests are sent, with a clock that is told what time it is."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable

import pytest

from drill.model import MILLISECOND, SECOND, Fate, Outcome, Probe, Sample
from drill.probes import Answer
from drill.probes.sampler import Sampler
from tests.probes.timetravel import LoopClock, block, travel

START = 1000 * SECOND
OK = Answer(Outcome.OK)


class Scripted:
    """A prober that does what it is told, with the id it would write."""

    def __init__(self, act: Callable[[int | None], Awaitable[Answer]]) -> None:
        self.sample = act

    async def open(self) -> None: ...

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        raise NotImplementedError

    async def close(self) -> None: ...


async def hang(id: int | None) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def watch(
    act: Callable[[int | None], Awaitable[Answer]],
    *,
    every: int = 100 * MILLISECOND,
    deadline: int = 500 * MILLISECOND,
    lasting: int = SECOND,
    ids: itertools.count[int] | None = None,
    meanwhile: Callable[[Sampler], None] = lambda sampler: None,
    at: int = 0,
) -> tuple[Sampler, list[Sample]]:
    """Sample for *lasting*, calling *meanwhile* *at* so many nanoseconds from the start."""
    seen: list[Sample] = []

    async def main() -> Sampler:
        probe = Probe(name="orders", kind="scripted", every=every, deadline=deadline)
        sampler = Sampler(
            probe, Scripted(act), LoopClock(), lambda _, batch: seen.extend(batch), ids=ids, rng=random.Random(7)
        )
        loop = asyncio.get_running_loop()
        loop.call_later(at / SECOND, meanwhile, sampler)
        loop.call_later(lasting / SECOND, sampler.stop)
        await asyncio.wait_for(sampler.run(START), 3600)
        return sampler

    return travel(main()), sorted(seen, key=lambda sample: sample.planned)


def slots(samples: list[Sample], every: int) -> list[int]:
    return [(sample.planned - START) // every for sample in samples]


def test_requests_leave_on_time_whatever_the_answers_do():
    """Requests that never get an answer delay none of those after them."""
    _, samples = watch(hang, lasting=2 * SECOND)

    assert slots(samples, 100 * MILLISECOND) == list(range(20))
    assert all(0 <= sample.sent - sample.planned < MILLISECOND for sample in samples)
    assert {(sample.outcome, sample.detail) for sample in samples} == {(Outcome.FAILED, "no answer within 500 ms")}
    assert all(abs(sample.ended - sample.sent - 500 * MILLISECOND) < MILLISECOND for sample in samples)


def test_slots_do_not_drift_and_are_shaken():
    """Slot i lies in the first tenth of the i-th period, an hour later too, and not always at the same place in it."""

    async def answer(_: int | None) -> Answer:
        await asyncio.sleep(0.03)
        return OK

    _, samples = watch(answer, every=SECOND, lasting=3600 * SECOND)

    offsets = [(sample.planned - START) % SECOND for sample in samples]
    assert slots(samples, SECOND) == list(range(3600))
    assert max(offsets) <= SECOND // 10
    assert len(set(offsets)) > 3000


def test_two_probes_of_one_period_do_not_go_off_together():
    """Unless told when to begin, each begins somewhere within its first period."""

    async def answer(_: int | None) -> Answer:
        return OK

    async def main() -> int:
        probe = Probe(name="orders", kind="scripted", every=SECOND, deadline=SECOND)
        samplers = [
            Sampler(probe, Scripted(answer), LoopClock(), lambda _, batch: None, rng=random.Random(seed))
            for seed in range(20)
        ]
        for sampler in samplers:
            asyncio.get_running_loop().call_later(1.5, sampler.stop)
        await asyncio.gather(*(sampler.run() for sampler in samplers))
        return len({sampler.recent[0].planned // (100 * MILLISECOND) for sampler in samplers})

    assert travel(main()) > 5


def test_a_request_in_flight_when_sampling_stops_is_still_judged():
    """Stopping waits for the answers, and for no longer than the deadline."""
    answers = itertools.count()

    async def answer(id: int | None) -> Answer:
        if next(answers) % 2:
            await hang(id)
        await asyncio.sleep(0.4)
        return OK

    sampler, samples = watch(answer, lasting=SECOND)

    assert [sample.outcome for sample in samples] == [Outcome.OK, Outcome.FAILED] * 5
    assert (sampler.counts.sent, sampler.counts.ok, sampler.counts.failed) == (10, 5, 5)


def test_a_stalled_prober_says_what_it_did_not_send():
    """Two seconds in which the loop stands still become unknown samples, never silence and never a burst."""

    async def answer(_: int | None) -> Answer:
        return OK

    every = 20 * MILLISECOND
    sampler, samples = watch(answer, every=every, lasting=4 * SECOND, meanwhile=lambda _: block(2 * SECOND), at=SECOND)

    assert slots(samples, every) == list(range(200))
    unsent = [sample for sample in samples if sample.sent is None]
    assert slots(unsent, every) == list(range(50, 145))
    assert {sample.outcome for sample in unsent} == {Outcome.UNKNOWN}
    assert unsent[0].detail == "not sent: this prober stood still"
    assert unsent[0].ended is None
    assert sampler.counts.late == 4


def test_an_answer_nobody_read_in_time_is_unknown():
    """When the prober itself stands still across a deadline, the service is not to blame."""

    async def answer(_: int | None) -> Answer:
        await asyncio.sleep(0.2)
        return OK

    _, samples = watch(answer, lasting=2 * SECOND, meanwhile=lambda _: block(SECOND), at=950 * MILLISECOND)

    waiting = [sample for sample in samples if sample.sent is not None and sample.outcome is not Outcome.OK]
    assert slots(waiting, 100 * MILLISECOND) == [8, 9]
    assert {sample.outcome for sample in waiting} == {Outcome.UNKNOWN}
    assert waiting[0].detail == "no answer within 500 ms, but this prober stood still meanwhile"


def test_a_standstill_of_the_prober_does_not_hide_an_outage():
    """Requests get back the time that the prober took from them; who still has no answer then has failed."""
    _, samples = watch(hang, lasting=2 * SECOND, meanwhile=lambda _: block(SECOND), at=950 * MILLISECOND)

    waiting = [sample for sample in samples if sample.sent is not None]
    assert {sample.outcome for sample in waiting} == {Outcome.FAILED}
    assert max(sample.ended - sample.sent for sample in waiting) <= 1600 * MILLISECOND


def test_a_hiccup_gives_time_back_only_to_those_it_took_it_from():
    """Requests sent after it fail at their deadline, and not a moment later."""
    _, samples = watch(hang, lasting=4 * SECOND, meanwhile=lambda _: block(20 * MILLISECOND), at=995 * MILLISECOND)

    given = [sample for sample in samples if sample.ended - sample.sent > 501 * MILLISECOND]
    assert {sample.outcome for sample in samples} == {Outcome.FAILED}
    assert slots(given, 100 * MILLISECOND) == [5, 6, 7, 8, 9]
    assert max(sample.ended - sample.sent for sample in given) <= 522 * MILLISECOND


def test_a_machine_that_is_always_a_little_late_still_sees_an_outage():
    """Thirty milliseconds of standstill every fifty are no excuse for a service that does not answer."""

    def hiccups(sampler: Sampler) -> None:
        block(30 * MILLISECOND)
        if sampler.counts.failed < 10:
            asyncio.get_running_loop().call_later(0.02, hiccups, sampler)

    sampler, samples = watch(hang, lasting=2 * SECOND, meanwhile=hiccups)

    assert {sample.outcome for sample in samples if sample.sent} == {Outcome.FAILED}
    assert sampler.counts.failed == sampler.counts.sent == 20


def test_an_answer_that_comes_out_of_a_standstill_is_unknown():
    """A prober that holds the loop up beyond the deadline does not know when the answer came."""

    async def answer(_: int | None) -> Answer:
        block(2 * SECOND)
        return OK

    _, samples = watch(answer, lasting=50 * MILLISECOND)

    assert {sample.outcome for sample in samples} == {Outcome.UNKNOWN}
    assert samples[0].sent is not None


def test_slots_missed_just_before_the_end_are_told():
    """A prober that stands still and is then stopped says what it did not send."""

    async def answer(_: int | None) -> Answer:
        return OK

    def stand_still_and_stop(sampler: Sampler) -> None:
        block(SECOND)
        sampler.stop()

    _, samples = watch(answer, lasting=5 * SECOND, meanwhile=stand_still_and_stop, at=SECOND)

    assert slots(samples, 100 * MILLISECOND) == list(range(20))
    assert {sample.outcome for sample in samples[11:19]} == {Outcome.UNKNOWN}


def test_a_late_answer_is_a_failure():
    """An answer after the deadline counts for nothing, even when cancelling the request did not stop it."""

    async def stubborn(_: int | None) -> Answer:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
        return OK

    _, samples = watch(stubborn)

    assert {sample.outcome for sample in samples} == {Outcome.FAILED}
    assert len(samples) == 10


def test_requests_that_do_not_let_go_are_capped():
    """When cancelled requests pile up, slots above the cap are unknown and say so."""

    async def clings(_: int | None) -> Answer:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(2)
            raise
        return OK

    sampler, samples = watch(clings, lasting=2 * SECOND)

    assert sampler.cap == 12
    assert [sample.sent is None for sample in samples] == [False] * 12 + [True] * 8
    assert {(sample.outcome, sample.detail) for sample in samples[12:]} == {
        (Outcome.UNKNOWN, "not sent: in-flight cap, 12 requests have not ended")
    }


def test_every_write_has_an_id_of_its_own_and_a_fate():
    """Ids go up with the sending; a write without an answer is neither lost nor safe."""

    async def write(id: int | None) -> Answer:
        if id == 102:
            await hang(id)
        return Answer(Outcome.OK, fate=Fate.ACKNOWLEDGED)

    _, samples = watch(write, lasting=500 * MILLISECOND, ids=itertools.count(100))

    assert [(sample.id, sample.fate) for sample in samples] == [
        (100, Fate.ACKNOWLEDGED),
        (101, Fate.ACKNOWLEDGED),
        (102, Fate.UNKNOWN),
        (103, Fate.ACKNOWLEDGED),
        (104, Fate.ACKNOWLEDGED),
    ]


def test_a_kind_that_says_nothing_of_the_fate_leaves_it_unknown():
    """A good answer alone does not acknowledge a write."""

    async def write(_: int | None) -> Answer:
        return OK

    _, samples = watch(write, ids=itertools.count(1))

    assert {sample.fate for sample in samples} == {Fate.UNKNOWN}


def test_a_write_that_was_never_sent_uses_no_id():
    """An unknown slot carries no id and no fate, so that the ledger knows only writes that left."""

    async def write(_: int | None) -> Answer:
        return Answer(Outcome.OK, fate=Fate.ACKNOWLEDGED)

    _, samples = watch(write, lasting=3 * SECOND, ids=itertools.count(1), meanwhile=lambda _: block(SECOND), at=SECOND)

    sent = [sample for sample in samples if sample.sent is not None]
    assert len(samples) == 30
    assert [sample.id for sample in sent] == list(range(1, len(sent) + 1))
    assert {(sample.id, sample.fate) for sample in samples if sample.sent is None} == {(None, None)}


def test_an_answer_that_nothing_was_sent_leaves_a_slot_that_was_never_sent():
    """Whatever else the kind says of it: no instant, no id, no fate, and not counted as sent."""

    async def write(id: int | None) -> Answer:
        return Answer(Outcome.UNKNOWN, "not sent: busy", fate=Fate.REFUSED, sent=id == 2)

    sampler, samples = watch(write, lasting=400 * MILLISECOND, ids=itertools.count(1))

    assert [(sample.outcome, sample.sent is None, sample.id, sample.fate) for sample in samples] == [
        (Outcome.UNKNOWN, True, None, None),
        (Outcome.UNKNOWN, False, 2, Fate.REFUSED),
        (Outcome.UNKNOWN, True, None, None),
        (Outcome.UNKNOWN, True, None, None),
    ]
    assert (sampler.counts.sent, sampler.counts.unknown) == (1, 4)


def test_a_broken_plugin_proves_nothing():
    """An exception that a kind should have classified gives an unknown sample that names it."""

    async def broken(_: int | None) -> Answer:
        raise KeyError("secret")

    _, samples = watch(broken)

    assert {(sample.outcome, sample.detail) for sample in samples} == {
        (Outcome.UNKNOWN, "the probe kind scripted is broken: KeyError")
    }


def test_sampling_ends_when_nothing_can_be_recorded():
    """A journal that cannot be written ends the sampling with its own error."""

    async def answer(_: int | None) -> Answer:
        return OK

    def full(name: str, batch: tuple[Sample, ...]) -> None:
        raise OSError("no space left on device")

    async def main() -> None:
        probe = Probe(name="orders", kind="scripted", every=SECOND, deadline=SECOND)
        await Sampler(probe, Scripted(answer), LoopClock(), full).run()

    with pytest.raises(OSError, match="no space left"):
        travel(main())


def test_cancelling_loses_no_sample():
    """What is in flight when the sampler is cancelled is recorded as unknown, at once."""
    seen: list[Sample] = []

    async def main() -> int:
        probe = Probe(name="orders", kind="scripted", every=100 * MILLISECOND, deadline=10 * SECOND)
        sampler = Sampler(
            probe, Scripted(hang), LoopClock(), lambda _, batch: seen.extend(batch), ids=itertools.count()
        )
        task = asyncio.create_task(sampler.run(START))
        await asyncio.sleep(0.35)
        task.cancel()
        await asyncio.wait([task])
        return LoopClock().now()

    ended = travel(main())

    assert ended - START < 400 * MILLISECOND
    assert [(sample.id, sample.outcome, sample.fate) for sample in seen] == [
        (n, Outcome.UNKNOWN, Fate.UNKNOWN) for n in range(4)
    ]


def test_the_latest_sample_is_the_one_sent_last():
    """A slow failure that becomes known late does not hide a newer good answer."""
    first = itertools.count()

    async def answer(id: int | None) -> Answer:
        if next(first) == 0:
            await hang(id)
        return OK

    sampler, samples = watch(answer, lasting=480 * MILLISECOND)

    assert samples[0].outcome is Outcome.FAILED
    assert sampler.recent[-1] == samples[0]
    assert sampler.latest == samples[-1]
