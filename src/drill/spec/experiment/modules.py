"""
Python functions that an experiment names, looked up without importing anything.

Importing runs a stranger's code, may take seconds, and needs all that the
module needs. Finding its file and reading what it defines needs none of that.
"""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

# chaoslib hands these in when a function asks for them.
GIVEN = ("configuration", "secrets")


class Known(Enum):
    """How much is known of a function."""

    NO_MODULE = "no module"  # not installed here
    NO_FUNCTION = "no function"  # the module is here and defines no such name
    NAME_ONLY = "name only"  # it is there, or may be; its signature cannot be read
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Function:
    """
    What a source file says of a function.

    Attributes:
        names: Functions that the module does define, when this one is not among them.

        required: Arguments without a default.

        accepted: Every argument that can be given by name.

        anything: It takes any other name, too (`**kwargs`).
    """

    known: Known
    names: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    anything: bool = False

    def missing(self, given: Mapping[str, object]) -> list[str]:
        return [name for name in self.required if name not in given and name not in GIVEN]

    def unexpected(self, given: Mapping[str, object]) -> list[str]:
        return [] if self.anything else [str(name) for name in given if name not in self.accepted]


@lru_cache(maxsize=256)
def find(module: str, name: str, folder: str = "") -> Function:
    """Look *name* up in *module*, which may also stand in *folder*."""
    spec = _spec(module, folder)
    if spec is None:
        return Function(Known.NO_MODULE)
    tree = _tree(spec.origin) if spec.has_location and spec.origin and spec.origin.endswith(".py") else None
    if tree is None:
        return Function(Known.NAME_ONLY)
    defined: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None] = {}
    dynamic = _collect(tree.body, defined)
    if name not in defined:
        functions = tuple(key for key, node in defined.items() if node is not None)
        return Function(Known.NAME_ONLY if dynamic else Known.NO_FUNCTION, names=functions)
    node = defined[name]
    # A decorator may change what is accepted.
    if node is None or node.decorator_list:
        return Function(Known.NAME_ONLY)
    return _signature(node.args)


def exists(module: str, folder: str = "") -> bool:
    """Whether *module* is installed here, or stands in *folder*."""
    return _spec(module, folder) is not None


def file_of(module: str, folder: str) -> str | None:
    """The file of *module*, found without importing anything; None for what has none, or is not there."""
    spec = _spec(module, folder)
    return spec.origin if spec is not None and spec.has_location else None


def _spec(module: str, folder: str) -> ModuleSpec | None:
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    found: ModuleSpec | None = None
    try:
        for finder in sys.meta_path:
            found = finder.find_spec(parts[0], None)
            if found:
                break
        if found is None and folder:
            found = PathFinder.find_spec(parts[0], [folder])
        for end in range(2, len(parts) + 1):
            if found is None or found.submodule_search_locations is None:
                # `os.path` and its like: a module that another one puts in place.
                return sys.modules[module].__spec__ if module in sys.modules else None
            found = PathFinder.find_spec(".".join(parts[:end]), list(found.submodule_search_locations))
    except (ImportError, AttributeError, ValueError, OSError):
        return None
    return found


@lru_cache(maxsize=16)  # the functions of one experiment are mostly of one module
def _tree(origin: str) -> ast.Module | None:
    try:
        if Path(origin).stat().st_size > 4_000_000:
            return None
        with tokenize.open(origin) as file:
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _collect(body: Sequence[ast.stmt], defined: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | None]) -> bool:
    """Fill *defined* with every name of the module; True when it may define more than can be read."""
    dynamic = False
    for statement in body:
        match statement:
            case ast.FunctionDef(name="__getattr__"):
                dynamic = True
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                # Defined twice (if, else): either may be the one.
                defined[statement.name] = None if statement.name in defined else statement
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                for alias in names:
                    dynamic = dynamic or alias.name == "*"
                    defined[(alias.asname or alias.name).split(".")[0]] = None
            case ast.ClassDef():
                defined[statement.name] = None
            case ast.Expr(value=ast.Call()):
                dynamic = True  # globals().update(…), setattr(…): anything may be defined
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                        defined[node.id] = None
                    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                        dynamic = True  # globals()[…] = …
            case _:
                for inner in _blocks(statement):
                    dynamic = _collect(inner, defined) or dynamic
    return dynamic


def _blocks(statement: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        yield getattr(statement, field, [])
    for handler in getattr(statement, "handlers", []):
        yield handler.body


def _signature(arguments: ast.arguments) -> Function:
    by_name = [argument.arg for argument in arguments.args]
    only_position = [argument.arg for argument in arguments.posonlyargs]
    positional = [*only_position, *by_name]
    required = positional[: len(positional) - len(arguments.defaults)]
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        by_name.append(argument.arg)
        if default is None:
            required.append(argument.arg)
    return Function(
        Known.SIGNATURE,
        required=tuple(required),
        accepted=tuple(by_name),
        anything=arguments.kwarg is not None,
    )
