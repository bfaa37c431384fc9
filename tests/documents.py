"""
The generated parts of README.md: tables of keys and commands, and the files it shows.

`python -m tests.documents` writes them; a test holds that they are up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from drill.cli import COMMANDS, drill
from drill.spec import tables
from drill.spec.shape import Key, Table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def keys(table: Table, prefix: str = "") -> list[tuple[str, str]]:
    """Every key of a table, those of the tables inside it too, with what they are for."""
    rows: list[tuple[str, str]] = []
    for key in table.keys:
        need = ", required" if key.required else ""
        rows.append((f"`{prefix}{key.name}`{need}", key.doc))
        rows += inside(key, f"{prefix}{key.name}")
    return rows


def inside(key: Key, path: str) -> list[tuple[str, str]]:
    shape: Any = key.shape
    if isinstance(shape, Table) and key.name != "objectives":
        return keys(shape, f"{path}.")
    item = getattr(shape, "item", None)
    return keys(item, f"{path}[].") if isinstance(item, Table) else []


def commands() -> list[tuple[str, str]]:
    rows = []
    for name in COMMANDS:
        command = drill.get_command(click.Context(drill), name)
        assert command is not None
        help_text = (command.help or "").split("\n\n")[0]
        rows.append((f"`drill {name}`", " ".join(help_text.split())))
    return rows


def table(heads: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {heads[0]} | {heads[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {left} | {right} |".replace("|}", "\\|}") for left, right in rows)])


TABLES: dict[str, Callable[[], str]] = {
    "drill": lambda: table(("key", "means"), keys(tables.DRILL)),
    "probe": lambda: table(("key", "means"), keys(Table("a probe", *tables.PROBE_KEYS))),
    "commands": lambda: table(("command", "does"), commands()),
}


def rendered(text: str) -> str:
    """The document with its generated parts made anew."""
    text = re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}",
        text,
        flags=re.S,
    )
    return re.sub(
        r"(```yaml\n# (\w+/[\w.-]+)\n).*?(```)",
        lambda found: f"{found[1]}{(ROOT / found[2]).read_text()}{found[3]}",
        text,
        flags=re.S,
    )


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
