"""Undoing what dead runs left, from their journals alone, whatever state those are in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from drill import journal, state
from drill import run as running
from drill.cli import drill
from drill.clock import SystemClock
from drill.engines import Gate
from drill.errors import EnvironmentFault, FaultLeftInPlace, Refused
from drill.journal import Journal, replay, salvage
from drill.model import (
    Anchor,
    AnyEvent,
    Began,
    Completion,
    Effect,
    Ended,
    Fault,
    History,
    Injected,
    InjectFailed,
    Injection,
    Intent,
    Plan,
    Prepared,
    Restored,
    Undo,
)
from drill.restoring import JournalGate, open_undos, restore_run, undo_one, unfinished
from drill.scrub import Scrubber
from tests.running import World

FAULTS = (Fault(name="a", engine="chaostoolkit"), Fault(name="b", engine="chaostoolkit"))
PLAN = Plan(drill="d", title="", system="s", objectives=(), probes=(), judged=(), faults=FAULTS)
BEGAN = Began(at=1, run_id="r", plan=PLAN, anchor=Anchor(monotonic=1, wall=2))
SHOWN = Injection(effect=Effect.SHOWN)


def prepared(fault: str, **data: Any) -> Prepared:
    return Prepared(at=2, undo=Undo(engine="chaostoolkit", fault=fault, data=data, instructions=(f"mend {fault}",)))


def intent(fault: str, **more: Any) -> Intent:
    return Intent(at=3, fault=fault, activity="break", n=0, **more)


def ended(completion: Completion) -> Ended:
    return Ended(at=9, completion=completion, anchor=Anchor(monotonic=9, wall=9), reason="")


def written(folder: Path, *events: AnyEvent) -> Path:
    log = Journal(folder)
    for event in (BEGAN, *events):
        log.append(event)
    log.close()
    return folder


class FakeEngine:
    """Undoes by asking and telling, as every engine does; notes that it got there."""

    name = "fake"

    def __init__(self, error: Exception | None = None) -> None:
        self.undone: list[str] = []
        self.error = error

    async def undo(self, undo: Undo, gate: Gate) -> None:
        n = await gate.ask("mend", breaks=False, undoing=True)
        self.undone.append(undo.fault)
        await gate.done(n, ok=True)
        if self.error:
            raise self.error


class FullDisk:
    """A journal that can no longer be written."""

    def append(self, event: AnyEvent) -> None:
        raise EnvironmentFault("no space left on device")

    async def commit(self, event: AnyEvent) -> None:
        self.append(event)


@pytest.mark.parametrize(
    ("events", "open_"),
    [
        ([prepared("a")], []),
        ([prepared("a"), intent("a")], ["a"]),
        ([prepared("a"), intent("a", breaks=False)], ["a"]),
        ([prepared("a"), Injected(at=4, fault="a", injection=SHOWN)], ["a"]),
        ([prepared("a"), InjectFailed(at=4, fault="a", error="x")], ["a"]),
        ([prepared("a"), intent("a"), Restored(at=5, fault="a", verified=False)], ["a"]),
        ([prepared("a"), intent("a"), Restored(at=5, fault="a", verified=True)], []),
        ([prepared("a"), prepared("b"), intent("b"), intent("a")], ["b", "a"]),
    ],
)
def test_a_fault_is_open_from_its_first_intent_to_its_verified_undo(events: list[AnyEvent], open_: list[str]) -> None:
    """Prepared alone has touched nothing; an undo that was not verified closes nothing."""
    assert list(open_undos(History((BEGAN, *events)))) == open_


@pytest.mark.parametrize(
    ("events", "listed"),
    [
        ([], True),
        ([prepared("a"), intent("a")], True),
        ([ended(Completion.COMPLETED)], False),
        ([prepared("a"), intent("a"), ended(Completion.UNSAFE)], True),
        ([prepared("a"), intent("a"), ended(Completion.UNSAFE), Restored(at=9, fault="a", verified=True)], False),
    ],
)
def test_runs_that_may_have_left_a_fault_are_found(tmp_path: Path, events: list[AnyEvent], listed: bool) -> None:
    """A run without an end, or whose undo was never verified, is looked at; a finished one is not."""
    folder = written(tmp_path / "r", *events)

    assert unfinished(tmp_path) == ([folder] if listed else [])


def test_a_run_that_never_began_left_nothing(tmp_path: Path) -> None:
    """drill killed before the journal's first line had nothing broken: there is nothing to find or to undo."""
    Journal(tmp_path / "r").close()

    assert unfinished(tmp_path) == []
    assert asyncio.run(restore_run(tmp_path / "r", print)) is None


