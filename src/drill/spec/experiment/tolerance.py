"""What a steady state is compared with: can it be met, can it fail, can it be evaluated at all?"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from typing import Any

from drill.spec.experiment.findings import Findings, number
from drill.spec.source import Node, found

# What chaoslib gives back, in place of one value.
_PARTS = {"process": ("status", "stdout", "stderr"), "http": ("status", "headers", "body")}
_KEYS = {
    "regex": ("type", "pattern", "target"),
    "jsonpath": ("type", "path", "count", "expect", "target"),
    "range": ("type", "range", "target"),
}
_ALWAYS = ("true", "echo", ":", "printf")


def check(node: Node, probe: Node, findings: Findings, check_probe: Callable[[Node], None]) -> None:
    """Check the tolerance *node* of *probe*; one that is a probe itself is left to *check_probe*."""
    provider = probe.value.get("provider")
    kind = provider.get("type") if isinstance(provider, dict) else None
    if node.kind == "list":
        _list(node, kind, findings)
    elif node.kind == "mapping":
        _mapping(node, kind, findings, check_probe)
    elif isinstance(node.value, (bool, str)):
        if isinstance(node.value, str):
            findings.references(node)
        if kind in _PARTS:
            findings.warning(
                f"{found(node)} can never be met: {_a(kind)} probe gives {', '.join(_PARTS[kind])}",
                node,
                "compare its status with a number, or a part of it with a regex",
            )
    elif isinstance(node.value, int):
        if kind == "http" and not 100 <= node.value <= 599:
            findings.warning(f"{node.value} can never be met: it is no HTTP status", node)
        elif kind == "process" and not -64 <= node.value <= 255:
            findings.warning(f"{node.value} can never be met: it is no exit code", node)
    else:
        hint = "type: range allows decimals" if isinstance(node.value, float) else None
        findings.error(
            f"a tolerance must be a number, a text, true or false, a list or a mapping, not {found(node)}", node, hint
        )
    if kind == "process" and isinstance(provider, dict) and node.value in (0, [0]) and node.value is not False:
        _process_that_cannot_fail(provider, node, findings)


def _a(kind: object) -> str:
    return f"an {kind}" if kind == "http" else f"a {kind}"


def _process_that_cannot_fail(provider: dict[str, Any], node: Node, findings: Findings) -> None:
    path = str(provider.get("path")).rpartition("/")[2]
    given = provider.get("arguments")
    command = given if isinstance(given, str) else str(given[-1]) if isinstance(given, list) and given else ""
    if path in _ALWAYS or re.search(r"(\|\||;)\s*(true|:|exit 0)\s*$", command):
        findings.warning("this cannot fail: the command always ends with exit code 0", node)


def _list(node: Node, kind: object, findings: Findings) -> None:
    values = [child.value for child in node.children]
    if not values:
        findings.warning("an empty list can never be met", node)
    elif kind == "python" and len(values) == 2 and values[0] != values[1]:
        if all(map(number, values)) and values[0] > values[1]:
            findings.warning(f"{values} can never be met: two items are a range, and this one is empty", node)
        elif all(isinstance(value, int) for value in values) and abs(values[1] - values[0]) > 1:
            findings.warning(
                f"two items are a range: {values[0] + 1} is accepted, too",
                node,
                "say {type: range, range: […]} when that is meant, or list a third item",
            )
        elif not all(map(number, values)):
            findings.warning("two items are a range from the one to the other, not a choice", node)


def _mapping(node: Node, kind: object, findings: Findings, check_probe: Callable[[Node], None]) -> None:
    written = node.get("type")
    if written is None or written.value not in ("probe", *_KEYS):
        said = found(written) if written is not None else "nothing"
        hint = "known are probe, regex, jsonpath and range"
        findings.error(f"the type of a tolerance must be known, not {said}", written or node, hint)
        return
    if written.value == "probe":
        check_probe(node)
        provider = node.get("provider")
        if provider is not None and provider.kind == "mapping" and "arguments" not in provider.value:
            hint = "arguments: {value: null}"
            message = "this tolerance cannot be evaluated: Chaos Toolkit crashes on a provider without arguments"
            findings.warning(message, provider, hint)
        return
    findings.keys(node, _KEYS[written.value], f"a {written.value} tolerance")
    target = node.get("target")
    checks = {"regex": _regex, "jsonpath": _jsonpath, "range": _range}
    checks[written.value](node, findings)
    if kind not in _PARTS:
        return
    parts = _PARTS[str(kind)]
    if target is not None and target.value and target.value not in parts:
        hint = f"the parts are {', '.join(parts)}"
        findings.warning(f"{_a(kind)} probe has no {found(target)}: all its parts are taken", target, hint)
    elif written.value == "regex" and (target is None or target.value in ("status", "headers", None, "")):
        said = f"{found(target)} is no text" if target is not None else "no target says which part"
        findings.warning(f"this tolerance cannot be evaluated: {said}", target or node, f"target: {parts[-1]}")
    elif written.value == "range" and (target is None or not target.value or target.value == "headers"):
        said = "headers are no number" if target is not None else "no target says which part"
        findings.warning(f"this tolerance cannot be evaluated: {said}", target or node, "target: status")


def _regex(node: Node, findings: Findings) -> None:
    pattern = node.get("pattern")
    if pattern is None:
        findings.error("a regex tolerance needs a pattern", node)
        return
    if not isinstance(pattern.value, str):
        findings.error(f"a pattern must be text, not {found(pattern)}", pattern)
        return
    findings.references(pattern)
    try:
        compiled = re.compile(pattern.value)
    except (re.error, RecursionError, OverflowError) as error:
        findings.error(f"the pattern is no regular expression: {error}", pattern)
        return
    if "${" not in pattern.value and compiled.search("") is not None and "$" not in pattern.value:
        findings.warning("this cannot fail: the pattern is found in every text, even an empty one", pattern)


def _jsonpath(node: Node, findings: Findings) -> None:
    path = node.get("path")
    if path is None:
        findings.error("a jsonpath tolerance needs a path", node)
        return
    if not isinstance(path.value, str):
        findings.error(f"a path must be text, not {found(path)}", path)
        return
    findings.references(path)
    expect = node.get("expect")
    if expect is not None:
        findings.references(expect)
    if not path.value.strip():
        findings.error("the path of a jsonpath tolerance is empty", path)
    elif not _parses(path.value.strip()):
        findings.error(f"the path is no JSONPath that Chaos Toolkit reads: {found(path)}", path)
    elif path.value.strip() == "$" and "expect" not in node.value and node.value.get("count") in (None, 1):
        findings.warning("this cannot fail: $ is found in everything", path)


def _parses(path: str) -> bool:
    # Only here: its parser takes a tenth of a second to import.
    from jsonpath2.path import Path  # type: ignore[import-untyped]  # ships no types

    try:
        # ANTLR prints what it stumbles over.
        with contextlib.redirect_stderr(io.StringIO()):
            Path.parse_str(path)
    except (ValueError, RecursionError):
        return False
    except Exception:  # noqa: BLE001 - the parser's own errors are what a wrong path may raise, whatever they are
        return False
    return True


def _range(node: Node, findings: Findings) -> None:
    limits = node.get("range")
    if limits is None:
        findings.error("a range tolerance needs a range", node)
        return
    if limits.kind != "list" or len(limits.children) != 2:
        findings.error(f"a range must be a list of two numbers, not {found(limits)}", limits)
        return
    for child in limits.children:
        # chaoslib takes true for 1 here.
        if not isinstance(child.value, (int, float)):
            findings.error(f"a limit of a range must be a number, not {found(child)}", child)
            return
    low, high = (child.value for child in limits.children)
    if low > high:
        findings.warning(f"{[low, high]} can never be met: the first limit is above the second", limits)
