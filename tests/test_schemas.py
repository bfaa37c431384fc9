"""The schemas that editors and readers of report.json use are those of the program."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from drill.cli import schema

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("of", ["drill", "probe", "policy", "report"])
def test_the_published_schema_is_up_to_date(of: str) -> None:
    """reports/schema/ holds what `drill schema` prints."""
    assert (ROOT / "reports/schema" / f"{of}.schema.json").read_text() == schema.document(of)


@pytest.mark.parametrize("of", ["drill", "probe"])
def test_shipped_files_fit_their_schema(of: str) -> None:
    """An editor with the schema finds nothing wrong with the shipped files."""
    validator = jsonschema.Draft202012Validator(json.loads(schema.document(of)))

    files = sorted((ROOT / f"{of}s").glob("*.yaml"))
    assert files
    for file in files:
        assert [error.message for error in validator.iter_errors(yaml.safe_load(file.read_text()))] == [], file
