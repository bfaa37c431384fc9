"""Every benchmark works; how fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import run
from bench.rows import Row, line

ROOT = Path(__file__).parents[1]


def rows(name: str) -> list[Row]:
    """What a quick run of one benchmark gives."""
    argv = [sys.executable, "-m", f"bench.{name}", "--quick", "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return [Row(**row) for row in json.loads(done.stdout)]


@pytest.mark.parametrize("name", [name for name in run.NAMES if name not in ("accuracy", "ledger")])
def test_a_benchmark_runs(name: str) -> None:
    """Quickly, at a small size, with something to say."""
    found = rows(name)

    assert found
    assert all(row.value is not None or row.beside for row in found)


@pytest.mark.lab
def test_the_benchmark_of_the_ledger_runs() -> None:
    """Against a real PostgreSQL, beside pgbench."""
    found = rows("ledger")

    assert found[0].beside == "pgbench"
    assert found[0].peer


def test_the_truth_is_inside_the_bounds() -> None:
    """However busy the machine: every outage that the server had lies inside the bounds that drill gives."""
    inside = rows("accuracy")[0]

    assert inside.value == inside.peer, line(inside)


def test_the_readme_shows_what_was_measured() -> None:
    """bench/README.md has the tables that results.json makes, and no other."""
    readme = run.README.read_text()
    results: dict[str, Any] = json.loads(run.RESULTS.read_text()) if run.RESULTS.exists() else {}

    assert run.with_table(readme, results) == readme
    assert all(f"[{name}]({name}.py)" in readme for name in run.NAMES)


def test_what_was_not_measured_is_called_that() -> None:
    """A missing peer is no 0."""
    row = Row("probes a second", 2400.0, "hey", None, None, "2,000", None)

    assert line(row) == "probes a second: 2,400; hey: not measured; goal 2,000: not measured"
