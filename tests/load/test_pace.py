"""Users that send at a rate."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from drill.load.pace import Pace, users_for
from drill.model import SECOND, LoadStep

rates = st.floats(min_value=0.5, max_value=500)


@given(rates, st.integers(min_value=50_000_000, max_value=5 * SECOND), st.integers(1, 4))
def test_no_answer_in_time_holds_a_request_back(rate: float, deadline: int, of: int) -> None:
    """Every user's turn comes after connecting and answering have both had their deadline."""
    users = users_for(LoadStep(rate=rate), deadline, of, 0)

    assert Pace(rate / of, users).every * SECOND >= 2 * deadline * (1 - 1e-9)


@given(st.integers(0, 500), st.integers(1, 8))
def test_users_are_shared_out_whole(users: int, of: int) -> None:
    """However many processes there are, together they run the users asked for."""
    assert sum(users_for(LoadStep(users=users), SECOND, of, n) for n in range(of)) == users


@given(st.integers(2, 400), rates)
def test_users_begin_all_over_the_beat(users: int, rate: float) -> None:
    """No stretch of the beat is without a user for three times its share: the rate holds within every second, too."""
    pace = Pace(rate, users)
    begun = sorted(pace.first(0.0, n) for n in range(users))

    assert 0 <= begun[0] <= begun[-1] <= pace.every
    assert max(b - a for a, b in pairwise([*begun, begun[0] + pace.every])) <= 3 * pace.every / users


@given(rates, st.lists(st.floats(min_value=0, max_value=20), max_size=30))
def test_what_was_missed_is_passed_over(rate: float, late: list[float]) -> None:
    """A user that falls behind never sends a burst: from one turn to the next there is a beat, or it is now."""
    pace, now, due = Pace(rate, 1), 0.0, 0.0
    for each in late:
        now = max(now, due) + each
        following = pace.after(due, now)
        assert following == due + pace.every or following == now
        assert following > due
        due = following
