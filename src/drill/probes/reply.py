"""An HTTP answer: what came, and what is in it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What a compressed answer may grow to: a few kilobytes can hold gigabytes of zeros.
_MOST_INFLATED = 256 * 1024 * 1024
# zlib's window bits that accept the header of either format; deflate also comes without any, see inflated.
_FORMATS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True)
class Reply:
    """
    An answer.

    Attributes:
        headers: Names and values as they came, in their order.

        body: Decompressed.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name; None when there is none."""
        return first_header(self.headers, name.lower().encode())


def first_header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    """The first value of the header of this lower-case name."""
    return next((value.decode("utf-8", "replace") for name, value in headers if name.lower() == wanted), None)


def inflated(body: bytes, coding: str) -> bytes:
    """
    *body* without its compression; with one that we do not know, as it came.

    Raises ValueError when it is broken, cut short or grows too much.
    """
    if coding not in _FORMATS:
        return body
    bits = _FORMATS[coding]
    if coding == "deflate" and body[0] & 0x0F != 8:
        bits = -zlib.MAX_WBITS  # some servers leave out the header that deflate should have
    inflating = zlib.decompressobj(bits)
    try:
        plain = inflating.decompress(body, _MOST_INFLATED)
    except zlib.error as error:
        raise ValueError("broken") from error
    if not inflating.eof:
        raise ValueError("cut short, or too large")
    return plain
