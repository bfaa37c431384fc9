"""Files with positions give the values every other loader gives, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from drill.errors import Position, Problem, SpecError
from drill.spec import source

START = Position("file")
TRICKY = st.text(alphabet="{}[]\",:'ab01.-+eE \n\t\\u&*!<#|>%@`~?", max_size=16)


def parsed(text: str, *, as_json: bool) -> Any:
    try:
        return source.parse(text.encode(), START, as_json=as_json).value
    except SpecError:
        return SpecError


@given(TRICKY)
@example('{"a": 1, "a": 2}')
@example("1e400")
@example("[NaN, -Infinity]")
def test_json_means_what_json_loads_says(text: str) -> None:
    """Whatever stands in a JSON file, the value (or the refusal) is that of json.loads."""
    try:
        expected = json.loads(text)
    except (ValueError, RecursionError):
        expected = SpecError

    assert repr(parsed(text, as_json=True)) == repr(expected)


@given(TRICKY)
@example("a: 1\na: 2")
@example("{<<: {b: 2}, a: 1}")
@example("--- 1\n--- 2")
@example("2026-11-21")
def test_yaml_means_what_safe_load_says(text: str) -> None:
    """Whatever stands in a YAML file, the value (or the refusal) is that of yaml.safe_load."""
    try:
        expected = yaml.safe_load(text)
    except Exception:
        # PyYAML lets ValueError and others through; for us all of them are refusals.
        expected = SpecError
    if not _plain(expected):
        return

    assert repr(parsed(text, as_json=False)) == repr(expected)


def _plain(value: Any) -> bool:
    """Sets and pairs come from tags that drill refuses."""
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return all(map(_plain, value)) if isinstance(value, list) else not isinstance(value, (set, tuple))


@given(st.binary(max_size=64), st.booleans())
def test_any_bytes_are_read_or_refused(raw: bytes, as_json: bool) -> None:
    """No file whatever ends in anything but a value or a SpecError with its place."""
    try:
        source.parse(raw, START, as_json=as_json)
        problems: list[Problem] = []
    except SpecError as refused:
        problems = list(refused.problems)

    assert all(problem.at is not None for problem in problems)


@pytest.mark.parametrize(
    ("text", "as_json"),
    [('{"one": 1,\n  "two": ["x",\n    {"three": null}]}', True), ("one: 1\ntwo: [x,\n    {three: null}]", False)],
)
def test_every_value_knows_its_line_and_column(text: str, as_json: bool) -> None:
    """Positions point at the value itself, in JSON as in YAML."""
    node = source.parse(text.encode(), START, as_json=as_json)
    two = node.get("two")
    assert two is not None
    three = two.children[1].get("three")
    assert three is not None

    lines = text.split("\n")
    for inner, written in ((two, "["), (two.children[1], "{"), (three, "null")):
        assert lines[inner.at.line - 1][inner.at.column - 1 :].startswith(written)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    """A misspelt file name is answered with the name that is there."""
    (tmp_path / "failover.yaml").write_text("drill: failover\n")

    with pytest.raises(SpecError, match=r"did you mean .*failover\.yaml"):
        source.read(tmp_path / "failovr.yaml")


def test_a_bomb_of_aliases_is_refused_before_it_fills_memory() -> None:
    """A file of one kilobyte that means ten billion values is refused."""
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
    )

    with pytest.raises(SpecError, match="grows beyond"):
        source.parse(bomb.encode(), START, as_json=False)
