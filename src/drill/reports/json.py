"""The record as JSON: report.json."""

from __future__ import annotations

import msgspec

from drill.model import History
from drill.record import Record


class JsonFormat:
    """Sorted keys, two spaces, one newline at the end: made to be compared line by line."""

    name = "json"
    filename = "report.json"

    def render(self, record: Record, history: History) -> bytes:
        encoded = msgspec.json.encode(record, order="sorted")
        return msgspec.json.format(encoded, indent=2) + b"\n"
