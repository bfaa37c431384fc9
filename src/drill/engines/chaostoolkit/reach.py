"""What an experiment would call, and how much of what it names: for policies, read without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drill.engines.chaostoolkit import document as doc
from drill.policy import Call, Reach

_REGIONS = ("region", "regions", "aws_region")
# chaosaws.asg and chaosaws.ecs; chaosk8s has qty with mode: percentage.
_PERCENTS = ("instance_percent", "task_percent")


# HTTP's safe methods (RFC 9110, 9.2.1).
_LOOKS = ("GET", "HEAD", "OPTIONS")
_TAKES_BACK = re.compile(r"(undo|restore|start|resume|uncordon|thaw|revert)(_|$)")
# Their names only sound like an undo: they begin a fault of their own.
_BREAKS = ("chaosaws.fis.",)


def reach(document: dict[str, Any], values: Mapping[str, str]) -> Reach:
    """
    Everything in the experiment that runs something; *values* fill in `${name}`.

    That an experiment calls something a probe or an undo proves nothing: all that it runs breaks, but probes
    that only look (a module named `.probes`, a GET), and an undo that is named like one (`start_…`, `restore_…`).
    Such an undo counts with the regions and the share that it names; where it names none, it reaches what its
    method did.
    """
    running = list(_running(document))
    undo = [by for undoing, by in running if undoing and _takes_back(by)]
    breaking = [by for undoing, by in running if not (undoing and _takes_back(by))]
    calls = [Call(_called(by, values), breaks=True, share=_share(_arguments(by, values))) for by in breaking]
    for by in undo:
        share = _share(_arguments(by, values))
        calls.append(Call(_called(by, values), breaks=share is not None, share=share))
    known = {call.what for call in calls}
    others = dict.fromkeys(_called(by, values) for by in _providers(document))
    calls += [Call(what) for what in others if what not in known]
    return Reach(tuple(calls), _regions(breaking, undo, values))


def sources(document: dict[str, Any], root: Path) -> list[Path]:
    """Files below *root* that it would run: modules it names, programs and scripts; not what those load in turn."""
    from drill.spec.experiment import modules

    found: list[Path] = []
    for by in _providers(document):
        if by.get("type") == "python":
            origin = modules.file_of(str(by.get("module")), str(root))
            found += [Path(origin)] if origin else []
        elif by.get("type") == "process":
            given = by.get("arguments") or []
            parts = given if isinstance(given, list) else given.values() if isinstance(given, dict) else [given]
            words = [word for part in (by.get("path"), *parts) for word in str(part).split()]
            found += [root / word for word in words if "${" not in word]
    within = root.resolve()
    return [path for path in dict.fromkeys(found) if _is_file(path) and path.resolve().is_relative_to(within)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _running(document: doc.Document) -> Iterator[tuple[bool, doc.Document]]:
    """Providers that may break something, each with whether it stands under rollbacks; controls are code of none."""
    carried_out = {"steady-state-hypothesis": doc.probes(document)}
    carried_out |= {name: doc.section(document, name) for name in ("method", "rollbacks")}
    for name, value in {**document, **carried_out}.items():
        activities = [each for each in value if not doc.is_dry(each, document)] if name in carried_out else value
        for activity in _activities({name: activities}):
            if not _looks(activity):
                yield name == "rollbacks", activity["provider"]


def _activities(value: Any) -> Iterator[doc.Document]:
    """Whatever has a provider, also a tolerance or a configuration that is a probe; no control."""
    if isinstance(value, dict):
        if isinstance(value.get("provider"), dict):
            yield value
        for key, inner in value.items():
            if key != "controls":
                yield from _activities(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _activities(inner)


def _looks(activity: doc.Document) -> bool:
    """Whether it is a probe that can only look, as far as names and methods tell."""
    by = doc.provider(activity)
    if activity.get("type") != "probe":
        return False
    if by.get("type") == "http":
        return str(by.get("method") or "GET").upper() in _LOOKS
    return by.get("type") == "python" and f".{by.get('module')}".endswith(".probes")


def _takes_back(by: doc.Document) -> bool:
    module = f"{by.get('module')}."
    return (
        by.get("type") == "python"
        and not module.startswith(_BREAKS)
        and _TAKES_BACK.match(str(by.get("func"))) is not None
    )


def _providers(value: Any) -> Iterator[doc.Document]:
    """Every provider anywhere: activities, tolerances that are probes, configuration found out by one, controls."""
    if isinstance(value, dict):
        if isinstance(value.get("provider"), dict):
            yield value["provider"]
        for inner in value.values():
            yield from _providers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _providers(inner)


def _called(by: doc.Document, values: Mapping[str, str]) -> str:
    sort = by.get("type")
    if sort == "python":
        return f"python:{_filled(by.get('module'), values)}.{_filled(by.get('func') or 'control', values)}"
    if sort == "process":
        return f"process:{_filled(by.get('path'), values)}"
    if sort == "http":
        return f"http:{_filled(by.get('url'), values)}"
    return f"engine:chaostoolkit.{sort}"


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


def _arguments(by: doc.Document, values: Mapping[str, str]) -> dict[str, Any]:
    return {key: _filled(value, values) for key, value in doc.section(by, "arguments").items()}


def _share(arguments: Mapping[str, Any]) -> float | None:
    if arguments.get("all") is True:
        return 1.0
    if str(arguments.get("mode")) == "percentage":
        return _percent(arguments.get("qty"))
    for key in _PERCENTS:
        if key in arguments:
            return _percent(arguments[key])
    return None


def _percent(value: Any) -> float | None:
    try:
        share = float(value) / 100
    except (TypeError, ValueError):
        return None
    return share if share >= 0 else None


def _regions(
    breaking: list[doc.Document], undo: list[doc.Document], values: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Every region that they name; None when one is not known yet, or something that breaks names none."""
    found: list[str] = []
    for by in (*breaking, *undo):
        named = [value for key, value in _arguments(by, values).items() if key in _REGIONS and value is not None]
        if not named and str(by.get("module")).startswith("chaosaws."):
            named = [_filled("${aws_region}", values)]
        each = [str(item) for value in named for item in (value if isinstance(value, list) else [value])]
        if any("${" in item for item in each) or (not each and by in breaking):
            return None
        found += each
    return tuple(dict.fromkeys(found))
