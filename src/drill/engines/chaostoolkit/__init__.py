"""
Chaos Toolkit experiments as faults, whoever wrote them.

    document     what an experiment says: references, references resolved, undo, words        PURE
    wire         the lines that drill and the process of one experiment exchange              PURE
    engine       drill's side: prepare, inject, undo
    child        one experiment process as drill sees it: gate, deadlines, abort
    runner       that process: chaoslib, with a gate before every single call
    variables    that process's configuration and secrets
    line         its end of the connection
    lasting      what the undo must know that only the start of the experiment finds out
    lifeline     ends that process, and all it started, when drill is gone

chaoslib keeps controls and activities in module globals, wants the main
thread, and loses rollbacks when it is killed; so each experiment runs in a
process of its own (`python -m drill.engines.chaostoolkit`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drill.engines.chaostoolkit.engine import ChaosToolkitEngine

__all__ = ["ChaosToolkitEngine"]


def __getattr__(name: str) -> Any:
    """The engine once it is asked for: the process of an experiment needs none of drill's side of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from drill.engines.chaostoolkit import engine

    return getattr(engine, name)
