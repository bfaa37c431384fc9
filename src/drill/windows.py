"""When drills may run and when not, in local time; a change of clocks makes no opening longer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Window:
    """
    When a drill may run.

    Attributes:
        days: Weekdays on which it opens, 0 is Monday.

        opens, closes: Minutes of the day, local time; it closes the next day when that is not later.
    """

    days: tuple[int, ...]
    opens: int
    closes: int
    zone: tzinfo

    def holds(self, begins: datetime, ends: datetime) -> bool:
        """Whether the whole stretch lies in one opening of it."""
        first = begins.astimezone(self.zone).date()
        return any(
            opening <= begins and ends <= closing
            for day in (first - timedelta(days=1), first)
            if day.weekday() in self.days
            for opening, closing in [self._opening(day)]
        )

    def __str__(self) -> str:
        days = ", ".join(DAYS[day] for day in self.days)
        opens, closes = (f"{minute // 60:02}:{minute % 60:02}" for minute in (self.opens, self.closes))
        return f"on {days} from {opens} to {closes} {self.zone}"

    def _opening(self, day: date) -> tuple[datetime, datetime]:
        # Where a clock change makes a time of day ambiguous or skips it, the shorter opening counts.
        last = day if self.closes > self.opens else day + timedelta(days=1)
        return max(_instants(day, self.opens, self.zone)), min(_instants(last, self.closes, self.zone))


@dataclass(frozen=True, slots=True)
class Freeze:
    """When no drill may run: from one local time to another."""

    begins: datetime
    ends: datetime
    zone: tzinfo
    reason: str = ""

    def meets(self, begins: datetime, ends: datetime) -> bool:
        """Whether any of the stretch lies in it."""
        frozen = min(_either(self.begins, self.zone)), max(_either(self.ends, self.zone))
        return begins < frozen[1] and frozen[0] < ends


def _instants(day: date, minute: int, zone: tzinfo) -> tuple[datetime, datetime]:
    return _either(datetime.combine(day, time()) + timedelta(minutes=minute), zone)


def _either(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Both instants that a local time may mean; the same but at a change of clocks."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second
