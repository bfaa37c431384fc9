"""What a drill hands to its experiments is looked at where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drill import spec

DRILL = """
drill: d
with: {{base: "http://localhost:1", from_above: hunter22}}
objectives: {{rto: 10s}}
probes: [reads]
steps:
  - watch: 1s
  - inject: e
    with: {{{handed}}}
"""
CALL = {"type": "python", "module": "os", "func": "getcwd", "timeout": 1}
EXPERIMENT = {
    "title": "t",
    "description": "d",
    "method": [{"type": "action", "name": "a", "provider": CALL}],
    "rollbacks": [{"type": "action", "name": "b", "provider": CALL}],
}


@pytest.mark.parametrize(
    ("handed", "warned"),
    [
        ("db_password: hunter22", ["db_password"]),
        ('db_password: "${env:DB_PASSWORD}"', []),
        ('db_password: "${from_above}"', ["db_password"]),
        ('db_password: "${given}"', ["db_password"]),
        ('where: "postgresql://me:hunter22@db/orders"', ["where"]),
        ('where: "${base}/health", name: orders', []),
    ],
)
def test_a_secret_that_would_stand_in_the_journal_is_warned_of(tmp_path: Path, handed: str, warned: list[str]) -> None:
    """Written down, from the drill's own with:, or from the command line; a reference to the environment is none."""
    for folder in ("drills", "experiments", "probes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "drills/d.yaml").write_text(DRILL.format(handed=handed))
    (tmp_path / "experiments/e.json").write_text(json.dumps(EXPERIMENT))
    (tmp_path / "probes/reads.yaml").write_text("probe: reads\nkind: tcp\naddress: 127.0.0.1:9\nevery: 100ms\n")
    loaded = spec.load(tmp_path / "drills/d.yaml", values={"given": "hunter22"})

    assert [(each.at.line, each.message) for each in loaded.warnings if each.at and "secret" in each.message] == [
        (9, f"a secret is handed in under {name}, and will stand in the journal as it is") for name in warned
    ]
