"""One line of the table: what was measured, beside what, and whether that is good enough."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Row:
    """
    Attributes:
        what: What was measured, with its unit.

        value: What came out; None when it could not be measured, and *note* says why.

        beside: The peer or the limit, measured in the same run or stated.

        peer: Its value, in the same unit; None when it was not there.

        ratio: value / peer, where that means something.

        goal: What we want, in words; "" where the row is for comparison only.

        reached: Whether it is so; None when that was not measured.
    """

    what: str
    value: float | None
    beside: str = ""
    peer: float | None = None
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None
    note: str = ""


class Say(Protocol):
    def __call__(self, text: str) -> None: ...


Measure = Callable[[bool, Say], Sequence[Row]]


def ratio(value: float | None, peer: float | None) -> float | None:
    return None if value is None or not peer else value / peer


def say(text: str) -> None:
    """Progress, on standard error so that results may be piped."""
    print(f"  {text}", file=sys.stderr, flush=True)


def main(measure: Measure) -> None:
    """A benchmark as a program: rows as JSON with --json, else as text."""
    options = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    options.add_argument("--quick", action="store_true", help="small sizes: shows that it works, proves nothing")
    options.add_argument("--json", action="store_true", help="rows as JSON on standard output")
    chosen = options.parse_args()
    rows = measure(chosen.quick, say)
    if chosen.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        print(line(row))


def line(row: Row) -> str:
    """A row for people."""
    cells = cells_of(row)
    return (
        f"{cells[0]}: {cells[1]}"
        + (f"; {row.beside}: {cells[3]}" if row.beside else "")
        + (f"; ratio {cells[4]}" if row.ratio is not None else "")
        + (f"; goal {row.goal}: {cells[6]}" if row.goal else "")
        + (f" ({row.note})" if row.note else "")
    )


def cells_of(row: Row) -> tuple[str, ...]:
    reached = {True: "yes", False: "no", None: "not measured"}[row.reached] if row.goal else ""
    peer = shown(row.peer) if row.beside else ""
    return row.what, shown(row.value), row.beside, peer, shown(row.ratio, ""), row.goal, reached, row.note


def shown(value: float | None, otherwise: str = "not measured") -> str:
    """Three significant digits, thousands apart; whole where it is whole."""
    if value is None:
        return otherwise
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def as_installed(folder: Path) -> dict[str, str]:
    """
    The environment of a program on a machine where it ran before: its bytecode is kept, in *folder*.

    Where Python is told to keep none, as in many containers, what stands in
    site-packages has some all the same, and drill's own sources would be
    compiled anew each time.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "HOME": str(folder)}


def on_core(n: int) -> None:
    """Keep this process on one core, the n-th it may use (the last, when there are fewer)."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[min(n, len(cores) - 1)]})


def peak_mib() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; *values* need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
