"""The files of a run that everything else is made from: the journal, and what others wrote about it."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from drill import journal
from drill.errors import EnvironmentFault
from drill.record import Artifact

# Foreign reports (FIS, load tools) are put here.
ATTACHMENTS = "attachments"


def found(folder: Path) -> list[Artifact]:
    """
    The journal and every attachment with their SHA-256, by path.

    The reports are left out: a file cannot hold the digest of what is made from it.

    Raises:
        EnvironmentFault: One cannot be read.
    """
    # Python's own table, not the machine's: the same journal must give the same bytes anywhere.
    types = mimetypes.MimeTypes()
    files = [folder / journal.NAME, *(path for path in (folder / ATTACHMENTS).rglob("*") if path.is_file())]
    artifacts = []
    for path in files:
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                size = file.tell()
        except OSError as error:
            raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
        kind = "text/plain" if path.name == journal.NAME else types.guess_type(path.name)[0]
        artifacts.append(
            Artifact(
                path=path.relative_to(folder).as_posix(),
                sha256=digest,
                bytes=size,
                media_type=kind or "application/octet-stream",
            )
        )
    return sorted(artifacts, key=lambda artifact: artifact.path)
