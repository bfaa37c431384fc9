"""
Whatever stands in a file, `drill lint` answers in sentences.

Here a part of the mutants, with a fixed seed; `make fuzz` runs 500 and more of every shipped file.
"""

from __future__ import annotations

import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drill.cli import lint
from drill.errors import Problem
from drill.spec import policies, source, tables
from tests.fuzz.mutants import WORDS, mutants

ROOT = Path(__file__).parents[2]
FOLDERS = ("drills", "experiments", "probes")
POLICY = "drill-policy.yaml"
SHIPPED = [POLICY, *(f"{name}/{path.name}" for name in FOLDERS for path in sorted((ROOT / name).glob("*.yaml")))]
# Of each file; `make fuzz` says more.
MUTANTS = int(os.environ.get("DRILL_MUTANTS", "12"))

FULL_POLICY = """
policy: drill-policy-v1
signers: signers
default:
  freezes: [{from: 2026-12-20, to: "2027-01-06 12:00", zone: Europe/Berlin, reason: Christmas}]
environments:
  lab: {actions: ["python:drill.actions.**", "process:kubectl"], actions_if_named: ["http:https://chaos.example/**"]}
  production:
    protected: true
    who: [alice, "group:sre", "env:GITHUB_ACTOR=octocat"]
    drills: ["region-*"]
    systems: [orders]
    windows: [{days: [tue, wed], from: "09:00", to: "16:00", zone: America/New_York}]
    blast_radius: {share: 50%, regions: 1, faults: 1, untold: refuse}
    longest: 30m
    approvals: {count: 2, by: ["group:sre"], within: 24h}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shipped files, with a policy."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name)
    (folder / POLICY).write_text(FULL_POLICY)
    (folder / "signers").touch()
    return folder


@pytest.fixture(autouse=True)
def _quick(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that stay as they are need not be parsed a thousand times."""
    monkeypatch.setattr(source, "parse", lru_cache(maxsize=200)(source.parse))
    monkeypatch.chdir(project)


def checked(path: Path) -> list[Problem]:
    """Everything `drill lint` says of a file: printable sentences, without the text of any file outside."""
    problems = lint._check(path)
    for problem in problems:
        said = str(problem)
        assert all(letter.isprintable() or letter == "\n" for letter in said), said
        assert "root:x:0" not in said
    return problems


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.timeout(1800)
def test_no_mutant_of_a_shipped_file_makes_a_traceback(name: str, project: Path) -> None:
    """Cut, doubled, swapped, flipped, hostile: every one is read, or refused in a sentence, and nothing is run."""
    path = project / name
    original = path.read_bytes()
    assert checked(path) == [problem for problem in checked(path) if problem.severity.value != "error"]
    before = sorted(project.rglob("*"))
    try:
        for mutant in mutants(original, name, MUTANTS):
            path.write_bytes(mutant)
            try:
                checked(path)
            except Exception as error:
                error.add_note(f"of {name}: {mutant!r}")
                raise
    finally:
        path.write_bytes(original)
    assert sorted(project.rglob("*")) == before


def _keys(shape: Any) -> set[str]:
    """Every key that a table knows, at any depth."""
    found = set()
    for part in (*getattr(shape, "keys", ()), *getattr(shape, "shapes", ())):
        inner = getattr(part, "shape", part)
        found |= {part.name} if hasattr(part, "name") else set()
        found |= _keys(inner) | _keys(getattr(inner, "item", None)) | _keys(getattr(inner, "value", None))
    return found


EXPERIMENT = {"title", "description", "method", "rollbacks", "configuration", "secrets", "controls", "runtime", "tags",
              "steady-state-hypothesis", "provider", "type", "name", "module", "func", "arguments", "path", "url",
              "timeout", "tolerance", "pauses", "background", "ref", "dry", "extensions", "hypothesis", "strategy",
              "probes", "key", "headers", "max_retries"}  # fmt: skip
KEYS = sorted(_keys(tables.DRILL) | _keys(policies.POLICY) | {key.name for key in tables.PROBE_KEYS} | EXPERIMENT)
TEXTS = [word.decode(errors="replace") for word in WORDS]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*TEXTS, "30s", "python", "http", "action", "probe", "env", "orders-reads", "region-outage"])
    | st.text(max_size=20)
)
DATA = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
BEGINNINGS = [
    {"drill": "a", "objectives": {"rto": "1s"}, "probes": ["orders-reads"], "lab": "two-regions"},
    {"probe": "fuzzed", "kind": "http"},
    {"probe": "fuzzed", "kind": "postgres"},
    {"title": "a", "description": "b", "method": []},
    {"policy": "drill-policy-v1"},
    {},
]


@given(st.sampled_from(BEGINNINGS), st.dictionaries(st.sampled_from(KEYS), DATA, max_size=8))
@settings(
    max_examples=10 * MUTANTS, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
def test_no_data_under_known_keys_makes_a_traceback(beginning: dict[str, Any], more: dict[str, Any]) -> None:
    """Right keys with wrong values, at any depth: read, or refused in a sentence."""
    path = Path("fuzzed.json")
    path.write_bytes(json.dumps({**beginning, **more}).encode("utf-8", "surrogatepass"))
    try:
        checked(path)
    finally:
        path.unlink()
