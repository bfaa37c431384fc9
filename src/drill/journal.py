"""
The journal: the only thing that changes during a run, and the only source of everything said about it.

A line is `CRC-32, space, JSON, newline`; each JSON begins with the SHA-256 of
the line before it. The checksum finds accidents, the chain finds edits. A torn
last line is what a crash leaves and is passed over; any other damage is not.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from drill import locks
from drill.errors import EnvironmentFault
from drill.model import AnyEvent, Began, History, Samples, Survivors

NAME = "journal.log"
RESERVE = ".reserve"  # room on the disk, kept for the undo
_RESERVED = 1024 * 1024  # bytes: an undo with its samples, and the reports
GENESIS = "0" * 64
_PREFIX = b'{"prev":"'
_TAIL = 64 * 1024  # bytes in which a run's last line is looked for
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class Journal:
    """
    Appends events to a run's journal.

    The folder is private (0700) and the file is locked for as long as its
    writer lives, so that nobody restores a run that is still going on.
    """

    def __init__(
        self, folder: Path, *, resume: bool = False, observer: Callable[[AnyEvent], None] | None = None
    ) -> None:
        """
        Begin a new journal in *folder*, or go on with the one there.

        Raises:
            EnvironmentFault: The folder cannot be written, or the run's own process is still alive.
        """
        self.folder = folder
        self.path = folder / NAME
        self.observer = observer
        self._previous = GENESIS
        self._undoing = resume
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if resume else os.O_EXCL)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise EnvironmentFault(f"the run's journal {self.path} cannot be written: {error.strerror}") from error
        try:
            locks.alone(self._fd)
        except OSError:
            os.close(self._fd)
            raise EnvironmentFault(
                f"the run {folder.name} is still going on in another process",
                hint="end it: drill abort",
            ) from None
        try:
            if resume:
                self._resume()
            else:
                _reserve(folder / RESERVE)
                # The run's folder is new, too: without its own entry on disk, nobody would find the journal.
                _sync_folder(folder)
                with suppress(PermissionError):  # a folder that we may write in, but not read
                    _sync_folder(folder.parent)
        except OSError as error:
            self.close()
            raise EnvironmentFault(f"the run's journal {self.path} cannot be written: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def append(self, event: AnyEvent) -> None:
        """
        Write one event; it survives the death of this process, not of the machine.

        Raises:
            EnvironmentFault: The line could not be written whole.
        """
        line = encode(event, self._previous)
        try:
            try:
                self._write(line)
            except OSError as error:
                if not self._undoing or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._release_reserve()
                self._write(line)
        except OSError as error:
            raise EnvironmentFault(
                f"the run's journal {self.path} cannot be written: {error.strerror}; no journal, no fault"
            ) from error
        self._previous = hashlib.sha256(line).hexdigest()
        if self.observer:
            # Whoever looks on (a closed terminal, a pipe nobody reads) must not keep a fault from being undone.
            with suppress(Exception):
                self.observer(event)

    def _write(self, line: bytes) -> None:
        """All of a line or nothing; raises OSError."""
        written = os.write(self._fd, line)
        if written != len(line):
            # Back to the end of what is whole: a line that fits again later must not stand behind a hole.
            os.truncate(self._fd, os.lseek(self._fd, -written, os.SEEK_CUR))
            raise OSError(errno.ENOSPC, "No space left on device")

    async def commit(self, event: AnyEvent) -> None:
        """Write one event and return only when it, and all before it, is on disk (fsync)."""
        self.append(event)
        await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Wait until everything written is on disk."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise EnvironmentFault(f"the run's journal {self.path} cannot be kept: {error.strerror}") from error

    def undoing(self) -> None:
        """From now on a full disk takes what is written all the same, out of the room that was kept for it."""
        self._undoing = True

    def _release_reserve(self) -> None:
        with suppress(OSError):
            (self.folder / RESERVE).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._release_reserve()
        fd, self._fd = self._fd, -1  # a late append fails, and does not write into whatever has the number next
        if fd >= 0:
            os.close(fd)

    def _resume(self) -> None:
        whole = 0
        with _opened(self.path) as file:
            for line, _ in _lines(file, self.path):
                whole += len(line)
                self._previous = hashlib.sha256(line).hexdigest()
        os.truncate(self._fd, whole)
        os.lseek(self._fd, 0, os.SEEK_END)


def _reserve(path: Path) -> None:
    """Keep room on the disk; raises OSError when there is none."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, _RESERVED)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(fd)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def encode(event: AnyEvent, previous: str) -> bytes:
    """One journal line; *previous* is the SHA-256 of the line before, hexadecimal."""
    body = _PREFIX + previous.encode() + b'",' + _encoder.encode(event)[1:]
    return b"%08x %s\n" % (zlib.crc32(body), body)


