"""JSON Schemas of what drill reads and writes, from the same definitions that read and write it."""

from __future__ import annotations

from typing import Any

import msgspec

from drill.record import SCHEMA, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(type: Any, *, title: str, description: str = "") -> dict[str, Any]:
    """The JSON Schema of any msgspec type, self-contained, made for editors and validators."""
    (found,), components = msgspec.json.schema_components((type,), ref_template="#/$defs/{name}")
    schema: dict[str, Any] = {"$schema": DIALECT, "title": title}
    if description:
        schema["description"] = description
    # A $ref beside other keys is fine since draft 2019-09.
    schema.update(found)
    schema["$defs"] = dict(sorted(components.items()))
    return schema


def report_schema() -> dict[str, Any]:
    """The JSON Schema of report.json."""
    return schema_of(Record, title=SCHEMA, description="The report of one drill, as written by drill.")


def encode(schema: dict[str, Any]) -> bytes:
    """A schema's bytes, stable: sorted keys, two spaces, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"
