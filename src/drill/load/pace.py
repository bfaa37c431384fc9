"""How many users send at a rate, and when each of them does. Pure."""

from __future__ import annotations

import math

from drill.model import SECOND, LoadStep

# A user at a rate asks again after at least twice the deadline (connecting and answering each have one), so
# that no answer, however late, holds a request back.
_ROOM = 2
_GOLDEN = 0.6180339887498949


class Pace:
    """
    When each of *users* sends its next request, so that together they send at *rate*; seconds.

    A user that could not keep up (this machine is too slow) passes over what it
    missed: the shortfall shows, a burst would not be the load asked for.
    """

    def __init__(self, rate: float, users: int, own: float = 0.0) -> None:
        """*own* (0 to 1) keeps several processes from sending at the same moments."""
        self.every = users / rate if rate else math.inf
        self._own = own

    def first(self, now: float, nth: int) -> float:
        """When the *nth* user begins: by the golden ratio, however many there are they lie evenly in the beat."""
        return now + (nth * _GOLDEN + self._own) % 1 * self.every

    def after(self, due: float, now: float) -> float:
        following = due + self.every
        return following if now - following < self.every else now


def users_for(step: LoadStep, deadline: int, of: int, number: int) -> int:
    """How many users process *number* of *of* runs in a step."""
    if step.users is not None:
        return step.users // of + (number < step.users % of)
    rate = (step.rate or 0) / of
    return max(1, math.ceil(rate * _ROOM * deadline / SECOND)) if rate else 0
