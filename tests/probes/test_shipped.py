"""The files in probes/."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill import spec
from drill.errors import Problem

FOLDER = Path(__file__).parents[2] / "probes"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_shipped_probe_has_no_problem(file: Path) -> None:
    """Each can be used as written, and deserves no warning."""
    problems: list[Problem] = spec.check_probe(file)

    assert [str(problem) for problem in problems] == []
