"""
Reports: a record turned into bytes.

A format is a pure function of the record and the history: no clock, host,
locale or random number, so that the same journal gives the same bytes. One that
is made with a library of an extra has `needs`, that library's name; where it is
not installed, the format is passed over unless a person asks for it.
"""

from __future__ import annotations

from typing import Protocol

from drill.model import History
from drill.record import Record


class Format(Protocol):
    """One way to write a record down."""

    name: str
    filename: str

    def render(self, record: Record, history: History) -> bytes:
        """The file's bytes."""