def test_undoing_goes_on_when_the_disk_is_full() -> None:
    """A journal that cannot be written keeps a fault from being made, and not from being undone."""
    clock, engine, full = SystemClock(), FakeEngine(), FullDisk()
    gate = JournalGate("a", full, clock, Scrubber({}))

    left = asyncio.run(undo_one(Undo(engine="fake", fault="a"), engine, full, clock, gate))

    assert (left, engine.undone) == (None, ["a"])
    with pytest.raises(EnvironmentFault):
        asyncio.run(gate.ask("break", breaks=True))


@pytest.mark.parametrize("error", [ValueError("a bug"), FaultLeftInPlace("still there", instructions=["mend a"])])
def test_an_undo_that_fails_in_any_way_is_told(tmp_path: Path, error: Exception) -> None:
    """Whatever an engine raises, a person hears what must be done by hand."""
    log, clock = Journal(tmp_path), SystemClock()
    gate = JournalGate("a", log, clock, Scrubber({}))
    undo = Undo(engine="fake", fault="a", instructions=("mend a",))

    left = asyncio.run(undo_one(undo, FakeEngine(error), log, clock, gate))
    log.close()

    assert left is not None
    assert left.instructions == ("mend a",)


def test_an_engine_that_is_gone_leaves_the_others_undone_and_says_so(tmp_path: Path) -> None:
    """A fault of a plug-in that was uninstalled is unsafe, with what to do, and costs the other faults nothing."""
    gone = Prepared(at=2, undo=Undo(engine="uninstalled", fault="a", instructions=("mend a",)))
    folder = written(tmp_path / "r", gone, intent("a"))

    with pytest.raises(FaultLeftInPlace, match="no engine named uninstalled") as told:
        asyncio.run(restore_run(folder, print))

    assert told.value.instructions == ("mend a",)
    last = replay(folder).ended
    assert last is not None
    assert last.completion is Completion.UNSAFE


def test_a_journal_broken_at_any_byte_forgets_no_fault(tmp_path: Path) -> None:
    """Cut it, or change a byte: the fault is known to be open, or the journal to be damaged, which is exit code 5."""
    folder = written(tmp_path / "r", prepared("a"), intent("a"), Injected(at=4, fault="a", injection=SHOWN))
    raw = (folder / journal.NAME).read_bytes()
    asked = raw.index(b'"event":"intent"')
    asked = raw.index(b"\n", asked)
    for n in range(len(raw)):
        for broken in (raw[:n], raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :]):
            (folder / journal.NAME).write_bytes(broken)
            history, damage = salvage(folder)

            if broken != raw[:n] or n > asked:
                assert damage or list(open_undos(history, doubt=damage is not None)) == ["a"], n
            if damage:
                assert unfinished(tmp_path) == [folder], n


def test_what_stands_after_a_damaged_line_is_undone(tmp_path: Path) -> None:
    """One wrong byte in a line of samples costs that line, and no fault that was broken after it."""
    folder = written(tmp_path / "r", prepared("a"), intent("a"), prepared("b"), intent("b"))
    path = folder / journal.NAME
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:-9] + b"?" + lines[1][-8:], *lines[2:]]))

    history, damage = salvage(folder)

    assert damage is not None
    assert "journal.log:2:1: this journal line is damaged: its checksum is wrong" in damage
    assert list(open_undos(history, doubt=True)) == ["b"]


# --- with a real service, through the command line -------------------------------------------------------------------


def killed(world: World) -> Path:
    """A run killed with its guardian while the service is frozen."""
    run = world.start("run", world.drill(within="60s"))
    world.until(world.frozen, "the service is frozen")
    world.until(lambda: bool(world.events(Injected)), "the fault is journaled")
    world.kill(run)
    assert world.frozen()
    return world.latest()


def damaged(folder: Path) -> None:
    """The last line has a wrong byte, and another follows."""
    path = folder / journal.NAME
    raw = path.read_bytes()
    path.write_bytes(raw[:-10] + b"?" + raw[-9:] + b"x\n")


def test_a_damaged_journal_is_never_nothing_to_restore(world: World) -> None:
    """What stands before the damage is undone; that nobody knows the rest is exit code 5, every time."""
    damaged(killed(world))

    for _ in range(2):
        code, out, err = world.run("restore")

        assert (code, world.frozen()) == (5, False), out + err
        assert "is damaged" in err
        assert "nothing to restore" not in out


def test_one_run_that_cannot_be_restored_does_not_keep_the_others(world: World) -> None:
    """Every run in reports/ gets its turn."""
    broken = written(world.folder / "reports" / "20200101-000000-older-0000")
    damaged(broken)
    killed(world)

    code, _, err = world.run("restore")

    assert (code, world.frozen()) == (5, False), err
    assert broken.name in err


