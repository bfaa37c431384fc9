"""
When requests are sent: open loop, one total deadline, and nothing passed over in silence.

Slot i is planned at `start + i * period + uniform(0, period / 10)` whatever the
answers do: of a 2 s stall, a loop that waits for its answers sees one failed
sample. Every slot becomes exactly one Sample: sent and judged, or unknown with
the reason why it was never sent.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Iterator

from drill.clock import Clock
from drill.model import MILLISECOND, SECOND, Fate, Outcome, Probe, Sample
from drill.probes import Answer, Prober

Sink = Callable[[str, tuple[Sample, ...]], None]

# Samples wait at most this long before the journal has them.
_BATCH = 100 * MILLISECOND
# A slot is sent late rather than not at all up to here (or one period, when that is longer): a hiccup of this
# machine then costs lateness, which is published; a longer stall must not end in a burst of old requests.
_CATCH_UP = 100 * MILLISECOND
# Lateness of the event loop below this is ordinary scheduling.
_HICCUP = 5 * MILLISECOND
# A cancelled request has this long to let go when the sampler ends; by contract it needs none.
_LET_GO_S = 1.0


class Stalls:
    """The intervals in which the event loop did not run, as its own late timers show them."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=256)

    def woke(self, due: int, now: int) -> None:
        """A timer due at *due* ran at *now*."""
        if now - due <= _HICCUP:
            return
        if self._seen and due <= self._seen[-1][1]:
            due = min(due, self._seen.pop()[0])
        self._seen.append((due, now))

    def within(self, begin: int, end: int) -> int:
        """How long the loop stood still between two instants, in nanoseconds."""
        return sum(max(0, min(end, to) - max(begin, since)) for since, to in self._seen)


class Counts:
    """How many slots became what; `late` ones are also counted under their outcome."""

    def __init__(self) -> None:
        self.ok = self.failed = self.unknown = self.sent = self.late = 0

    def add(self, sample: Sample, period: int) -> None:
        self.ok += sample.outcome is Outcome.OK
        self.failed += sample.outcome is Outcome.FAILED
        self.unknown += sample.outcome is Outcome.UNKNOWN
        if sample.sent is not None:
            self.sent += 1
            self.late += sample.sent - sample.planned > period


class _Request:
    """One request in flight: its task, and the deadline that may overtake it."""

    __slots__ = ("deadline", "due", "id", "overtime", "planned", "recorded", "sent", "task")

    def __init__(self, planned: int, id: int | None) -> None:
        self.planned = planned
        self.id = id
        self.sent: int | None = None
        self.due = 0
        self.overtime = 0
        self.recorded = False
        self.task: asyncio.Task[None] | None = None
        self.deadline: asyncio.TimerHandle | None = None


