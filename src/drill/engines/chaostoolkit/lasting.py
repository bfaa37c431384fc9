"""Files that outlive the process of an experiment, for the process that undoes it."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

_KEPT = 90 * 24 * 3600  # seconds


def place() -> Path:
    """A new file's path in this user's folder for state; nothing is created yet."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(state) / "drill" / "configuration" / f"{uuid.uuid4().hex}.json"


def _forget(folder: Path) -> None:
    """Remove what is too old to be needed: an undo may be repeated for as long as a run is looked after."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.stat().st_mtime < time.time() - _KEPT:
                file.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file that only this user reads; it is on disk, whole, when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget(path.parent)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
