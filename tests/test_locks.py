"""The lock of a system and its number: whoever was taken over can do nothing any more."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from drill import locks
from drill.clock import SystemClock
from drill.errors import EnvironmentFault, Refused
from drill.journal import Journal
from drill.model import Fence
from drill.restoring import JournalGate
from drill.scrub import Scrubber
from tests.engines.chaostoolkit.world import Memory, experiment, injected, process


def test_the_number_grows_with_every_holder(tmp_path: Path) -> None:
    """Each holder gets the next number and learns whose run came before; two at once are refused."""
    path, numbers = tmp_path / "orders.lock", []
    for run in ("one", "two"):
        with locks.held(path, "the system orders", tmp_path / run) as lock:
            numbers.append((lock.fence.token, lock.previous))
            with pytest.raises(Refused, match=f"another drill of the system orders is going on .process {os.getpid()}"):
                locks.take(path, "the system orders")

    assert numbers == [(1, None), (2, tmp_path / "one")]


def test_a_holder_that_never_began_hides_nobody(tmp_path: Path) -> None:
    """The run before is only forgotten once its successor has signed: that had to undo it first, and may have died."""
    previous = []
    for run, signs in (("one", True), ("two", False), ("three", True), ("four", True)):
        with locks.of_system("orders", tmp_path) as lock:
            assert lock is not None
            previous.append(lock.previous)
            if signs:
                lock.renew(tmp_path / run)

    assert previous == [None, tmp_path / "one", tmp_path / "one", tmp_path / "three"]


def test_a_look_at_a_lock_refuses_nobody(tmp_path: Path) -> None:
    """Whoever asks whether a system is busy, however often, does not make it so."""
    path, enough = tmp_path / "orders.lock", threading.Event()
    path.touch()

    def look() -> None:
        while not enough.is_set():
            locks.is_held(path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            locks.take(path, "it").let_go()
    finally:
        enough.set()
        looking.join()


@pytest.mark.parametrize("content", ["", "4711", "junk\n", "\x00\x00\n1\n"])
def test_a_lock_of_another_make_gives_out_no_number_twice(tmp_path: Path, content: str) -> None:
    """A file that an older drill, or an accident, left is gone on from."""
    path = tmp_path / "orders.lock"
    path.write_text(content)
    numbers = []
    for _ in range(3):
        with locks.held(path, "it", tmp_path / "run") as lock:
            numbers.append(lock.fence.token)

    assert numbers == sorted(set(numbers))
    assert all(number > (int(content) if content.isdigit() else 0) for number in numbers)


def test_whoever_was_taken_over_asks_in_vain(tmp_path: Path) -> None:
    """Under an old number neither a fault nor an undo goes ahead, and nothing is journaled."""
    log = Journal(tmp_path / "run")
    with locks.held(tmp_path / "orders.lock", "it", tmp_path / "run") as lock:
        gate = JournalGate("a", log, SystemClock(), Scrubber({}), fence=lock.fence)
        asyncio.run(gate.ask("break", breaks=True))
        lock.renew()

        for undoing in (False, True):
            with pytest.raises(EnvironmentFault, match="was taken over by somebody else"):
                asyncio.run(gate.ask("anything", breaks=False, undoing=undoing))
    log.close()

    lines = (tmp_path / "run" / "journal.log").read_text().splitlines()
    assert [line.count('"event":"intent"') for line in lines] == [1]


def test_a_lock_that_is_gone_keeps_from_breaking_and_not_from_undoing(tmp_path: Path) -> None:
    """Somebody may have cleaned up the folder of locks while a fault was in place."""
    fence = Fence(path=str(tmp_path / "gone.lock"), token=3)

    locks.check(fence, undoing=True)
    with pytest.raises(EnvironmentFault, match="no lock, no fault"):
        locks.check(fence)


async def test_an_experiment_touches_nothing_under_an_old_number(tmp_path: Path) -> None:
    """Its process looks itself, right before each activity: drill may have been frozen in between."""
    made = tmp_path / "made"
    document = experiment(process("touch", str(made)))
    with locks.held(tmp_path / "orders.lock", "it", tmp_path / "run") as lock:

        class Frozen(Memory):
            """Answers, and is taken over before its answer arrives."""

            fence = lock.fence

            async def ask(self, activity: str, *, breaks: bool, undoing: bool = False) -> int:
                n = await super().ask(activity, breaks=breaks, undoing=undoing)
                lock.renew()
                return n

        with pytest.raises(EnvironmentFault, match="was taken over by somebody else"):
            await injected(document, Frozen())

    assert not made.exists()
