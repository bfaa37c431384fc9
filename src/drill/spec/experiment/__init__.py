"""Chaos Toolkit experiments read offline: every mistake at once, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drill.errors import Problem, SpecError
from drill.spec import source


def lint(path: Path, shown: str, arguments: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Read an experiment; the document is None when it cannot be used."""
    try:
        node = source.read(path, shown)
    except SpecError as error:
        return None, list(error.problems)
    return node.value, []
