"""
`${…}` in files: endpoints of the lab, values under `with:`, `${env:NAME}`, nothing else.

What an environment variable gives is taken for a secret: it is filled in only
where it is used, and never reaches a journal, a report or a log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from drill.errors import EnvironmentFault, Position
from drill.spec.shape import Problems, suggest
from drill.spec.source import Node

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
# Filled in for every single write or survivor read, long after files are read.
PER_REQUEST = frozenset({"id", "first_id", "last_id"})


def check(node: Node, known: Iterable[str], lab: str | None, problems: Problems) -> None:
    """Note every reference below *node* that nothing will ever fill in."""
    names = sorted(known)
    for inner in node.walk():
        if not isinstance(inner.value, str) or inner.kind != "scalar":
            continue
        for match in REFERENCE.finditer(inner.value):
            if problems.full:
                return
            name = match.group(1)
            if name in PER_REQUEST or name in names:
                continue
            if name.startswith("env:"):
                if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.removeprefix("env:")):
                    problems.error(f"{match.group()} does not name an environment variable", inner.at)
                continue
            offers = f"the lab {lab} offers" if lab else "with: gives"
            hint = suggest(name, names)
            if hint is None:
                hint = "give it under with:, or take it from the environment with ${env:NAME}"
            elif hint.startswith("known are"):
                hint = hint.replace("known are", offers)
            problems.error(f"no endpoint named {name}", _inside(inner, match.start()), hint)


def _inside(node: Node, offset: int) -> Position:
    text = str(node.value)
    if "\n" in text:
        return node.at
    return Position(node.at.file, node.at.line, node.at.column + offset + (1 if node.quoted else 0))


def fill(data: Any, lookup: Callable[[str], str | None]) -> Any:
    """Plain data with every reference replaced for which *lookup* has a value; others stay as written."""
    if isinstance(data, str):
        return REFERENCE.sub(lambda match: _or(lookup(match.group(1)), match.group()), data)
    if isinstance(data, dict):
        return {key: fill(value, lookup) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [fill(value, lookup) for value in data]
    return data


def _or(value: str | None, otherwise: str) -> str:
    return otherwise if value is None else value


def secrets(data: Any, environment: Mapping[str, str]) -> dict[str, str]:
    """
    The value of every environment variable that *data* refers to, by name.

    Raises:
        EnvironmentFault: One is not set.
    """
    found: dict[str, str] = {}

    def note(name: str) -> str | None:
        if name.startswith("env:"):
            variable = name.removeprefix("env:")
            if variable not in environment:
                raise EnvironmentFault(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
            found[variable] = environment[variable]
        return None

    fill(data, note)
    return found


def reveal(data: Any, environment: Mapping[str, str]) -> Any:
    """Plain data with `${env:NAME}` filled in; for the moment of use only."""
    return fill(data, lambda name: environment.get(name.removeprefix("env:")) if name.startswith("env:") else None)
