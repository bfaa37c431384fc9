"""
Files with positions: YAML and JSON read into nodes that know their line and column.

The loaders of PyYAML and json throw positions away, report one mistake and
take duplicate keys and bombs of aliases silently. This reads the same
documents, to the same values, and keeps what an error message needs.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # typeshed leaves it out
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

from drill.errors import Position, SpecError

# Bytes; a drill is a page, not a database, and this much is read within two seconds.
LARGEST = 128 * 1024
LARGEST_YAML = 64 * 1024  # PyYAML is slow
DEEPEST = 100  # nesting
_LONGEST_NUMBER = 4096  # bits
MOST = 100_000  # nodes after aliases are followed: bounds a "billion laughs" file

_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

Kind = Literal["mapping", "list", "scalar"]


@dataclass(slots=True)
class Node:
    """
    One value of a file.

    Attributes:
        kind: What it is.

        value: The same as plain data; of duplicate keys the last one, as every loader does.

        at: Where it begins.

        items: Of a mapping: key and value nodes in file order, duplicates included.

        children: Of a list.

        quoted: It was written in quotes, so `"30"` is text and not a number.
    """

    kind: Kind
    value: Any
    at: Position
    items: list[tuple[Node, Node]] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    quoted: bool = False

    def get(self, key: str) -> Node | None:
        """The value under a key of a mapping (of duplicates the last), or None."""
        return next((value for name, value in reversed(self.items) if name.value == key), None)

    def key(self, key: str) -> Node | None:
        """The key's own node."""
        return next((name for name, _ in reversed(self.items) if name.value == key), None)

    def duplicates(self) -> Iterator[Node]:
        """Keys of a mapping that stand there a second time."""
        seen: set[Any] = set()
        for key, _ in self.items:
            if key.value in seen:
                yield key
            seen.add(key.value)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, keys left out."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))
            stack.extend(value for _, value in reversed(node.items))


def found(node: Node) -> str:
    """What stands there, as a message shows it."""
    if node.kind != "scalar":
        return f"a {node.kind}"
    if node.value is None:
        return "empty"
    if isinstance(node.value, bool):
        return str(node.value).lower()
    if isinstance(node.value, str):
        text = node.value if len(node.value) <= 60 else node.value[:57] + "…"
        return f'"{text}"'
    return str(node.value)


def read(path: Path, shown: str | None = None) -> Node:
    """
    Read a `.json`, `.yaml` or `.yml` file.

    *shown* is how messages name the file; default the path as given.

    Raises:
        SpecError: It is missing, unreadable, not UTF-8, too large, or not well-formed.
    """
    name = shown or str(path)
    start = Position(name)
    try:
        raw = contents(path)
    except FileNotFoundError:
        raise SpecError(f"{name} does not exist", hint=_near(path)) from None
    except IsADirectoryError:
        raise SpecError(f"{name} is a folder, not a file") from None
    except OSError as error:
        raise SpecError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in a name from the command line
        raise SpecError(f"{name!r} is not the name of a file") from None
    return parse(raw, start, as_json=path.suffix.lower() == ".json")


