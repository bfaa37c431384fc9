"""What a good answer is: pure comparisons of what came with what a file expects."""

from __future__ import annotations

import json
import re
from typing import Any

MISSING = object()


def at(data: Any, path: str) -> Any:
    """The value at a dotted path such as `orders.0.id` (a leading `$.` is accepted), or MISSING."""
    for step in re.findall(r"[^.\[\]]+", path.removeprefix("$")):
        if isinstance(data, dict) and step in data:
            data = data[step]
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return MISSING
    return data


def difference(expected: Any, found: Any, path: str = "") -> str:
    """
    Where *found* lacks what is *expected*, in words; "" when nothing is lacking.

    Mappings may hold more than is expected, lists may not. true is not 1. Only
    what was found is shown: what is expected may have come from a secret.
    """
    where = f"json {path}" if path else "json"
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{where} is {shown(found)}, not an object"
        for key, value in expected.items():
            inner = f"{path}.{key}" if path else key
            if key not in found:
                return f"json {inner} is missing"
            if lacking := difference(value, found[key], inner):
                return lacking
        return ""
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return f"{where} is {shown(found)}, not a list of {len(expected)}"
        pairs = enumerate(zip(expected, found, strict=True))
        return next((lack for n, (one, other) in pairs if (lack := difference(one, other, f"{path}.{n}"))), "")
    same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    return "" if same else f"{where} is {shown(found)}"


def shown(value: Any) -> str:
    """A value as a message shows it, at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def filled(template: Any, **values: int) -> Any:
    """*template* with `${id}` and the like put in: a number where that is all there is, text within text."""
    if isinstance(template, dict):
        return {filled(key, **values): filled(inner, **values) for key, inner in template.items()}
    if isinstance(template, list):
        return [filled(inner, **values) for inner in template]
    if not isinstance(template, str):
        return template
    for name, value in values.items():
        reference = "${" + name + "}"
        if template == reference:
            return value
        template = template.replace(reference, str(value))
    return template


def number(value: Any) -> float | None:
    """*value* as a finite number, if it is one (text counts, true does not)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        result = float(value)
    except ValueError:
        return None
    return result if result - result == 0 else None
