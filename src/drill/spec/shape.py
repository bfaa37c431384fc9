"""
What a file may hold, said once: read from here, and published as JSON Schema from here.

A shape reads a node into a plain value and notes every problem it meets instead
of stopping at the first. A `Table` is a mapping with known keys; whatever is
left over is a mistake.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from drill.errors import Position, Problem, Severity
from drill.spec.source import Node
from drill.spec.source import found as found  # messages of every reader say it alike


class Bad:
    """What reading gives where the file was wrong; the problem is already noted."""

    def __bool__(self) -> bool:
        return False


BAD = Bad()
MANY = 100  # errors that are told of one set of files


@dataclass(slots=True)
class Problems:
    """
    Everything found wrong so far, up to as much as anybody reads.

    Attributes:
        wrong: How many errors there were, those included that are no longer kept.
    """

    found: list[Problem] = field(default_factory=list)
    wrong: int = 0

    def error(self, message: str, at: Position, hint: str | None = None) -> Bad:
        self.wrong += 1
        if self.wrong <= MANY:
            self.found.append(Problem(message, at, hint))
        return BAD

    def warning(self, message: str, at: Position, hint: str | None = None) -> None:
        if len(self.found) < 2 * MANY:
            self.found.append(Problem(message, at, hint, Severity.WARNING))

    @property
    def full(self) -> bool:
        """Nobody reads more of them: what costs time to find need not be looked for."""
        return self.wrong >= MANY

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.found if problem.severity is Severity.ERROR]


class Shape(Protocol):
    """One sort of value."""

    @property
    def expected(self) -> str:
        """Completes "must be …"."""

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        """The plain value, or BAD once the problem is noted. *name* is how messages call the value."""

    def schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what is accepted."""


def _refuse(shape: Shape, node: Node, name: str, problems: Problems, hint: str | None = None) -> Bad:
    return problems.error(f"{name} must be {shape.expected}, not {found(node)}", node.at, hint)


@dataclass(frozen=True, slots=True)
class Text:
    """Text; a number or word that YAML would take for something else must be in quotes."""

    expected: str = "text"
    pattern: str | None = None
    lines: bool = True
    longest: int | None = None  # characters

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if not isinstance(node.value, str):
            hint = None
            if node.kind == "scalar" and node.value is not None:
                hint = f'write it in quotes: "{node.value}"'
            return _refuse(self, node, name, problems, hint)
        if not node.value.strip():
            return problems.error(f"{name} must be {self.expected}, not empty", node.at)
        if self.pattern and not re.fullmatch(self.pattern, node.value):
            return _refuse(self, node, name, problems)
        if self.longest and len(node.value) > self.longest:
            return problems.error(f"{name} must have at most {self.longest} characters, not {len(node.value)}", node.at)
        return node.value

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            **({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {"minLength": 1}),
            **({"maxLength": self.longest} if self.longest else {}),
        }


@dataclass(frozen=True, slots=True)
class Number:
    """A number, whole if asked, within limits."""

    expected: str
    whole: bool = True
    least: float | None = None
    most: float | None = None

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return _refuse(self, node, name, problems)
        if value != value or value in (float("inf"), float("-inf")):
            return _refuse(self, node, name, problems)
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            return _refuse(self, node, name, problems)
        return value

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.least, "maximum": self.most}
        return {
            "type": "integer" if self.whole else "number",
            **{key: limit for key, limit in limits.items() if limit is not None},
        }


@dataclass(frozen=True, slots=True)
class Boolean:
    expected: str = "true or false"

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if not isinstance(node.value, bool):
            return _refuse(self, node, name, problems)
        return node.value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?(?:(\d+)us)?", re.ASCII)


# Ten years, in nanoseconds: a drill ends within somebody's lifetime, and every instant in it has a date.
LONGEST = 10 * 365 * 24 * 3600 * 10**9


