"""
Secrets taken out of whatever is about to be written down. Pure.

A secret seldom leaks as it stands: a URL has it percent-encoded, a header in
base64 behind a user name, a journal JSON-escaped. All those forms are found.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from drill.model import Sample

# Shorter values occur in innocent text everywhere ("1", "no"): they are taken out only where they stand alone.
SHORTEST = 4
# A line of a key file is recognisable on its own; shorter ones (BEGIN, END) say nothing.
_LINE = 16


class Scrubber:
    """Replaces the values of secrets, in any form they travel in, by `[redacted:name]`."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        names: dict[str, str] = {}
        self._alone: dict[str, str] = {}
        for name, value in secrets.items():
            if 0 < len(value) < SHORTEST:
                self._alone.setdefault(value, name)
            for form in _forms(value):
                names.setdefault(form, name)
        self._names = names
        # The longest first: a secret that contains another is replaced whole.
        longest_first = sorted(names, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if names else None

    def text(self, text: str) -> str:
        """The text without any secret."""
        if text in self._alone:
            return f"[redacted:{self._alone[text]}]"
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: f"[redacted:{self._names[found.group()]}]", text)

    def data(self, data: Any) -> Any:
        """The same for everything inside mappings (keys too) and lists; other values stay as they are."""
        if isinstance(data, str):
            return self.text(data)
        if isinstance(data, Mapping):
            return {self.data(key): self.data(value) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.data(item) for item in data]
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            # A numeric secret (a PIN) is one, too, when it comes back as a number.
            scrubbed = self.text(str(data))
            return data if scrubbed == str(data) else scrubbed
        return data

    def sample(self, sample: Sample) -> Sample:
        """A probe's sample without any secret."""
        if not sample.detail and not sample.served_by:
            return sample  # most samples are good and say nothing
        served_by = self.text(sample.served_by) if sample.served_by else sample.served_by
        return msgspec.structs.replace(sample, detail=self.text(sample.detail), served_by=served_by)


def _forms(value: str) -> Iterator[str]:
    """Every way in which *value* may stand in a text."""
    for plain in {value, value.strip(), *(line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE)}:
        if len(plain) < SHORTEST:
            continue
        raw = plain.encode("utf-8", "surrogateescape")
        yield plain
        yield repr(plain)[1:-1]
        yield json.dumps(plain)[1:-1]
        yield json.dumps(plain, ensure_ascii=False)[1:-1]
        for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            yield encoded
            yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), encoded)
        yield from _base64(raw)


def _base64(raw: bytes) -> Iterator[str]:
    """
    Base64 of *raw* wherever it begins in what was encoded ("user:" + secret).

    Of each of the three alignments, the characters that depend on the secret alone.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        part = encoded[first:last]
        if len(part) >= SHORTEST + 2:
            yield part
            yield part.replace("+", "-").replace("/", "_")
