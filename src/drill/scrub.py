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

from drill.model import Plan, Sample, SurvivorRead

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

    def reading(self, read: SurvivorRead) -> SurvivorRead:
        """What somebody found in a store, without any secret in who answered or why nobody did."""
        error = self.text(read.error) if read.error else read.error
        return msgspec.structs.replace(read, source=self.text(read.source), error=error)


# In an address: `scheme://user:password@host`, and `password=…` of a DSN.
_IN_ADDRESS = re.compile(r"(?<=://)([^/@:\s]*):([^/@\s]+)@")
_IN_DSN = re.compile(r"(?i)(\bpassword\s*=\s*)('[^']*'|[^'\s&]+)")
_NAMED_SO = re.compile(
    r"(?i)passw|passphrase|secret|token|credential|private|api[-_]?key|access[-_]?key|(^|_)pwd$|authorization|cookie"
)
# As a word of its own, a shorter one ("postgres") would take innocent text with it.
_TELLING = 8


def concealed(plan: Plan) -> tuple[Plan, dict[str, str]]:
    """
    The plan as it may be written down, and what was taken out of it, by name.

    For passwords that somebody wrote into a probe or a load, or gave them on the command line, where a
    reference to the environment should stand. What an experiment is given stays: its undo needs it, and
    reading the drill warns of it.
    """
    found: dict[str, str] = {}
    probes = tuple(
        msgspec.structs.replace(probe, options=_concealed(probe.options, probe.name, found)) for probe in plan.probes
    )
    load = plan.load
    if load is not None:
        request, environment = (_concealed(part, "load", found) for part in (load.request, load.environment))
        load = msgspec.structs.replace(load, request=request, environment=environment)
    return msgspec.structs.replace(plan, probes=probes, load=load), found


def written(data: Any) -> bool:
    """Whether a password stands in this part of a file."""
    found: dict[str, str] = {}
    return bool(_concealed(data, "", found) != data)


def _concealed(data: Any, name: str, found: dict[str, str]) -> Any:
    if isinstance(data, dict):
        return {
            key: _named(value, f"{name}.{key}", found)
            if isinstance(value, str) and _NAMED_SO.search(str(key)) and "${" not in value
            else _concealed(value, name, found)
            for key, value in data.items()
        }
    if isinstance(data, (list, tuple)):
        return [_concealed(item, name, found) for item in data]
    if not isinstance(data, str):
        return data

    def taken(match: re.Match[str], before: str, after: str) -> str:
        if "${" in match[2]:
            return match[0]  # a reference, which stays one
        found[f"{name}.password"] = f"{before}{match[2]}{after}"
        return f"{match[1]}{':' if after else ''}[redacted:{name}.password]{after}"

    text = _IN_ADDRESS.sub(lambda match: taken(match, ":", "@"), data)
    return _IN_DSN.sub(lambda match: taken(match, match[1], ""), text)


def _named(value: str, name: str, found: dict[str, str]) -> str:
    if len(value) >= _TELLING:
        found[name] = value
    return f"[redacted:{name}]"


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