def replay(folder: Path) -> History:
    """
    Read a run back.

    Raises:
        EnvironmentFault: There is no journal, or a line other than a torn last one is damaged or was edited.
    """
    # With numpy, which whoever only writes a journal does not need.
    from drill.columns import Sampling

    path = folder / NAME
    events: list[AnyEvent] = []
    sampling = Sampling()
    newest = b""
    with _opened(path) as file:
        for whole, event in _lines(file, path):
            newest = whole
            if isinstance(event, Samples):
                try:
                    sampling.add(event.at, event.probe, event.samples)
                except OverflowError as error:
                    raise EnvironmentFault(f"{path}: the samples of {event.probe} hold too large a number") from error
            else:
                events.append(_shared(event, events) if isinstance(event, Survivors) else event)
    if not events or not isinstance(events[0], Began):
        raise EnvironmentFault(f"the journal {path} does not begin with a run")
    try:
        sampled = sampling.sampled()
    except OverflowError as error:
        raise EnvironmentFault(f"{path}: its samples hold too large a number") from error
    return History(tuple(events), hashlib.sha256(newest).hexdigest(), sampled)


def _shared(event: Survivors, before: Sequence[AnyEvent]) -> Survivors:
    """The event with the ids of the reading before it, where they are the same: there may be millions."""
    for other in reversed(before):
        if isinstance(other, Survivors) and other.probe == event.probe:
            if other.read.ids == event.read.ids:
                read = msgspec.structs.replace(event.read, ids=other.read.ids)
                return msgspec.structs.replace(event, read=read)
            break
    return event


def salvage(folder: Path) -> tuple[History, str | None]:
    """
    What of a run can be read back, and what is wrong with its journal: for undoing, not for judging.

    Lines after a damaged one count as long as their own checksums are right: what they say was
    broken must be undone. Without its samples, which undo nothing and may be more than memory
    holds. Without a single whole line the history is empty: nothing was begun.

    Raises:
        EnvironmentFault: There is no journal.
    """
    path = folder / NAME
    events: list[AnyEvent] = []
    damage: str | None = None
    previous = GENESIS
    with _opened(path) as file:
        for number, whole in enumerate(file, 1):
            line = whole.removesuffix(b"\n")
            event = _decode(line, previous)
            if isinstance(event, str) and line != whole:
                damage = damage or f"{path}:{number}:1: this journal line is damaged: {event}"
                event = _decode_alone(line)
            previous = hashlib.sha256(whole).hexdigest()
            if not isinstance(event, str | Samples):
                events.append(event)
    return History(tuple(events)), damage


def last_event(folder: Path) -> AnyEvent | None:
    """The newest whole event of a journal, read from its end; None when it cannot be told."""
    try:
        with (folder / NAME).open("rb") as file:
            file.seek(-min(file.seek(0, os.SEEK_END), _TAIL), os.SEEK_END)
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return None
    event = _decode_alone(lines[-1]) if lines else "nothing"
    return None if isinstance(event, str) else event


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        # A pipe is not waited for: it reads as an empty journal.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            yield file
    except OSError as error:
        raise EnvironmentFault(f"the journal {path} cannot be read: {error.strerror}") from error


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[bytes, AnyEvent]]:
    """Every whole line with its event, checked."""
    previous = GENESIS
    for number, whole in enumerate(file, 1):
        if not whole.endswith(b"\n"):
            return  # what stands after the last newline is what a crash tore
        event = _decode(whole[:-1], previous)
        if isinstance(event, str):
            raise EnvironmentFault(f"{path}:{number}:1: this journal line is damaged: {event}")
        previous = hashlib.sha256(whole).hexdigest()
        yield whole, event


def _decode(line: bytes, previous: str) -> AnyEvent | str:
    """The event of one line, or what is wrong with the line."""
    # There may be hundreds of thousands of lines, so each is copied once only, without what was looked at.
    if line[:9] != b"%08x " % zlib.crc32(memoryview(line)[9:]):
        return "its checksum is wrong"
    if line[9:84] != b'%b%b",' % (_PREFIX, previous.encode()):
        return "it does not follow from the line before"
    try:
        return _decoder.decode(b"{" + line[84:])
    except RecursionError:
        return "it is nested too deeply"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"it is not an event this version knows ({error})"


def _decode_alone(line: bytes) -> AnyEvent | str:
    """As `_decode`, its predecessor taken on trust: whoever judges reads the whole chain."""
    return _decode(line, line[18:82].decode("ascii", "replace"))


def is_live(folder: Path) -> bool:
    """Whether the process that writes this journal is still alive."""
    try:
        fd = os.open(folder / NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