class Sampler:
    """
    Samples one probe until told to stop.

    Attributes:
        counts: What the slots so far became.

        recent: The newest recorded samples, oldest first, in the order their outcomes became known.

        latest: Of those that show something (ok or failed), the one sent last.
    """

    def __init__(
        self,
        probe: Probe,
        prober: Prober,
        clock: Clock,
        sink: Sink,
        *,
        ids: Iterator[int] | None = None,
        rng: random.Random | None = None,
        keep: int = 256,
    ) -> None:
        """
        *sink* gets every sample once, in batches. *ids* is asked for one id per
        write, just before it is sent; it must have journaled what it hands out.
        """
        self.probe = probe
        self.counts = Counts()
        self.recent: deque[Sample] = deque(maxlen=keep)
        self.latest: Sample | None = None
        self.cap = math.ceil(2 * probe.deadline / probe.every) + 2
        self._prober = prober
        self._clock = clock
        self._sink = sink
        self._ids = ids
        # Jitter needs no secrecy, and a test passes a seeded one.
        self._rng = rng or random.Random()  # noqa: S311
        self._stalls = Stalls()
        self._batch: list[Sample] = []
        # A dict because it keeps the order in which they were sent.
        self._flying: dict[_Request, None] = {}
        self._stopped = asyncio.Event()
        self._landed = asyncio.Event()
        self._broken: Exception | None = None
        self._slot = 0
        self._start = 0
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._flusher: asyncio.TimerHandle | None = None
        self._flush_due = 0

    async def run(self, start: int | None = None) -> None:
        """
        Sample until `stop`, then wait for what is in flight, at most its deadline.

        Slots are counted from *start*; without it from somewhere within the
        next period, so that the probes of a drill do not all go off together.

        Cancelling it records what is in flight as unknown and ends at once.
        Raises whatever the sink raised.
        """
        self._loop = asyncio.get_running_loop()
        self._start = self._clock.now() + self._rng.randint(0, self.probe.every) if start is None else start
        self._plan_next()
        self._timer = self._at(self._next, self._due)
        self._tick()
        try:
            await self._stopped.wait()
            self._no_more_slots()
            while self._pending() and self._broken is None:
                self._landed.clear()
                await self._landed.wait()
        finally:
            self._no_more_slots()
            self._abandon()
            if self._flusher:
                self._flusher.cancel()
            self._flush()
        tasks = [request.task for request in self._flying if request.task]
        if tasks:
            await asyncio.wait(tasks, timeout=_LET_GO_S)
        if self._broken is not None:
            raise self._broken

    def stop(self) -> None:
        """Send nothing more; `run` returns when what is in flight has ended."""
        self._stopped.set()

    # --- slots -----------------------------------------------------------------------------------------------------

    def _plan_next(self) -> None:
        self._next = self._start + self._slot * self.probe.every + self._rng.randint(0, self.probe.every // 10)
        self._slot += 1

    def _at(self, when: int, callback: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
        # The loop's clock and ours may have different origins; only the distance counts.
        return self._loop.call_at(self._loop.time() + (when - self._clock.now()) / SECOND, callback, *arguments)

    def _due(self) -> None:
        now = self._clock.now()
        self._stalls.woke(self._next, now)
        while self._next <= now:
            self._take(self._next, now)
            self._plan_next()
        self._timer = self._at(self._next, self._due)

    def _take(self, planned: int, now: int) -> None:
        if now - planned > max(_CATCH_UP, self.probe.every):
            self._not_sent(planned, "not sent: this prober stood still")
        elif len(self._flying) >= self.cap:
            self._not_sent(planned, f"not sent: in-flight cap, {self.cap} requests have not ended")
        else:
            self._launch(planned)

    def _not_sent(self, planned: int, why: str) -> None:
        self._record(Sample(planned, None, None, Outcome.UNKNOWN, why))

    def _no_more_slots(self) -> None:
        """Planned slots that the loop did not come to are unknown, not forgotten."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        now = self._clock.now()
        # One that was due this very moment is beyond the end, not missed.
        while self._next <= now - _HICCUP:
            self._not_sent(self._next, "not sent: the probe was stopped")
            self._plan_next()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _launch(self, planned: int) -> None:
        request = _Request(planned, None)
        self._flying[request] = None
        request.task = self._loop.create_task(self._request(request))
        request.task.add_done_callback(lambda _: self._land(request))

    async def _request(self, request: _Request) -> None:
        if self._ids is not None:
            try:
                request.id = next(self._ids)
            except Exception as error:  # noqa: BLE001 raised again by run: without an id on disk, no write
                self._break(error)
                return
        request.sent = self._clock.now()
        request.due = request.sent + self.probe.deadline
        request.deadline = self._at(request.due, self._overtake, request)
        try:
            answer = await self._prober.sample(request.id)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 a broken plug-in proves nothing about the service
            answer = Answer(Outcome.UNKNOWN, f"the probe kind {self.probe.kind} is broken: {type(error).__name__}")
        self._judge(request, answer)

    def _judge(self, request: _Request, answer: Answer) -> None:
        if request.recorded:
            return
        assert request.sent is not None
        if not answer.sent:
            self._finish(request, Sample(request.planned, None, None, Outcome.UNKNOWN, answer.detail))
            return
        ended = self._clock.now()
        if ended - request.sent > self.probe.deadline:
            # Its timer would have come first had the loop been running: then nobody knows when the answer came.
            self._time_out(request, stood_still=True)
            return
        fate = answer.fate
        if request.id is not None and fate is None:
            fate = Fate.UNKNOWN
        self._finish(
            request,
            Sample(
                request.planned,
                request.sent,
                ended,
                answer.outcome,
                "" if answer.outcome is Outcome.OK else answer.detail,
                answer.served_by,
                request.id,
                fate,
                answer.value,
            ),
        )

    def _overtake(self, request: _Request) -> None:
        """The deadline has passed: judge now, and let go of the request without waiting for it."""
        if request.recorded or request.sent is None:
            return
        now = self._clock.now()
        self._stalls.woke(request.due, now)
        stood_still = self._stalls.within(request.sent, request.due)
        if not request.overtime and (stood_still > _HICCUP or now - request.due > _HICCUP):
            # The answer may have been there in time with nobody to read it. It gets back what we took from it, and
            # a moment to be read: if it comes now, nobody knows; if not, it would not have come in time either.
            request.overtime = max(stood_still, _HICCUP)
            request.due = now + request.overtime
            request.deadline = self._at(request.due, self._overtake, request)
            return
        self._time_out(request, stood_still=False)
        if request.task:
            request.task.cancel()

    def _time_out(self, request: _Request, *, stood_still: bool) -> None:
        assert request.sent is not None
        outcome, why = Outcome.FAILED, f"no answer within {self.probe.deadline / MILLISECOND:g} ms"
        if stood_still:
            outcome, why = Outcome.UNKNOWN, f"{why}, but this prober stood still meanwhile"
        fate = None if request.id is None else Fate.UNKNOWN
        sample = Sample(request.planned, request.sent, self._clock.now(), outcome, why, None, request.id, fate)
        self._finish(request, sample)

    def _finish(self, request: _Request, sample: Sample) -> None:
        request.recorded = True
        if request.deadline:
            request.deadline.cancel()
        self._record(sample)

    def _land(self, request: _Request) -> None:
        self._flying.pop(request, None)
        self._landed.set()

    def _pending(self) -> bool:
        return any(not request.recorded for request in self._flying)

    def _abandon(self) -> None:
        for request in self._flying:
            if request.task:
                request.task.cancel()
            if request.recorded:
                continue
            if request.sent is None:
                request.recorded = True
                self._not_sent(request.planned, "not sent: the probe was stopped")
                continue
            fate = None if request.id is None else Fate.UNKNOWN
            self._finish(
                request,
                Sample(
                    request.planned,
                    request.sent,
                    self._clock.now(),
                    Outcome.UNKNOWN,
                    "the prober was stopped before the answer",
                    None,
                    request.id,
                    fate,
                ),
            )

    # --- handing over ------------------------------------------------------------------------------------------------

    def _record(self, sample: Sample) -> None:
        self.counts.add(sample, self.probe.every)
        self.recent.append(sample)
        if sample.outcome is not Outcome.UNKNOWN and sample.sent is not None:
            newest = self.latest.sent if self.latest else None
            if newest is None or sample.sent >= newest:
                self.latest = sample
        self._batch.append(sample)
        self._landed.set()

    def _tick(self) -> None:
        now = self._clock.now()
        if self._flush_due:
            self._stalls.woke(self._flush_due, now)
        self._flush()
        self._flush_due = now + _BATCH
        self._flusher = self._at(self._flush_due, self._tick)

    def _flush(self) -> None:
        if not self._batch:
            return
        batch, self._batch = tuple(self._batch), []
        try:
            self._sink(self.probe.name, batch)
        except Exception as error:  # noqa: BLE001 raised again by run: a timer's callback has no caller to tell
            self._break(error)

    def _break(self, error: Exception) -> None:
        """Nothing can be recorded any more: end, and let `run` say why."""
        if self._broken is None:
            self._broken = error
        self._stopped.set()
        self._landed.set()
