"""Where files are found: the project's folders, bare names and relative paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from drill.errors import Position

if TYPE_CHECKING:
    from drill.spec.shape import Problems

FOLDERS = ("drills", "experiments", "probes")
SUFFIXES = (".yaml", ".yml", ".json")


def root_of(file: Path) -> Path:
    """The project a file belongs to: the nearest folder above that holds drills/, experiments/ or probes/."""
    folder = file.resolve().parent
    for candidate in (folder, *folder.parents):
        if candidate.name not in FOLDERS and any((candidate / name).is_dir() for name in FOLDERS):
            return candidate
    return folder


def shown(path: Path) -> str:
    """A path as messages name it: relative when it lies below the working folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def find(name: str, folder: str, *, root: Path, named_in: Path, at: Position, problems: Problems) -> Path | None:
    """
    The file a name or path means, or None once the problem is noted.

    A bare name is looked up in *folder* of the project; anything with a slash or
    a suffix is a path relative to the file that names it, and may not leave the project.
    """
    sort = folder.removesuffix("s")
    if "/" not in name and not name.endswith(SUFFIXES):
        for suffix in SUFFIXES:
            candidate = root / folder / f"{name}{suffix}"
            if is_file(candidate):
                if outside(candidate, root):
                    problems.error(f"{shown(candidate)} is a link that leads out of the project ({root.name}/)", at)
                    return None
                return candidate
        if problems.full:
            problems.error(f"no {sort} named {name}", at)
            return None
        here = {child.stem for child in (root / folder).glob("*") if child.suffix in SUFFIXES}
        import difflib

        near = difflib.get_close_matches(name, sorted(here), n=1)
        listed = f"{folder}/ holds {', '.join(sorted(here))}" if here else f"there is no {shown(root / folder)}/ here"
        problems.error(f"no {sort} named {name}", at, f"did you mean {near[0]}?" if near else listed)
        return None
    path = named_in.resolve().parent / name
    if outside(path, root):
        problems.error(
            f"{name} leads out of the project ({root.name}/)", at, f"copy the file into {root.name}/{folder}/"
        )
        return None
    path = path.resolve()
    if not is_file(path):
        problems.error(f"there is no file {name} beside {shown(named_in)}", at)
        return None
    return path


def outside(path: Path, root: Path) -> bool:
    """Whether what a path means, every link followed, lies outside the project or cannot be told (a loop, a NUL)."""
    try:
        return not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        return True


def is_file(path: Path) -> bool:
    """Whether it is a file; of a name that no file can have (too long, with a NUL), False."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
