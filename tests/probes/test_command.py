"""Command probes run real programs."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path

import pytest

from drill.errors import EnvironmentFault
from drill.model import Fate, Outcome
from drill.probes import Answer
from drill.probes.command import CommandProbe
from tests.probes.asking import ask, opened, sampling, until


def script(text: str) -> list[str]:
    return ["sh", "-c", text]


@pytest.mark.parametrize(
    ("command", "options", "seen"),
    [
        (script("exit 0"), {}, Answer(Outcome.OK)),
        (script("exit 3"), {}, Answer(Outcome.FAILED, "exit status 3")),
        (script("exit 3"), {"expect": {"status": [0, 3]}}, Answer(Outcome.OK)),
        (script("kill -TERM $$"), {}, Answer(Outcome.FAILED, "ended by signal 15")),
        (script("echo all is well"), {"expect": {"output": "well"}}, Answer(Outcome.OK)),
        (
            script("echo all is lost"),
            {"expect": {"matches": "is (well|fine)"}},
            Answer(Outcome.FAILED, "its output is not as expected"),
        ),
        (script("echo 1.5"), {"value": True}, Answer(Outcome.OK, value=1.5)),
        (script("echo much"), {"value": True}, Answer(Outcome.FAILED, "its output is not a number")),
        (script("echo west answers"), {"served_by": r"(\w+) answers"}, Answer(Outcome.OK, served_by="west")),
        (script("echo west; exit 1"), {"served_by": r"\w+"}, Answer(Outcome.FAILED, "exit status 1", "west")),
        (script("echo nobody"), {"served_by": r"(\w+) answers"}, Answer(Outcome.OK)),
        (script('test "$GREETING" = "a b"'), {"environment": {"GREETING": "a b"}}, Answer(Outcome.OK)),
    ],
)
async def test_exit_status_and_output_decide(command: list[str], options: dict, seen: Answer) -> None:
    """A program answers with its exit status and with what it prints."""
    assert await ask(CommandProbe, command=command, **options) == seen


async def test_a_program_that_cannot_be_started_proves_nothing(tmp_path: Path) -> None:
    """What is not there at all is refused at once; what cannot run later is unknown, and wrote nothing."""
    with pytest.raises(EnvironmentFault, match="there is no program no-such-program"):
        await ask(CommandProbe, command=["no-such-program"])

    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    answer = await ask(CommandProbe, 1, write={"command": [str(broken)]})
    assert (answer.outcome, answer.fate) == (Outcome.UNKNOWN, Fate.REFUSED)


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """At the deadline nothing of it is left, grandchildren included."""
    pids = tmp_path / "pids"
    text = f"sleep 60 & echo $! >> {pids}; echo $$ >> {pids}; wait"
    async with sampling(CommandProbe, every=100, deadline=200, command=script(text)) as (sampler, seen):
        await until(sampler, Outcome.FAILED, times=2)

    failed = {sample.detail for sample in seen if sample.outcome is Outcome.FAILED}
    assert failed == {"no answer within 200 ms"}
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) >= 4
    for _ in range(200):
        alive = [pid for pid in started if _state(pid) != "Z"]
        if not alive:
            break
        await asyncio.sleep(0.02)
    assert alive == []


def _state(pid: int) -> str:
    """Its letter in /proc; "Z" when it is gone, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


async def test_ids_are_written_and_read_back(tmp_path: Path) -> None:
    """The id comes in the environment, the survivors go out on standard output."""
    ledger = tmp_path / "ledger"
    ledger.touch()
    options = {
        "write": {"command": script(f"test $DRILL_ID -ne 7 || exit 9; echo $DRILL_ID >> {ledger}"), "refused": 9},
        "survivors": {"command": ["cat", str(ledger)]},
    }
    async with opened(CommandProbe, **options) as prober:
        answers = [await prober.sample(id) for id in range(5, 9)]
        survivors = await prober.survivors(6, 100)

    assert [answer.fate for answer in answers] == [
        Fate.ACKNOWLEDGED,
        Fate.ACKNOWLEDGED,
        Fate.REFUSED,
        Fate.ACKNOWLEDGED,
    ]
    assert survivors == ([6, 8], "cat")


@pytest.mark.parametrize("text", ["exit 1", "echo one"])
async def test_survivors_that_cannot_be_read_are_not_taken_for_none(text: str) -> None:
    """A program that fails or prints nonsense is an error and never an empty list."""
    write = {"command": ["true"]}
    async with opened(CommandProbe, write=write, survivors={"command": script(text)}) as prober:
        with pytest.raises(EnvironmentFault):
            await prober.survivors(1, 2)


async def test_a_program_without_a_declared_answer_leaves_the_write_unknown() -> None:
    """Exit status 1 of a writing program says nothing about what it wrote before."""
    answer = await ask(CommandProbe, 1, write={"command": [sys.executable, "-c", "raise SystemExit(1)"]})

    assert answer == Answer(Outcome.FAILED, "exit status 1", fate=Fate.UNKNOWN)


async def test_many_programs_at_once_leave_no_descriptor_open() -> None:
    """Sampling by programs leaks nothing, whether they end or are killed."""
    before = len(os.listdir("/proc/self/fd"))
    async with sampling(
        CommandProbe, every=50, deadline=150, ids=itertools.count(), write={"command": script("exit $((DRILL_ID % 2))")}
    ) as (sampler, _):
        await until(sampler, Outcome.OK, times=1)
        await until(sampler, Outcome.FAILED, times=1)

    for _ in range(100):
        if len(os.listdir("/proc/self/fd")) <= before:
            break
        await asyncio.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= before
