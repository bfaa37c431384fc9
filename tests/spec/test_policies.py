"""A policy file becomes the rules it says, and its schema knows the same keys."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import yaml

from drill.cli import schema
from drill.model import SECOND
from drill.policy import KNOWN, Rules
from drill.spec import policies
from drill.windows import Freeze, Window
from tests.fuzz.test_files import FULL_POLICY

README = Path(__file__).parents[2] / "README.md"
BERLIN = ZoneInfo("Europe/Berlin")
CHRISTMAS = Freeze(datetime(2026, 12, 20), datetime(2027, 1, 6, 12), BERLIN, "Christmas")


def written(folder: Path, text: str) -> policies.Written:
    path = folder / policies.NAME
    path.write_text(text)
    return policies.load(path)


def test_every_key_becomes_a_rule(tmp_path: Path) -> None:
    """The whole policy, with what an environment takes from default."""
    (tmp_path / "signers").touch()
    found = written(tmp_path, FULL_POLICY)

    assert found.signers == tmp_path / "signers"
    assert found.variables == ("GITHUB_ACTOR",)
    assert found.policy.signed
    assert found.policy.default == Rules(freezes=(CHRISTMAS,))
    assert found.policy.environments == {
        "lab": Rules(
            freezes=(CHRISTMAS,),
            actions=("python:drill.actions.**", "process:kubectl"),
            named=("http:https://chaos.example/**",),
        ),
        "production": Rules(
            protected=True,
            who=("alice", "group:sre", "env:GITHUB_ACTOR=octocat"),
            drills=("region-*",),
            systems=("orders",),
            windows=(Window((1, 2), 540, 960, ZoneInfo("America/New_York")),),
            freezes=(CHRISTMAS,),
            actions=KNOWN,
            share=0.5,
            regions=1,
            faults=1,
            untold=False,
            longest=1800 * SECOND,
            approvals=2,
            approvers=("group:sre",),
            fresh=24 * 3600 * SECOND,
        ),
    }


def test_a_day_is_frozen_to_its_end(tmp_path: Path) -> None:
    """`to: 2027-01-06` means that the sixth is frozen, too, in quotes or not."""
    text = "policy: drill-policy-v1\ndefault: {freezes: [{from: 2027-01-06, to: %s, zone: Europe/Berlin}]}\n"
    ends = [written(tmp_path, text % day).policy.default for day in ("2027-01-06", '"2027-01-06"')]

    assert [rules.freezes[0].ends for rules in ends if rules] == [datetime(2027, 1, 7)] * 2


def test_the_policy_in_the_readme_is_one(tmp_path: Path) -> None:
    """What people copy works."""
    (text,) = re.findall(r"```yaml\n(policy: .*?)```", README.read_text(), re.DOTALL)

    assert sorted(written(tmp_path, text).policy.environments) == ["lab", "production"]


def test_the_schema_knows_every_key() -> None:
    """An editor with the schema finds nothing wrong with a full policy, and something with a misspelt one."""
    validator = jsonschema.Draft202012Validator(json.loads(schema.document("policy")))
    plain = json.loads(json.dumps(yaml.safe_load(FULL_POLICY), default=str))

    assert [error.message for error in validator.iter_errors(plain)] == []
    plain["environments"]["production"]["whoo"] = ["bob"]
    assert len(list(validator.iter_errors(plain))) == 1