def contents(path: Path) -> bytes:
    """
    A file's bytes, at most one more than may be read: an endless one (/dev/zero) ends here, a pipe is not waited for.

    Raises:
        OSError: It cannot be read, or is no file.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        sort = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(sort):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(sort):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read(LARGEST + 1)


def parse(raw: bytes, start: Position, *, as_json: bool) -> Node:
    """
    Parse a file's bytes; *start* names the file.

    Raises:
        SpecError: Not UTF-8, too large, or not well-formed.
    """
    most = LARGEST if as_json else LARGEST_YAML
    if len(raw) > most:
        raise SpecError(f"the file has more than {most:,} bytes, the most that is read", at=start)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        hint = "save it as UTF-8" + (
            " (it looks like UTF-16)" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:4] else ""
        )
        raise SpecError("the file is not UTF-8 text", at=Position(start.file, line, column), hint=hint) from None
    if as_json:
        return _Json(text, start).document()
    return _Yaml(start).document(text.removeprefix("\ufeff"))


def _near(path: Path) -> str | None:
    import difflib

    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    names = [child.name for child in path.parent.iterdir() if child.suffix in (".yaml", ".yml", ".json")]
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None


class _Yaml:
    """YAML by PyYAML's parser, with the values SafeLoader would give."""

    def __init__(self, start: Position) -> None:
        self.start = start
        self.count = 0
        self.constructor = SafeConstructor()

    def document(self, text: str) -> Node:
        try:
            loader = yaml.SafeLoader(text)
            try:
                root = loader.get_single_node()
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(part for part in (error.context, error.problem) if part)
            raise SpecError(
                f"this is not well-formed YAML: {said}",
                at=self._at(mark) if mark else self.start,
                hint=_yaml_hint(str(error.problem)),
            ) from None
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            at = Position(self.start.file, before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1)
            raise SpecError(f"this is not well-formed YAML: {error.reason}", at=at) from None
        except RecursionError:
            raise SpecError("the file is nested too deeply", at=self.start) from None
        if root is None:
            return Node("scalar", None, self.start)
        return self._node(root, 0, ())

    def _at(self, mark: Any) -> Position:
        return Position(self.start.file, mark.line + 1, mark.column + 1)

    def _node(self, node: Any, depth: int, above: tuple[int, ...]) -> Node:
        at = self._at(node.start_mark)
        self.count += 1
        if self.count > MOST:
            raise SpecError(
                f"the file grows beyond {MOST:,} values when its aliases are followed",
                at=at,
                hint="write the values out instead of nesting aliases (*name)",
            )
        if depth > DEEPEST:
            raise SpecError(f"the file is nested deeper than {DEEPEST} levels", at=at)
        if id(node) in above:
            raise SpecError("this alias contains itself", at=at)
        if not isinstance(node, ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise SpecError(f"{node.tag} is not plain data", at=at, hint="remove the tag that begins with !")
        inside = (*above, id(node))
        if isinstance(node, ScalarNode):
            return Node("scalar", self._scalar(node, at), at, quoted=node.style in ("'", '"'))
        if isinstance(node, SequenceNode):
            children = [self._node(child, depth + 1, inside) for child in node.value]
            return Node("list", [child.value for child in children], at, children=children)
        return self._mapping(node, at, depth, inside)

    def _scalar(self, node: ScalarNode, at: Position) -> Any:
        try:
            value = self.constructor.construct_object(node)
            if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
                raise ValueError("it is a number of more digits than anybody means")
            return value
        except ConstructorError as error:
            raise SpecError(f"this value cannot be used: {error.problem}", at=at) from None
        except (ValueError, OverflowError) as error:
            raise SpecError(f'"{node.value[:60]}" cannot be used: {error}', at=at, hint="put it in quotes") from None

    def _mapping(self, node: MappingNode, at: Position, depth: int, inside: tuple[int, ...]) -> Node:
        own: list[tuple[Node, Node]] = []
        merged: list[tuple[Node, Node]] = []
        for key_node, value_node in node.value:
            value = self._node(value_node, depth + 1, inside)
            if key_node.tag == "tag:yaml.org,2002:merge":
                for source in value.children if value.kind == "list" else [value]:
                    if source.kind != "mapping":
                        raise SpecError("<< must merge a mapping", at=source.at)
                    merged.extend(source.items)
                continue
            key = self._node(key_node, depth + 1, inside)
            if key.kind != "scalar":
                raise SpecError("a key must be plain text", at=key.at)
            own.append((key, value))
        names = {key.value for key, _ in own}
        taken: dict[Any, tuple[Node, Node]] = {}
        for key, value in merged:
            if key.value not in names:
                taken.setdefault(key.value, (key, value))
        items = [*taken.values(), *own]
        return Node("mapping", {key.value: value.value for key, value in items}, at, items=items)


def _yaml_hint(problem: str) -> str | None:
    if "cannot start any token" in problem and "\\t" in problem:
        return "indent with spaces, not tabs"
    if "mapping values are not allowed here" in problem:
        return 'a text that contains ": " must be in quotes'
    return None


_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORDS = {"true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf")}
_WORDS["-Infinity"] = float("-inf")


