"""
Chaos Toolkit experiments read offline: every mistake at once, each with its place.

Nothing is imported, run or asked over a network, and no variable need be set.
An *error* is what Chaos Toolkit refuses or crashes on, a *warning* what it
runs otherwise than written, a *note* what is missing on this machine only.

    sections     the file from top to bottom
    activity     one probe or action and its provider
    tolerance    what a steady state is compared with
    modules      Python functions, found without importing them
    findings     what was found, and the questions that all parts are asked
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from drill.errors import Position, Problem, Severity, SpecError
from drill.spec import source
from drill.spec.experiment import modules
from drill.spec.experiment.findings import Findings, Here
from drill.spec.experiment.sections import check
from drill.spec.source import Node

SUFFIXES = (".json", ".yaml", ".yml")


def this_machine() -> Here:
    """Modules are looked for beside the person, too: where drill is started."""
    folder = os.getcwd()
    return Here(
        variables=os.environ,
        function=partial(modules.find, folder=folder),
        module=partial(modules.exists, folder=folder),
    )


def lint(
    path: Path, shown: str, arguments: Mapping[str, Any], here: Here | None = None, node: Node | None = None
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """
    Read the experiment in *path*, which messages call *shown*.

    *arguments* are the values a drill gives in place of the configuration's; *node* is
    the file as `source.read` gave it, when it has been read.
    Returns the document, None when it cannot be used, and every problem in file order.
    """
    if path.suffix not in SUFFIXES:
        hint = f"Chaos Toolkit reads files that end in {', '.join(SUFFIXES)}"
        return None, [Problem(f"{shown} is not named like an experiment", Position(shown), hint)]
    try:
        node = node or source.read(path, shown)
    except SpecError as error:
        return None, list(error.problems)
    findings = Findings(here or this_machine())
    check(node, findings, arguments)
    problems = sorted(set(findings.problems), key=lambda problem: (problem.at or Position(shown), problem.message))
    usable = all(problem.severity is not Severity.ERROR for problem in problems)
    return (node.value if usable else None), problems
