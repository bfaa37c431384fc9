"""
The archive: base backups of the database, and its write-ahead log as it is written.

    python -m drill.lab.archive CONNINFO

It lives outside the regions that hold the database. The log is streamed
(pg_receivewal), not handed over segment by segment (archive_command): a
disaster then takes the milliseconds that were still on their way, not up to a
segment of 16 MB or an archive_timeout.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drill.errors import EnvironmentFault
from drill.lab.process import postgres_bin, remove, run_postgres_tool
from drill.lab.topology import HOME, SERVING, Layout

# What the primary knows the stream by.
NAME = "archive"
_AGAIN = 0.3


def address(layout: Layout) -> str:
    """How the archive, in the witness region, reaches whichever node takes writes."""
    ports = [str(layout.gate("postgres", "witness", region)) for region in SERVING]
    hosts = ",".join(HOME for _ in ports)
    return (
        f"host={hosts} port={','.join(ports)} user=postgres "
        f"application_name={NAME} connect_timeout=2 target_session_attrs=read-write"
    )


def write(layout: Layout, folder: Path) -> list[str | Path]:
    """How to start the archive; the account PostgreSQL runs as must own *folder*."""
    return [sys.executable, "-P", "-m", "drill.lab.archive", address(layout)]


def backups(folder: Path) -> list[Path]:
    """Every base backup that was taken to its end and verified, oldest first."""
    return sorted(folder.glob("base-????"))


def protected(folder: Path) -> bool:
    """Whether there is a base backup from which the newest stretch of log goes on without a gap."""
    return bool(backups(folder)) and _number(backups(folder)[-1]) >= _number(_stretches(folder)[-1])


def _stretches(folder: Path) -> list[Path]:
    """Every unbroken stretch of the log, oldest first; a base backup has the number of its stretch or a higher one."""
    return sorted(folder.glob("wal-????"))


def _number(path: Path) -> int:
    return int(path.name[-4:])


def back_up(folder: Path, conninfo: str, *, within: float = 60) -> Path:
    """
    Take a base backup and verify it against its manifest.

    PostgreSQL checks the checksum of every page it copies, so a backup that
    succeeds also says that the database it was taken of is sound.

    Raises:
        EnvironmentFault: It failed, found a damaged page, or took longer than *within* seconds.
    """
    number = max(1, *(_number(path) for path in _stretches(folder)), *(_number(path) + 1 for path in backups(folder)))
    made = folder / f"base-{number:04d}"
    draft = made.with_suffix(".new")
    remove(draft)
    how = ["--checkpoint=fast", "--wal-method=stream", "--manifest-checksums=SHA256", "--no-password"]
    try:
        run_postgres_tool([postgres_bin() / "pg_basebackup", "-d", conninfo, "-D", draft, *how], folder, timeout=within)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(f"no base backup was taken within {within:g} s") from error
    verify(draft)
    draft.rename(made)
    return made


def verify(backup: Path) -> int:
    """
    Compare every file of a base backup with the manifest that PostgreSQL wrote beside it; returns how many.

    The wheel's own pg_verifybackup crashes before it has read anything.

    Raises:
        EnvironmentFault: A file is missing, has another size or another checksum, or the manifest itself has.

    Source:
        https://www.postgresql.org/docs/18/backup-manifest-toplevel.html
    """
    text = (backup / "backup_manifest").read_bytes()
    manifest = json.loads(text)
    # It covers all lines of the manifest but the last, in which it stands.
    if hashlib.sha256(text[: text.rindex(b'"Manifest-Checksum"')]).hexdigest() != manifest["Manifest-Checksum"]:
        raise EnvironmentFault(f"the manifest of {backup.name} is damaged")
    for each in manifest["Files"]:
        # Names that are no UTF-8 are given in hexadecimal.
        name = each.get("Path") or os.fsdecode(bytes.fromhex(each["Encoded-Path"]))
        try:
            found = (backup / name).read_bytes()
        except OSError as error:
            raise EnvironmentFault(f"{name} of {backup.name} cannot be read: {error.strerror}") from error
        if len(found) != each["Size"] or hashlib.sha256(found).hexdigest() != each["Checksum"]:
            raise EnvironmentFault(f"{name} of {backup.name} is not what was backed up")
    return len(manifest["Files"])


def restore_command(folder: Path) -> str:
    """PostgreSQL's restore_command: the newest stretch that has the segment; the last one was still being written."""
    kept = shlex.quote(str(folder))
    return (
        f'n=; for d in {kept}/wal-*; do if test -f "$d/%f"; then n="$d/%f"; '
        'elif test -f "$d/%f.partial"; then n="$d/%f.partial"; fi; done; test -n "$n" && cp "$n" "%p"'
    )


def main(conninfo: str) -> None:
    """Stream the log for ever, and take a base backup of every stretch of it."""
    folder = Path.cwd()
    if not _stretches(folder):
        _begin_stretch(folder)
    while True:
        said = _stream(folder, conninfo)
        print(said, end="", flush=True)
        # The server's history does not hold what was received last: it has failed over, or was restored itself.
        if "START_REPLICATION" in said:
            _begin_stretch(folder)
        time.sleep(_AGAIN)


def _begin_stretch(folder: Path) -> None:
    number = 1 + max((_number(path) for path in (*_stretches(folder), *backups(folder))), default=0)
    (folder / f"wal-{number:04d}").mkdir(mode=0o700)


def _stream(folder: Path, conninfo: str) -> str:
    """Receive the log until the connection ends; returns what the receiver said."""
    into = _stretches(folder)[-1]
    how = ["--no-loop", "--no-password", "--status-interval=1"]
    with tempfile.TemporaryFile("w+") as said:
        receiver = subprocess.Popen(
            [postgres_bin() / "pg_receivewal", "-d", conninfo, "-D", into, *how], stdin=subprocess.DEVNULL, stderr=said
        )
        while receiver.poll() is None:
            # From the first segment on, so that nothing is missing between the backup and the log.
            if not protected(folder) and any(into.iterdir()):
                try:
                    back_up(folder, conninfo)
                except EnvironmentFault as error:
                    print(error, flush=True)
            time.sleep(_AGAIN)
        said.seek(0)
        return said.read()


if __name__ == "__main__":
    main(sys.argv[1])
