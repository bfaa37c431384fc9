"""
Files become a drill: `load` reads one with everything it names and reports every problem at once.

`load` touches nothing but the files. References stay as written; `plan.make`
fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drill.errors import Position, Problem

# Whoever checks one experiment needs none of the rest, and it takes longer to import than to check.
if TYPE_CHECKING:
    from drill.model import Drill, Objective

__all__ = ["Loaded", "adhoc", "check_probe", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A drill and the warnings and notes its files deserve."""

    drill: Drill
    warnings: Sequence[Problem]


def load(path: Path, *, values: Mapping[str, str] | None = None, lab: str | None = None) -> Loaded:
    """
    Read a drill file and every probe and experiment it names.

    *values* come before those under `with:`; *lab* is the lab it will run on,
    when that is not the one the file names.

    Raises:
        SpecError: With every error in any of the files.
    """
    from drill.spec import drills
    from drill.spec.files import Files

    files = Files(path, given=dict(values or {}), lab=lab)
    return Loaded(drills.read(files), files.sorted_problems())


def adhoc(
    experiment: Path,
    probes: Sequence[Path],
    objectives: Sequence[Objective],
    *,
    values: Mapping[str, str] | None = None,
    lab: str | None = None,
    environment: str = "",
) -> Loaded:
    """
    A drill around somebody else's experiment: a baseline, the fault, recovery, the undo.

    Raises:
        SpecError: With every error in any of the files.
    """
    from drill.spec import drills
    from drill.spec.files import Files

    files = Files(experiment, given=dict(values or {}), lab=lab)
    return Loaded(drills.around(files, probes, objectives, environment), files.sorted_problems())


def check_probe(path: Path) -> list[Problem]:
    """Every problem of a probe file read on its own, where any lab's endpoints may be meant."""
    from drill import plugins
    from drill.spec import project
    from drill.spec.files import Files

    files = Files(path)
    labs = sorted(plugins.installed("lab"))
    offered: list[str] = []
    for lab in labs:
        files.lab = lab
        files.lab_endpoints(Position(project.shown(path)))
        offered += files.endpoints
    files.lab, files.endpoints = " or ".join(labs) or None, tuple(dict.fromkeys(offered))
    files.read_probe(path)
    return files.sorted_problems()