def parse_duration(text: str) -> int | None:
    """Nanoseconds of `250ms`, `30s`, `5m`, `1h30m`; None when it is none of those."""
    match = _DURATION.fullmatch(text)
    if not match or not any(match.groups()):
        return None
    from decimal import Decimal

    return sum(int(Decimal(part) * unit) for part, unit in zip(match.groups(), _UNITS.values(), strict=True) if part)


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration with its unit; nanoseconds."""

    expected: str = 'a duration such as "90s" or "5m"'
    least: int = 0

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if isinstance(node.value, str):
            value = parse_duration(node.value)
            if value is not None and self.least <= value <= LONGEST:
                return value
            if value is not None and value > LONGEST:
                return problems.error(f"{name} must be at most 87600h (ten years), not {found(node)}", node.at)
            if value is not None:
                return problems.error(f"{name} must be longer than {node.value}", node.at)
        hint = None
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            hint = f"a number needs its unit: {node.value}s or {node.value}ms"
        elif isinstance(node.value, str):
            hint = "units are ms, s, m and h, largest first, without spaces"
        return _refuse(self, node, name, problems, hint)

    def schema(self) -> dict[str, Any]:
        pattern = r"^(?=\d)(\d+h)?(\d+m(?!s))?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?(\d+us)?$"
        return {"type": "string", "pattern": pattern, "examples": ["250ms", "30s", "5m", "1h30m"]}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A share from 0 to 1, also written as a percentage; a float."""

    expected: str = 'a share such as "5%" or 0.05'

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        value = node.value
        if isinstance(value, str):
            match = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value)
            value = float(match.group(1)) / 100 if match else None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            return _refuse(self, node, name, problems)
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\d+(\.\d+)? ?%$"},
            ]
        }


@dataclass(frozen=True, slots=True)
class Anything:
    """Plain data: what JSON can hold."""

    expected: str = "plain data"

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        for inner in node.walk():
            if inner.kind == "scalar" and not isinstance(inner.value, (str, int, float, bool, type(None))):
                return problems.error(
                    f"{name} must be plain data, not a {type(inner.value).__name__}", inner.at, "write it in quotes"
                )
            for key, _ in inner.items:
                if not isinstance(key.value, str):
                    return problems.error(f"a key of {name} must be text, not {found(key)}", key.at)
        return node.value

    def schema(self) -> dict[str, Any]:
        return {}


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.expected = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if node.value in self.words and isinstance(node.value, str):
            return node.value
        near = suggest(node.value, self.words) or ""
        # The message lists the words already.
        return _refuse(self, node, name, problems, near if near.startswith("did you mean") else None)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


class ListOf:
    """A list of one shape."""

    def __init__(self, item: Shape, *, least: int = 0, expected: str = "a list") -> None:
        self.item = item
        self.least = least
        self.expected = expected

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if node.kind != "list":
            return _refuse(self, node, name, problems)
        if len(node.children) < self.least:
            return problems.error(f"{name} must not be empty", node.at)
        values = [self.item.read(child, f"{name}[{n}]", problems) for n, child in enumerate(node.children)]
        return BAD if any(value is BAD for value in values) else values

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), **({"minItems": self.least} if self.least else {})}


class MapOf:
    """A mapping from names of one's own to one shape."""

    def __init__(self, value: Shape, *, expected: str = "a mapping") -> None:
        self.value = value
        self.expected = expected

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if node.kind != "mapping":
            return _refuse(self, node, name, problems)
        _refuse_duplicates(node, problems)
        values: dict[str, Any] = {}
        for key, value in node.items:
            if not isinstance(key.value, str):
                problems.error(f"a key of {name} must be text, not {found(key)}", key.at, "write it in quotes")
                return BAD
            values[key.value] = self.value.read(value, f"{name}.{key.value}", problems)
        return BAD if any(value is BAD for value in values.values()) else values

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.value.schema()}


