"""What a failover usually takes."""

from __future__ import annotations

import pytest

from drill.model import SECOND, Usual
from drill.usual import KINDS, Band, band, outside
from tests.measure.worlds import bounds


def seconds(least: float | None, most: float | None, loss: float | None = None) -> tuple[int | None, ...]:
    return tuple(None if each is None else round(each * SECOND) for each in (least, most, loss))


@pytest.mark.parametrize(
    ("usual", "expected"),
    [
        (Usual(kind="patroni"), (20, 42, 31)),
        (Usual(kind="patroni", ttl=20 * SECOND, loop=SECOND, router=5 * SECOND), (19, 28, 21)),
        (Usual(kind="patroni", ttl=SECOND, loop=2 * SECOND), (0, 5, 2)),
        (Usual(kind="rds-multi-az"), (60, 120, 0)),
        (Usual(kind="rds-multi-az", router=60 * SECOND), (60, 180, 0)),
        (Usual(kind="dynamodb-global"), (None, None, 2)),
        (Usual(kind="aurora", at_least=SECOND, at_most=2 * SECOND, loss=3 * SECOND), (1, 2, 3)),
        (Usual(at_most=9 * SECOND), (None, 9, None)),
    ],
)
def test_a_band_follows_from_the_kind_and_from_what_the_drill_says(
    usual: Usual, expected: tuple[float | None, float | None, float | None]
) -> None:
    """What is said replaces what is known; the router's time comes on top of what is known."""
    found = band(usual)

    assert (found.at_least, found.at_most, found.loss) == seconds(*expected)


def test_every_kind_has_a_band() -> None:
    """With a name of its own and something to hold a figure against."""
    bands = [band(Usual(kind=kind)) for kind in KINDS]

    assert len({each.of for each in bands}) == len(KINDS)
    assert bands[0].of == "Patroni"
    assert band(Usual()) == Band("such a failover")
    assert Band("such a failover") not in bands


@pytest.mark.parametrize(
    ("lower", "upper", "how"),
    [
        (1000, 1999, "shorter"),
        (1000, 2000, ""),
        (2000, 4000, ""),
        (4000, 9000, ""),
        (4001, 9000, "longer"),
        (4001, None, "longer"),
        (1000, None, ""),
    ],
)
def test_only_what_surely_lies_outside_is_unusual(lower: float, upper: float | None, how: str) -> None:
    """The band is 2 to 4 s, both ends inside."""
    assert outside(bounds(lower, upper), 2 * SECOND, 4 * SECOND) == how


def test_without_a_band_nothing_is_unusual() -> None:
    """Neither short nor long."""
    assert outside(bounds(0, None), None, None) == outside(bounds(0, 0), None, None) == ""
