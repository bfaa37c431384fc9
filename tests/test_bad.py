"""Mistakes people make in files, and what drill says of each: the message stands beside the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from drill import plugins, spec
from drill.errors import Problem, SpecError
from drill.spec import policies

BAD = Path(__file__).parent / "bad"
CASES = sorted(path for path in BAD.glob("*") if path.suffix in (".yaml", ".yml", ".json"))


def problems(case: Path) -> list[Problem]:
    """Everything said about one file, read as what its name says it is."""
    sort = case.name.partition("-")[0]
    if sort == "drill":
        with pytest.raises(SpecError) as refused:
            spec.load(case)
        return list(refused.value.problems)
    if sort == "probe":
        return spec.check_probe(case)
    if sort == "policy":
        return list(policies.check(case))
    _, found = plugins.load("engine", "chaostoolkit")().lint(case, case.name, {})
    return list(found)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_bad_file_is_explained(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mistake in tests/bad/ gets the message written beside it."""
    monkeypatch.chdir(BAD)
    said = "".join(f"{problem}\n" for problem in problems(Path(case.name)))

    assert said == case.with_suffix(".txt").read_text()


def test_there_are_at_least_forty_mistakes() -> None:
    """The folder goes on holding what people really get wrong."""
    assert len(CASES) >= 40
