"""Whatever stands in a journal, its reader says what is wrong with it, in little memory."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from drill import journal
from drill.errors import EnvironmentFault
from tests.fuzz.mutants import mutants

ROOT = Path(__file__).parents[2]
MUTANTS = int(os.environ.get("DRILL_MUTANTS", "12"))
DEEP = 100_000


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """The first lines of a real journal, and its last ones."""
    whole = (ROOT / "reports/sample/journal.log").read_bytes().splitlines(keepends=True)
    few = [line for line in whole if len(line) < 3000]
    return [whole[0], *few[:10], *few[-20:]]


def chained(bodies: list[bytes]) -> bytes:
    """A journal of these lines with checksums and chain made right, as only an enemy would."""
    previous, out = journal.GENESIS, b""
    for body in bodies:
        body = b'{"prev":"' + previous.encode() + b'",' + body
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        previous = hashlib.sha256(line).hexdigest()
        out += line
    return out


def read_all_ways(folder: Path, raw: bytes) -> None:
    """Replay, salvage and the last event: each answers, or refuses in a sentence."""
    (folder / journal.NAME).write_bytes(raw)
    for reader in (journal.replay, journal.salvage, journal.last_event):
        with suppress(EnvironmentFault):
            reader(folder)


def test_no_mutant_of_a_journal_makes_a_traceback(tmp_path: Path, lines: list[bytes]) -> None:
    """Damaged bytes anywhere."""
    for mutant in mutants(b"".join(lines), "journal", 20 * MUTANTS):
        read_all_ways(tmp_path, mutant)


def test_no_edited_line_with_a_right_checksum_makes_a_traceback(tmp_path: Path, lines: list[bytes]) -> None:
    """An enemy mends checksums and chain: what is not an event is refused as such."""
    bodies = [line.partition(b'",')[2].rstrip(b"\n") for line in lines]
    rng = random.Random("chained")
    for n in range(20 * MUTANTS):
        at = rng.randrange(len(bodies))
        (mutant,) = mutants(bodies[at], f"chained {n}", 1)
        read_all_ways(tmp_path, chained([*bodies[:at], mutant.replace(b"\n", b" "), *bodies[at + 1 :]]))


@pytest.mark.parametrize(
    "body",
    [
        b'"event":"done","at":1,"fault":"x","n":0,"ok":true,"output":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'"event":"note","at":' + b"9" * 100_000 + b',"text":""}',
        b'"event":"note","at":1,"text":"\xff"}',
        b'"event":"note","at":1,"text":"\\ud800"}',
        b'"event":"__class__","at":1}',
        b"",
    ],
    ids=["deep", "long number", "not UTF-8", "half a character", "unknown event", "empty"],
)
def test_a_hostile_line_is_damage(body: bytes, tmp_path: Path, lines: list[bytes]) -> None:
    """After a good beginning; undoing still knows all that stood before it."""
    first = lines[0].partition(b'",')[2].rstrip(b"\n")
    read_all_ways(tmp_path, chained([first, body]))

    history, _ = journal.salvage(tmp_path)
    assert history.events[0].run_id  # type: ignore[attr-defined]


def test_a_pipe_in_place_of_a_journal_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody will ever write to it."""
    os.mkfifo(tmp_path / journal.NAME)

    with pytest.raises(EnvironmentFault):
        journal.replay(tmp_path)
    assert not journal.is_live(tmp_path)


def test_a_huge_line_without_an_end_is_read_and_passed_over(tmp_path: Path) -> None:
    """100 MB without a newline are a torn line."""
    shutil.copy(ROOT / "reports/sample/journal.log", tmp_path / journal.NAME)
    before = len(journal.replay(tmp_path).events)
    with (tmp_path / journal.NAME).open("ab") as file:
        file.truncate(file.tell() + 100 * 2**20)

    assert len(journal.replay(tmp_path).events) == before
