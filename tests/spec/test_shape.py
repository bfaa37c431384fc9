"""Shapes read what they publish as JSON Schema, and note every mistake at once."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.errors import Position
from drill.spec import shape, source, tables
from drill.spec.shape import BAD, Problems


def read(value: Any, table: Any) -> tuple[Any, list[str]]:
    node = source.parse(json.dumps(value).encode(), Position("f"), as_json=True)
    problems = Problems()
    return table.read(node, "it", problems), [problem.message for problem in problems.found]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("250ms", 250_000_000),
        ("30s", 30 * 10**9),
        ("1.5s", 1_500_000_000),
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("0s", 0),
        ("100us", 100_000),
    ],
)
def test_durations_have_units(text: str, nanoseconds: int) -> None:
    """A duration is what a person writes."""
    assert shape.parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "30m1h", "-5s", "5minutes", "1e3s", "٣s"])
def test_anything_else_is_no_duration(text: str) -> None:
    """Nothing is guessed: no unit, a wrong unit or a wrong order is refused."""
    assert shape.parse_duration(text) is None


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(h: int, m: int, s: int, ms: int) -> None:
    """Hours, minutes, seconds and milliseconds together mean their sum."""
    assert shape.parse_duration(f"{h}h{m}m{s}s{ms}ms") == ((h * 60 + m) * 60 + s) * 10**9 + ms * 10**6


def test_every_mistake_of_a_table_is_noted() -> None:
    """Reading goes on after the first mistake."""
    _, said = read({"hold": 5, "onset_ratio": "x", "holdd": "1s"}, tables.PARAMETERS)

    assert len(said) == 3


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["30s", "5%", "x", "", "impact", "0.5"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["target", "from", "source", "hold", "onset_ratio", "watch", "x"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


@given(plain, st.sampled_from([tables.PARAMETERS, tables.STEP, tables.GUARD, tables.OBJECTIVES["rto"]]))
def test_what_is_read_fits_the_published_schema(value: Any, table: Any) -> None:
    """Whatever drill accepts, the JSON Schema that editors use accepts too."""
    got, _ = read(value, table)

    if got is not BAD:
        jsonschema.validate(value, table.schema())


@pytest.mark.parametrize("of", ["drill", "probe"])
def test_the_published_schemas_are_schemas(of: str) -> None:
    """`drill schema` prints valid JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(tables.schema(of))