class _Json:
    """JSON, to the values json.loads gives."""

    def __init__(self, text: str, start: Position) -> None:
        self.text = text
        self.file = start.file
        self.lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def document(self) -> Node:
        if self.text.startswith("\ufeff"):
            raise SpecError(
                "the file begins with a byte order mark, which JSON does not allow",
                at=Position(self.file),
                hint='save it as "UTF-8 without BOM"',
            )
        node, end = self._value(self._skip(0), 0)
        end = self._skip(end)
        if end != len(self.text):
            raise self._wrong("nothing more was expected here", end)
        return node

    def _at(self, index: int) -> Position:
        from bisect import bisect_right

        line = bisect_right(self.lines, index)
        return Position(self.file, line, index - self.lines[line - 1] + 1)

    def _wrong(self, message: str, index: int, hint: str | None = None) -> SpecError:
        return SpecError(f"this is not well-formed JSON: {message}", at=self._at(index), hint=hint)

    def _skip(self, index: int) -> int:
        match = _SPACE.match(self.text, index)
        return match.end() if match else index

    def _value(self, index: int, depth: int) -> tuple[Node, int]:
        if depth > DEEPEST:
            raise SpecError(f"the file is nested deeper than {DEEPEST} levels", at=self._at(index))
        at = self._at(min(index, max(0, len(self.text) - 1)))
        start = self.text[index : index + 1]
        if start == "{":
            return self._object(index + 1, at, depth)
        if start == "[":
            return self._array(index + 1, at, depth)
        if start == '"':
            value, end = self._string(index)
            return Node("scalar", value, at, quoted=True), end
        for word, constant in _WORDS.items():
            if self.text.startswith(word, index):
                return Node("scalar", constant, at), index + len(word)
        match = _NUMBER.match(self.text, index)
        if match:
            try:
                return Node("scalar", json.loads(match.group()), at), match.end()
            except ValueError as error:  # more digits than Python converts
                raise self._wrong(str(error), index) from None
        if not start:
            raise self._wrong("the file ends where a value was expected", len(self.text))
        hint = "use double quotes" if start == "'" else None
        raise self._wrong(f"a value was expected, not {start!r}", index, hint)

    def _string(self, index: int) -> tuple[str, int]:
        try:
            value, end = cast(tuple[str, int], scanstring(self.text, index + 1, True))
        except json.JSONDecodeError as error:
            raise self._wrong(error.msg[:1].lower() + error.msg[1:], error.pos) from None
        return value, end

    def _object(self, index: int, at: Position, depth: int) -> tuple[Node, int]:
        items: list[tuple[Node, Node]] = []
        index = self._skip(index)
        if self.text[index : index + 1] == "}":
            return Node("mapping", {}, at), index + 1
        while True:
            if self.text[index : index + 1] != '"':
                ended = self.text[index : index + 1] == "}"
                hint = "remove the comma before it" if ended and items else "keys stand in double quotes"
                raise self._wrong("a key in double quotes was expected", index, hint)
            key_at = self._at(index)
            key, index = self._string(index)
            index = self._skip(index)
            if self.text[index : index + 1] != ":":
                raise self._wrong("a colon was expected after the key", index)
            value, index = self._value(self._skip(index + 1), depth + 1)
            items.append((Node("scalar", key, key_at, quoted=True), value))
            index = self._skip(index)
            after = self.text[index : index + 1]
            if after == "}":
                return Node("mapping", {k.value: v.value for k, v in items}, at, items=items), index + 1
            if after != ",":
                raise self._wrong("a comma or } was expected", index)
            index = self._skip(index + 1)

    def _array(self, index: int, at: Position, depth: int) -> tuple[Node, int]:
        children: list[Node] = []
        index = self._skip(index)
        if self.text[index : index + 1] == "]":
            return Node("list", [], at), index + 1
        while True:
            child, index = self._value(index, depth + 1)
            children.append(child)
            index = self._skip(index)
            after = self.text[index : index + 1]
            if after == "]":
                return Node("list", [child.value for child in children], at, children=children), index + 1
            if after != ",":
                raise self._wrong("a comma or ] was expected", index)
            index = self._skip(index + 1)
            if self.text[index : index + 1] == "]":
                raise self._wrong("a value was expected, not ']'", index, "remove the comma before it")