@pytest.mark.parametrize("dies", [False, True], ids=["by the drill", "by drill restore"])
def test_an_undo_that_waits_for_another_is_tried_again_after_it(world: World, dies: bool) -> None:
    """The last fault is undone first; when that only works once an earlier one is, it is done after it."""
    marker = world.folder / "cut"

    def run(path: str, *arguments: str) -> dict[str, Any]:
        provider = {"type": "process", "path": path, "arguments": list(arguments), "timeout": 5}
        return {"type": "action", "name": f"{path} {arguments[0]}", "provider": provider}

    world.experiment("cut", [run("touch", str(marker))], [run("rm", "-f", str(marker))])
    world.experiment("freeze", [world.signal("STOP")], [run("test", "!", "-e", str(marker)), world.signal("CONT")])
    drill = world.drill(within="60s" if dies else "1s")
    drill.write_text(drill.read_text().replace("  - inject: freeze", "  - inject: cut\n  - inject: freeze"))
    process = world.start("run", drill)
    if dies:
        world.until(lambda: world.frozen() and bool(world.events(Injected)[1:]), "both faults are journaled")
        world.kill(process)
        assert world.run("restore")[0] == 0
    process.communicate(timeout=60)

    undone = [(event.fault, event.verified) for event in world.events(Restored)]
    assert undone == [("freeze", False), ("cut", True), ("freeze", True)]
    assert (world.frozen(), marker.exists()) == (False, False)
    assert world.record()["result"] == ("aborted" if dies else "inconclusive")


async def test_a_journal_that_others_can_write_is_not_acted_upon(tmp_path: Path) -> None:
    """It says what is run: whoever may write it would run that as us. That it may have left a fault is told."""
    log = Journal(tmp_path / "run")
    log.append(BEGAN)
    log.close()
    path = log.path
    path.chmod(0o666)

    assert unfinished(tmp_path) == [tmp_path / "run"]
    with pytest.raises(EnvironmentFault, match="others may write"):
        await restore_run(tmp_path / "run", print)
    path.chmod(0o600)
    assert unfinished(tmp_path) == [tmp_path / "run"]


def test_nothing_is_broken_where_the_guardian_could_not_undo_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everybody may write every folder, as on mounts of WSL and CIFS, no run begins."""
    reports = world.folder / "mount"
    monkeypatch.setattr(running, "run_id", lambda drill: "open")  # such a folder cannot be had here but beforehand
    (reports / "open").mkdir(parents=True)
    (reports / "open").chmod(0o777)
    monkeypatch.setenv("XDG_STATE_HOME", world.environment["XDG_STATE_HOME"])

    done = CliRunner().invoke(drill, ["run", str(world.drill()), "--reports", str(reports)])

    assert isinstance(done.exception, Refused), done.output
    assert f"could be undone after its death: others may write {reports / 'open'}" in str(done.exception)
    assert (done.exception.exit_code, salvage(reports / "open")) == (4, (History(()), None))


def test_a_dead_run_is_found_wherever_its_reports_are(world: World) -> None:
    """Nobody needs to remember where a killed drill was to report to."""
    run = world.start("run", world.drill(within="60s"), "--reports", world.folder / "far" / "away")
    world.until(world.frozen, "the service is frozen")
    world.kill(run)

    code, out, err = world.run("restore")

    assert (code, world.frozen()) == (0, False), out + err
    assert world.run("abort")[:2] == (0, "no drill is going on\n")
    assert not list((world.folder / "state" / "drill" / "live").iterdir())


def test_a_dead_run_that_the_next_could_not_undo_is_told_to_the_one_after(world: World) -> None:
    """Also where its reports lie elsewhere: a drill that never began does not hide it."""
    killed = world.start("run", world.drill(within="60s"), "--reports", world.folder / "far")
    world.until(world.frozen, "the service is frozen")
    world.kill(killed)
    for path in (world.folder / "state" / "drill" / "live").iterdir():
        path.unlink()  # what could not be written is only harder to find
    path = world.environment["PATH"]

    world.environment["PATH"] = str(world.folder)  # no program by the name of kill
    code, _, err = world.run("run", world.drill(within="1s"))
    assert (code, world.frozen()) == (5, True), err
    world.environment["PATH"] = path
    _, _, err = world.run("run", world.drill(within="1s"))

    (far,) = (world.folder / "far").iterdir()
    assert f"{far.name} ended unsafe; when nobody has mended it since: drill restore {far}" in err


async def test_a_dead_run_is_undone_first_wherever_its_reports_are(tmp_path: Path) -> None:
    """Whoever has begun and never said that it was over is looked at, also when others held the lock since."""
    far = written(tmp_path / "far" / "run")
    state.enter(tmp_path, far)
    said: list[str] = []

    await running.restore_the_dead(tmp_path / "reports", tmp_path, "s", None, said.append)

    assert said == ["undoing what run left"]
    assert salvage(far)[0].ended is not None