class OneOf:
    """The first of several shapes that fits; a mapping is read by the first that takes mappings."""

    def __init__(self, *shapes: Shape, expected: str | None = None) -> None:
        self.shapes = shapes
        self.expected = expected or " or ".join(shape.expected for shape in shapes)

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        tables = [shape for shape in self.shapes if isinstance(shape, (Table, MapOf))]
        if node.kind == "mapping" and tables:
            return tables[0].read(node, name, problems)
        lists = [shape for shape in self.shapes if isinstance(shape, ListOf)]
        if node.kind == "list" and lists:
            return lists[0].read(node, name, problems)
        tries: list[Problems] = []
        for shape in self.shapes:
            tried = Problems()
            value = shape.read(node, name, tried)
            if value is not BAD:
                problems.found.extend(tried.found)
                return value
            tries.append(tried)
        hint = next((p.hint for tried in tries for p in tried.found if p.hint), None)
        return _refuse(self, node, name, problems, hint)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


@dataclass(frozen=True, slots=True)
class Key:
    """
    One key of a table.

    Attributes:
        doc: One sentence: completion in editors and the tables of the documentation show it.

        default: What is read when the key is absent, as a plain value.
    """

    name: str
    shape: Shape
    doc: str
    required: bool = False
    default: Any = None


class Table:
    """
    A mapping with known keys.

    Reading gives a dict of every known key (absent ones with their default), or
    BAD. Positions stay available through the node.
    """

    def __init__(self, title: str, *keys: Key, expected: str = "a mapping") -> None:
        self.title = title
        self.keys = keys
        self.expected = expected

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        if node.kind != "mapping":
            return _refuse(self, node, name, problems)
        before = problems.wrong
        _refuse_duplicates(node, problems)
        known = {key.name: key for key in self.keys}
        values = {key.name: key.default for key in self.keys}
        given = set()
        for key_node, value_node in node.items:
            key = known.get(key_node.value) if isinstance(key_node.value, str) else None
            if key is None:
                hint = None if problems.full else suggest(key_node.value, known)
                problems.error(f"unknown key {key_node.value}", key_node.at, hint)
                continue
            given.add(key.name)
            values[key.name] = key.shape.read(value_node, key.name, problems)
        for key in self.keys:
            if key.required and key.name not in given:
                problems.error(f"{self.title} needs the key {key.name}", node.at, key.doc)
        return values if problems.wrong == before else BAD

    def schema(self) -> dict[str, Any]:
        properties = {
            key.name: {
                **key.shape.schema(),
                "description": key.doc,
                **({"default": key.default} if _plain(key.default) else {}),
            }
            for key in self.keys
        }
        required = [key.name for key in self.keys if key.required]
        return {
            "type": "object",
            "title": self.title,
            "properties": properties,
            "additionalProperties": False,
            **({"required": required} if required else {}),
        }

    def with_keys(self, *keys: Key) -> Table:
        """The same table with more keys."""
        return Table(self.title, *self.keys, *keys, expected=self.expected)


def suggest(word: Any, known: Iterable[str]) -> str | None:
    """A hint for a misspelt word."""
    names: Sequence[str] = [name for name in known if name]
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(names)}" if names else None


def _refuse_duplicates(node: Node, problems: Problems) -> None:
    first: dict[Any, int] = {}
    for key, _ in node.items:
        first.setdefault(key.value, key.at.line)
    for key in node.duplicates():
        problems.error(f"the key {key.value} stands here twice", key.at, f"the first is on line {first[key.value]}")


def _plain(value: Any) -> bool:
    return value is not None and isinstance(value, (str, bool))


text = Text()
line = Text("one line of text", pattern=r"[^\n]+")
# Names become names of files, which have 255 bytes and other things in them.
name = Text(
    "a name of letters, digits, dots, dashes and underscores", pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*", longest=100
)
integer = Number("a whole number")
count = Number("a whole number, 0 or more", least=0)
number = Number("a number", whole=False)
boolean = Boolean()
duration = Duration()
period = Duration(least=1_000_000)
ratio = Ratio()
anything = Anything()
