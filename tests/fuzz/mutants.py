"""Files a little wrong: what editors, merges, transfers and enemies make of a good one."""

from __future__ import annotations

import random
from collections.abc import Iterator

WORDS = [
    b"null", b"~", b"true", b"[]", b"{}", b"''", b'""', b"-1", b"0", b"1e999", b".nan", b"9" * 400, b"1:2:3", b"0x1f",
    b"2026-13-45", b"&a", b"*a", b"<<: *a", b"!!python/none", b"!!set {a, b}", b"|", b">-", b"%TAG ! x", b"---", b"...",
    b"${env:HOME}", b"${", b"${a.b}", b"${env:}", b"${${a}}", b"{{7*7}}", b"$(id)", b"../../../etc/passwd",
    b"/dev/zero",
    b"x" * 300, "ü😀\u202e".encode(), b"\xff\xfe", b"\0", b"\x1b[2J", b"\t", b"\r\n", b"? [a]", b"- - - -", b"5 minuts",
    b"1h1h", b"-5s", b"200%", b"method:", b"probes:", b"steps:", b"rollbacks: null", b"provider: []", b"type: python",
    b"module: os", b"func: system", b"path: sh", b"with: {a: ${env:HOME}}", b"drill: [", b"kind: command", b"inject: 5",
]  # fmt: skip


def mutants(original: bytes, seed: str, count: int) -> Iterator[bytes]:
    """So many variations of a file, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        data = original
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            data = rng.choice(_WAYS)(data, rng)
        yield data


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    begin = _place(data, rng)
    return begin, min(len(data), begin + rng.choice((1, 1, 2, 5, 20, 100)))


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _delete(data: bytes, rng: random.Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:begin] + data[end:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    begin, end = _span(data, rng)
    return data[:end] + data[begin:end] * rng.choice((1, 2, 50)) + data[end:]


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.choice(WORDS) + data[at:]


def _value(data: bytes, rng: random.Random) -> bytes:
    """Another value after a key."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(b":")
    lines[at] = key + (colon or b":") + b" " + rng.choice(WORDS)
    return b"\n".join(lines)


def _lines(data: bytes, rng: random.Random) -> bytes:
    """Lines swapped, dropped, doubled or indented otherwise."""
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(4)
    if way == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif way == 1:
        del lines[one]
    elif way == 2:
        lines.insert(other, lines[one])
    else:
        lines[one] = b" " * rng.randrange(6) + lines[one].lstrip()
    return b"\n".join(lines)


_WAYS = (_cut, _delete, _repeat, _flip, _insert, _insert, _value, _value, _value, _lines, _lines)
