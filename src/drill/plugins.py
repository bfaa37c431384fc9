"""
Everything pluggable: engines, probe kinds, report formats and labs.

Each is an entry point. Listing them imports nothing; loading imports one.
"""

from __future__ import annotations

import difflib
import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from drill.errors import EnvironmentFault

GROUPS = {"engine": "drill.engines", "probe": "drill.probes", "report": "drill.reports", "lab": "drill.labs"}


def installed(what: str) -> dict[str, EntryPoint]:
    """
    Every plug-in of one sort by name, without importing any.

    Raises:
        EnvironmentFault: Two installed packages offer the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(_points(GROUPS[what], tuple(sys.path))):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            raise EnvironmentFault(
                f"two packages offer a {what} named {point.name}: {_package(other)} ({other.value}) "
                f"and {_package(point)} ({point.value})",
                hint="uninstall one of them",
            )
        found[point.name] = point
    return found


@lru_cache(maxsize=16)
def _points(group: str, path: tuple[str, ...]) -> EntryPoints:
    """What is installed on *path*: to find out, the metadata of every package there is read."""
    return entry_points(group=group)


def load(what: str, name: str) -> Any:
    """
    Import one plug-in.

    Raises:
        EnvironmentFault: There is none of that name, or importing it failed.
    """
    found = installed(what)
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]}?" if near else f"installed are {', '.join(sorted(found)) or 'none'}"
        raise EnvironmentFault(f"no {what} named {name} is installed", hint=hint)
    try:
        return found[name].load()
    except Exception as error:  # a stranger's module may fail at import in any way
        lacks_extra = what == "lab" and isinstance(error, ImportError)
        raise EnvironmentFault(
            f"the {what} {name} of {_package(found[name])} cannot be imported: {error or type(error).__name__}",
            hint='the lab needs its extra: pip install "drill-orchestrator[lab]"' if lacks_extra else None,
        ) from error


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
