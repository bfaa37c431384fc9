"""What the record writes a number as: with its doubt, or null with the reason."""

from __future__ import annotations

import msgspec


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the record; unlike in the journal, defaults are written out."""


class BoundsS(Field, frozen=True):
    """A duration in seconds; *upper_s* is null when the run ended first."""

    lower_s: float | None
    upper_s: float | None
    reason: str | None = None


class CountBounds(Field, frozen=True):
    lower: int | None
    upper: int | None
    reason: str | None = None


class RatioBounds(Field, frozen=True):
    """A share of all samples, 0 to 1."""

    lower: float | None
    upper: float | None
    reason: str | None = None


class Instant(Field, frozen=True):
    """Seconds since the run began."""

    lower: float
    upper: float


class Factor(Field, frozen=True):
    """A multiple of the baseline's."""

    value: float | None
    reason: str | None = None
