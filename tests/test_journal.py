"""The journal survives what happens to machines, and shows what happens to files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill import journal
from drill.errors import EnvironmentFault
from drill.journal import Journal, replay
from drill.model import Anchor, AnyEvent, Began, Note, Plan

BEGAN = Began(
    at=1,
    run_id="r",
    plan=Plan(drill="d", title="", system="s", objectives=(), probes=(), judged=()),
    anchor=Anchor(monotonic=1, wall=2),
)


def written(folder: Path, *texts: str) -> bytes:
    """The bytes of a journal with these notes."""
    log = Journal(folder)
    log.append(BEGAN)
    for n, text in enumerate(texts):
        log.append(Note(at=2 + n, text=text))
    log.close()
    return (folder / journal.NAME).read_bytes()


@given(st.lists(st.text(max_size=20), max_size=8))
@settings(max_examples=50)
def test_what_is_read_back_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Any text, newlines and surrogate-free unicode included, comes back unchanged."""
    folder = tmp_path_factory.mktemp("run")
    written(folder, *texts)

    events: list[AnyEvent] = list(replay(folder).events)
    assert events == [BEGAN, *(Note(at=2 + n, text=text) for n, text in enumerate(texts))]


def test_a_journal_cut_anywhere_gives_what_was_whole(tmp_path: Path) -> None:
    """A crash after any byte loses the torn line and nothing before it."""
    raw = written(tmp_path, "one", "two")
    ends = [n + 1 for n, byte in enumerate(raw) if byte == ord("\n")]
    for cut in range(ends[0], len(raw) + 1):
        (tmp_path / journal.NAME).write_bytes(raw[:cut])

        assert len(replay(tmp_path).events) == sum(end <= cut for end in ends)


def test_one_changed_byte_anywhere_is_found(tmp_path: Path) -> None:
    """No byte of a journal can be changed without being told, but for the last line's accident."""
    raw = written(tmp_path, "one", "two", "three")
    last = raw.rindex(b"\n", 0, len(raw) - 1) + 1
    for n in range(last):
        (tmp_path / journal.NAME).write_bytes(raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :])

        with pytest.raises(EnvironmentFault):
            replay(tmp_path)


def test_a_line_with_a_right_checksum_in_the_wrong_place_is_found(tmp_path: Path) -> None:
    """Removing a whole line breaks the chain, although every checksum is right."""
    lines = written(tmp_path, "one", "two").splitlines(keepends=True)
    (tmp_path / journal.NAME).write_bytes(lines[0] + lines[2])

    with pytest.raises(EnvironmentFault, match=r"journal\.log:2:1: .*does not follow"):
        replay(tmp_path)


def test_a_torn_journal_can_be_gone_on_with(tmp_path: Path) -> None:
    """Whoever restores after a crash appends to the same journal, and the chain holds."""
    raw = written(tmp_path, "one")
    (tmp_path / journal.NAME).write_bytes(raw[:-3])

    log = Journal(tmp_path, resume=True)
    log.append(Note(at=9, text="restored"))
    log.close()

    assert replay(tmp_path).events == (BEGAN, Note(at=9, text="restored"))


def test_nobody_else_writes_while_the_run_lives(tmp_path: Path) -> None:
    """A second process cannot restore a run that is still going on."""
    log = Journal(tmp_path)
    log.append(BEGAN)
    try:
        assert journal.is_live(tmp_path)
        with pytest.raises(EnvironmentFault, match="still going on"):
            Journal(tmp_path, resume=True)
    finally:
        log.close()
    assert not journal.is_live(tmp_path)


def test_whoever_only_looks_keeps_nobody_from_writing(tmp_path: Path) -> None:
    """However often others ask whether a run lives, its guardian gets the journal to go on with."""
    written(tmp_path, "one")
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            journal.is_live(tmp_path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(200):
            Journal(tmp_path, resume=True).close()
    finally:
        enough.set()
        looking.join()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    """After kill -9 of the writer, the run is free to be restored."""
    script = (
        "import os, signal, sys; from pathlib import Path; from drill.journal import Journal\n"
        f"Journal(Path({str(tmp_path)!r})); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)

    assert (tmp_path / journal.NAME).exists()
    assert not journal.is_live(tmp_path)


def test_a_run_folder_is_private(tmp_path: Path) -> None:
    """Nobody else on the machine reads a journal."""
    folder = tmp_path / "reports" / "run"
    written(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / journal.NAME).stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_told_and_leaves_no_torn_line(tmp_path: Path) -> None:
    """When a line does not fit, the drill hears of it at once and what stood before stays readable."""
    child = os.fork()
    if child == 0:  # in a process of its own: the limit on file sizes cannot be raised again
        try:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            log = Journal(tmp_path)
            log.append(BEGAN)
            size = (tmp_path / journal.NAME).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
            try:
                log.append(Note(at=2, text="x" * 200))
            except EnvironmentFault as error:
                os._exit(0 if "no journal, no fault" in str(error) else 3)
            os._exit(4)
        finally:
            os._exit(5)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert replay(tmp_path).events == (BEGAN,)


def test_a_disk_with_room_again_goes_on_where_it_stood(tmp_path: Path) -> None:
    """Lines that fit again follow the last whole one: a disk that was full for a moment damages nothing."""
    child = os.fork()
    if child == 0:  # in a process of its own: the limit is the whole process's
        try:
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            log = Journal(tmp_path)
            log.append(BEGAN)
            size = (tmp_path / journal.NAME).stat().st_size
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
            with suppress(EnvironmentFault):
                log.append(Note(at=2, text="x" * 200))
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            log.append(Note(at=3, text="room again"))
            os._exit(0)
        finally:
            os._exit(5)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert replay(tmp_path).events == (BEGAN, Note(at=3, text="room again"))


def test_whoever_looks_on_cannot_stop_what_is_journaled(tmp_path: Path) -> None:
    """A view that fails (its terminal is gone) costs the view, not the undo that is being journaled."""

    def gone(event: AnyEvent) -> None:
        raise BrokenPipeError

    log = Journal(tmp_path, observer=gone)
    log.append(BEGAN)
    log.close()

    assert replay(tmp_path).events == (BEGAN,)
