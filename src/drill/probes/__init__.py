"""
Probes: what watches the service from outside.

A kind sends one request and classifies the answer. When to send, the deadline,
the cap on requests in flight and the stamping of times are the sampler's, the
same for every kind. No kind retries, caches or is smart: the measuring stream
sees what a client would see.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import msgspec

from drill.errors import Problem
from drill.model import Delivery, Fate, Outcome, Probe


class Answer(msgspec.Struct, frozen=True):
    """
    What one request showed.

    Attributes:
        outcome: OK, FAILED, or UNKNOWN when this machine itself failed.

        detail: Why not ok, in words, without secrets.

        served_by: Who answered, when the answer tells.

        fate: What is known of the write, for a writing probe.

        value: A number the answer carried.

        sent: False when nothing was tried: the slot counts as one that was never sent, whatever else is said here.
    """

    outcome: Outcome
    detail: str = ""
    served_by: str | None = None
    fate: Fate | None = None
    value: float | None = None
    sent: bool = True


class Prober(Protocol):
    """One open probe. Constructed with the planned probe, references in its options resolved."""

    def __init__(self, probe: Probe) -> None: ...

    async def open(self) -> None:
        """Get ready (create a client, not a connection that is measured)."""

    async def sample(self, id: int | None) -> Answer:
        """
        Send one request now and classify the answer.

        Never raises but for cancellation, which comes when the deadline has
        passed and must end at once. *id* is the id to write, for a writing probe.
        """

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        """
        Read back every id from *first* to *last* at the store's strongest level.

        Returns the ids found, sorted, duplicates kept, and who answered.
        Raises EnvironmentFault when they cannot be read.
        """

    async def close(self) -> None:
        """Let go of everything within a second, whatever the other side does."""


@runtime_checkable
class Delivers(Protocol):
    """What the prober of a queue has beside."""

    def deliveries(self, first: int, last: int) -> tuple[Delivery, ...] | None:
        """The messages that came to its consumer more than once or out of order; None when it has none."""


class ProbeKind(Protocol):
    """What an entry point of `drill.probes` names: the prober's class."""

    def __call__(self, probe: Probe) -> Prober: ...

    # Keys a file of this kind may have beside probe, kind, title, every, deadline: drill.spec.shape.Table
    keys: Any

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        """Problems between keys that each key alone cannot show."""
