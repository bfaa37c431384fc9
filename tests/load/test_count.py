"""Counting by the second."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from drill.load.count import Tally
from drill.measure.traffic import band, edges, quantile
from drill.model import SECOND


@given(st.integers(min_value=0, max_value=3600 * SECOND))
def test_a_latency_lies_in_its_band(ns: int) -> None:
    """Whatever a request took, its band's edges hold it, a twentieth apart."""
    found = edges(band(ns))

    assert found.upper is not None
    assert found.lower <= ns <= found.upper
    assert found.lower == 0 or found.upper / found.lower < 1.06


@given(st.lists(st.integers(min_value=1000, max_value=60 * SECOND), min_size=1), st.sampled_from([500, 950, 990]))
def test_a_quantile_of_bands_holds_the_true_one(taken: list[int], share: int) -> None:
    """Banding loses nothing but five per cent: the nearest-rank quantile lies between the edges told."""
    found = quantile(Counter(band(ns) for ns in taken), share)
    true = sorted(taken)[max(1, -(-len(taken) * share // 1000)) - 1]

    assert found is not None
    assert found.upper is not None
    assert found.lower <= true <= found.upper


@given(st.lists(st.tuples(st.integers(0, 5 * SECOND), st.booleans()), max_size=60))
def test_no_request_is_lost_or_counted_twice(ended: list[tuple[int, bool]]) -> None:
    """However requests fall into seconds, the seconds add up to them, and none is left out in between."""
    tally, told = Tally(0, 0), []
    for at, good in sorted(ended):
        told += tally.take(at, 1)
        tally.sent()
        tally.ended(1_000_000, "" if good else "status 503")
    told += tally.take(6 * SECOND, 1)

    assert [second.at for second, _ in told] == [n * SECOND for n in range(6)]
    assert sum(second.sent for second, _ in told) == len(ended)
    assert sum(second.ok for second, _ in told) == sum(good for _, good in ended)
    assert sum(second.failed for second, _ in told) == sum(not good for _, good in ended)
