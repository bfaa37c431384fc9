"""A policy decides from what it is told alone; a stricter one never allows more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drill.model import SECOND
from drill.policy import Approval, Call, Person, Policy, Proposal, Rules, decide, matches, overlay
from drill.windows import Freeze, Window

MINUTE = 60 * SECOND
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # a Tuesday
ALICE, BOB, CAROL = (Person((name, "group:sre")) for name in ("alice", "bob", "carol"))
RUN = Proposal(
    digest="d" * 64,
    drill="region-failover",
    system="orders",
    environment="production",
    lasts=5 * MINUTE,
    calls=(Call("python:chaosaws.ec2.actions.stop_instances", breaks=True, share=0.5),),
    regions=("eu-central-1",),
)
YES = Approval("d" * 64, BOB, NOW - timedelta(hours=1), NOW + timedelta(hours=1), "CHG-1")


def asked(
    rules: Rules, run: Proposal = RUN, person: Person = ALICE, when: datetime = NOW, *given: Approval
) -> list[str]:
    """What a policy with these rules for production says."""
    policy = Policy("p.yaml", {"production": rules})
    return [problem.message.removeprefix("p.yaml refuses: ") for problem in decide(run, policy, person, when, given)]


def test_rules_that_say_nothing_allow_what_comes_with_drill() -> None:
    """An empty entry is enough to name an environment."""
    assert asked(Rules()) == []


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        (Rules(who=("bob",)), "alice may not run drills in production"),
        (Rules(who=("group:dba",)), "alice may not run drills in production"),
        (Rules(drills=("cache-*",)), "the drill region-failover is not among those that may run in production"),
        (Rules(systems=("payments",)), "the system orders is not among those that may run in production"),
        (Rules(longest=MINUTE), "it may take 5 min, and 1 min is the most in production"),
        (Rules(faults=0), "it injects 1 fault, and 0 is the most in production"),
        (Rules(regions=0), "its faults name 1 region (eu-central-1), and 0 is the most in production"),
        (
            Rules(share=0.25),
            "python:chaosaws.ec2.actions.stop_instances breaks 50% of what it aims at, "
            "and 25% is the most in production",
        ),
        (
            Rules(actions=("python:chaosk8s.**",)),
            "python:chaosaws.ec2.actions.stop_instances may not be called in production",
        ),
        (
            Rules(actions=(), named=("python:chaosaws.**",)),
            "python:chaosaws.ec2.actions.stop_instances may be called in production only by a drill that says so",
        ),
        (Rules(protected=True), "plan dddddddddddd has 0 of 1 approval that it needs"),
        (Rules(approvals=2), "plan dddddddddddd has 0 of 2 approvals that it needs"),
        (
            Rules(windows=(Window((5, 6), 0, 24 * 60, BERLIN),)),
            "now is outside the windows for drills in production, or it would not end in time (it may take 5 min)",
        ),
        (
            Rules(freezes=(Freeze(datetime(2026, 11, 24), datetime(2026, 11, 25), BERLIN, "Black Friday"),)),
            "drills in production are frozen until 2026-11-25 00:00 Europe/Berlin (Black Friday)",
        ),
    ],
)
def test_each_rule_refuses_in_a_sentence(rules: Rules, refusal: str) -> None:
    """One refusal for one rule, and it says what was found and what is allowed."""
    assert asked(rules) == [refusal.replace("5 min", "5\u00a0min").replace("1 min", "1\u00a0min")]


def test_every_refusal_says_what_would_have_to_change() -> None:
    """A person who is refused on all counts reads all of them at once, each with its way out."""
    rules = Rules(
        protected=True, who=("bob",), drills=(), systems=(), windows=(), actions=(), share=0.1, regions=0, faults=0
    )
    found = decide(RUN, Policy("p.yaml", {"production": rules}), ALICE, NOW)

    assert len(found) == 9
    assert all(problem.hint for problem in found)


def test_what_the_plan_does_not_tell_is_refused_unless_that_is_allowed() -> None:
    """An unknown share or region is not taken for a small one."""
    blind = replace(RUN, regions=None, calls=(Call("python:chaosaws.x", breaks=True), Call("python:chaosaws.look")))
    strict = Rules(share=0.5, regions=1)

    assert [said.partition(" cannot be told")[0] for said in asked(strict, blind)] == [
        "which regions its faults reach",
        "how much python:chaosaws.x breaks",
    ]
    assert asked(replace(strict, untold=True), blind) == []


def test_a_fault_that_lasts_nobody_knows_how_long_fits_no_limit() -> None:
    """An engine that does not tell is not taken for a quick one."""
    blind = replace(RUN, untimed=("outage",))
    always = (Window(tuple(range(7)), 0, 24 * 60, BERLIN),)
    said = ["how long outage may take cannot be told, and that is limited in production"]

    assert [asked(rules, blind) for rules in (Rules(longest=MINUTE * 10), Rules(windows=always))] == [said, said]
    assert asked(Rules(longest=MINUTE * 10, untold=True), blind) == asked(Rules(), blind) == []


def test_an_environment_that_nobody_named_is_refused_unless_there_is_a_default() -> None:
    """Leaving environment: out is no way around the rules."""
    named = Policy("p.yaml", {"production": Rules()})
    nameless = replace(RUN, environment="")

    assert [problem.message for problem in decide(replace(RUN, environment="qa"), named, ALICE, NOW)] == [
        "p.yaml has no rules for the environment qa"
    ]
    assert [problem.message for problem in decide(nameless, named, ALICE, NOW)] == [
        "p.yaml has rules for environments, and the drill region-failover does not name its own"
    ]
    assert decide(nameless, replace(named, default=Rules()), ALICE, NOW) == []


def test_a_drill_may_name_what_it_calls_where_the_policy_lets_it() -> None:
    """Both must say so: the policy that it may, the drill that it means to."""
    own = replace(RUN, calls=(Call("python:mine.break_it", breaks=True),), named=("python:mine.*",))

    assert asked(Rules(named=("python:mine.**",)), own) == []
    assert asked(Rules(), own) == ["python:mine.break_it may not be called in production"]


# --- approvals ------------------------------------------------------------------------------------------------------

PROTECTED = Rules(protected=True)


@pytest.mark.parametrize(
    ("approval", "counts"),
    [
        (YES, True),
        (replace(YES, plan="e" * 64), False),
        (replace(YES, expires=NOW), False),
        (replace(YES, at=NOW + timedelta(seconds=1)), False),
        (replace(YES, by=ALICE), False),
        (replace(YES, by=Person(("root",), also=("alice",))), False),
        (replace(YES, by=Person(("alice@example.com",))), False),
    ],
    ids=["whole", "of another plan", "expired", "of the future", "one's own", "by sudo", "signed by oneself"],
)
def test_an_approval_counts_for_this_plan_now_and_from_somebody_else(approval: Approval, counts: bool) -> None:
    """Everything else is as if nobody had approved."""
    assert (asked(PROTECTED, RUN, ALICE, NOW, approval) == []) is counts


def test_an_approval_that_does_not_count_says_why() -> None:
    """Whoever is refused learns what is wrong with the approvals there are."""
    mine, late = replace(YES, by=ALICE), replace(YES, by=CAROL, expires=NOW)

    assert asked(PROTECTED, RUN, ALICE, NOW, mine, late) == [
        "plan dddddddddddd has 0 of 1 approval that it needs; "
        "not counted: alice's (who approves may not be who runs it), carol's (it has expired)"
    ]


def test_two_approvals_of_one_person_are_one() -> None:
    """Two people are needed where two are asked for."""
    two = Rules(approvals=2)

    assert len(asked(two, RUN, ALICE, NOW, YES, replace(YES, reason="again"))) == 1
    assert asked(two, RUN, ALICE, NOW, YES, replace(YES, by=CAROL)) == []


def test_who_may_approve_how_fresh_and_whether_signed() -> None:
    """The other conditions on an approval, one by one."""
    assert asked(replace(PROTECTED, approvers=("carol",)), RUN, ALICE, NOW, YES) != []
    assert asked(replace(PROTECTED, approvers=("group:sre",)), RUN, ALICE, NOW, YES) == []
    assert asked(replace(PROTECTED, fresh=59 * MINUTE), RUN, ALICE, NOW, YES) != []
    assert asked(replace(PROTECTED, fresh=60 * MINUTE), RUN, ALICE, NOW, YES) == []
    policy = Policy("p.yaml", {"production": PROTECTED}, signed=True)
    assert decide(RUN, policy, ALICE, NOW, [YES]) != []
    assert decide(RUN, policy, ALICE, NOW, [replace(YES, signed=True)]) == []


# --- time -----------------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("begins", "minutes", "held"),
    [
        ("2026-11-24T09:00:00+01:00", 60, True),
        ("2026-11-24T08:59:59+01:00", 1, False),
        ("2026-11-24T15:56:00+01:00", 5, False),
        ("2026-11-24T15:55:00+01:00", 5, True),
        ("2026-11-25T10:00:00+01:00", 5, False),
    ],
)
def test_a_window_holds_a_drill_from_beginning_to_end(begins: str, minutes: int, held: bool) -> None:
    """Tuesdays from nine to four in Berlin; a drill that would still go on at four does not begin."""
    window = Window((1,), 9 * 60, 16 * 60, BERLIN)

    assert window.holds(at(begins), at(begins) + timedelta(minutes=minutes)) is held


def test_a_window_over_midnight_belongs_to_the_day_it_opens() -> None:
    """Tuesday 22:00 to Wednesday 04:00."""
    night = Window((1,), 22 * 60, 4 * 60, NEW_YORK)

    assert night.holds(at("2026-11-25T03:00:00-05:00"), at("2026-11-25T03:30:00-05:00"))
    assert not night.holds(at("2026-11-24T03:00:00-05:00"), at("2026-11-24T03:30:00-05:00"))


@pytest.mark.parametrize(
    ("begins", "held"),
    [
        # 29 March 2026 has no 02:30 in Berlin: that opening begins an hour later, at 03:30 summer time.
        ("2026-03-29T01:45:00+01:00", False),
        ("2026-03-29T03:15:00+02:00", False),
        ("2026-03-29T03:30:00+02:00", True),
        # 25 October 2026 has it twice: the opening begins with the second.
        ("2026-10-25T02:30:00+02:00", False),
        ("2026-10-25T02:30:00+01:00", True),
        ("2026-10-25T04:30:00+01:00", True),
    ],
)
def test_a_change_of_clocks_makes_no_window_longer(begins: str, held: bool) -> None:
    """Where a time of day is ambiguous or missing, the shorter opening counts."""
    assert Window((6,), 2 * 60 + 30, 5 * 60, BERLIN).holds(at(begins), at(begins) + timedelta(minutes=1)) is held


def test_a_freeze_covers_both_meanings_of_an_ambiguous_hour() -> None:
    """From 02:30 when there are two of them, it begins with the first and ends with the second."""
    freeze = Freeze(datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 2, 45), BERLIN)
    minute = timedelta(minutes=1)

    assert freeze.meets(at("2026-10-25T02:30:00+02:00"), at("2026-10-25T02:30:00+02:00") + minute)
    assert freeze.meets(at("2026-10-25T02:44:00+01:00"), at("2026-10-25T02:44:00+01:00") + minute)
    assert not freeze.meets(at("2026-10-25T02:45:00+01:00"), at("2026-10-25T02:45:00+01:00") + minute)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 24 * 60),
    st.sets(st.integers(0, 6)),
    st.sampled_from([UTC, BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]),
)
def test_a_held_minute_shows_a_time_of_day_between_the_windows_ends(when, opens, closes, days, zone) -> None:
    """Whatever the clocks do: while a window holds, a clock on the wall there shows an hour inside of it."""
    window = Window(tuple(sorted(days)), opens, closes, zone)
    if window.holds(when, when):
        wall = when.astimezone(zone)
        minute = wall.hour * 60 + wall.minute + wall.second / 60 + wall.microsecond / 6e7
        overnight = closes <= opens
        assert (minute >= opens or minute <= closes) if overnight else opens <= minute <= closes
        assert wall.weekday() in days or (overnight and (wall.weekday() - 1) % 7 in days)


def test_a_drill_that_outlasts_the_calendar_is_refused_by_a_window() -> None:
    """Thousands of steps of ten years each end after the last date there is: outside of every window."""
    endless = replace(RUN, lasts=10**24)

    assert asked(Rules(windows=(Window((1,), 0, 24 * 60, BERLIN),)), endless)[0].startswith("now is outside")
    assert asked(Rules(), endless) == []


# --- patterns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("python:chaosaws.**", "python:chaosaws.ec2.actions.stop_instances", True),
        ("python:chaosaws.**", "python:chaosawsome.x", False),
        ("process:kubectl", "process:/tmp/kubectl", False),
        ("process:/opt/chaos/*", "process:/opt/chaos/../../bin/sh", False),
        ("process:/opt/chaos/**", "process:/opt/chaos/../../bin/sh", False),
        ("http:https://x/safe/**", "http:https://x/safe/%2E%2e/danger", False),
        ("process:**", "process:../bin/sh", True),
        ("http:https://*.example.com/**", "http:https://a.example.com/x?y", True),
        ("http:https://*.example.com/**", "http:https://evil.com/.example.com/", False),
        ("http:https://*.example.com/**", "http:https://evil.com#.example.com/", False),
        ("http:https://*.example.com/**", "http:https://me:pw@evil.com\\.example.com/", False),
        ("http:https://*/x", "http:https://${host}/x", False),
        ("http:**", "http:https://${host}/x", True),
    ],
)
def test_a_pattern_does_not_reach_beyond_its_part(pattern: str, text: str, fits: bool) -> None:
    """`*` ends at the next part of a path or address, and takes nothing that is not known yet."""
    assert matches(pattern, text) is fits


# --- stricter is stricter -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["alice", "bob", "group:sre", "orders", "region-failover", "*"])
CALLS = st.sampled_from(["python:chaosaws.**", "python:**", "process:*", "http:**"])
WINDOWS = st.builds(
    Window,
    st.sets(st.integers(0, 6)).map(tuple),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.sampled_from([UTC, BERLIN]),
)
FREEZES = st.builds(
    lambda begins, hours: Freeze(begins, begins + timedelta(hours=hours), BERLIN),
    st.datetimes(datetime(2026, 11, 20), datetime(2026, 11, 28)),
    st.integers(1, 100),
)
RULES = st.builds(
    Rules,
    protected=st.booleans(),
    who=st.none() | st.lists(NAMES).map(tuple),
    drills=st.none() | st.lists(NAMES).map(tuple),
    systems=st.none() | st.lists(NAMES).map(tuple),
    windows=st.none() | st.lists(WINDOWS, max_size=2).map(tuple),
    freezes=st.lists(FREEZES, max_size=1).map(tuple),
    actions=st.lists(CALLS).map(tuple),
    named=st.lists(CALLS).map(tuple),
    share=st.none() | st.sampled_from([0.1, 0.5, 1.0]),
    regions=st.none() | st.integers(0, 2),
    faults=st.none() | st.integers(0, 2),
    untold=st.booleans(),
    longest=st.none() | st.integers(0, 10 * MINUTE),
    approvals=st.integers(0, 2),
    approvers=st.none() | st.lists(NAMES).map(tuple),
    fresh=st.none() | st.integers(0, 120 * MINUTE),
)
PROPOSALS = st.builds(
    replace,
    st.just(RUN),
    lasts=st.integers(0, 10 * MINUTE),
    faults=st.integers(0, 2),
    regions=st.none() | st.just(()) | st.just(("a",)) | st.just(("a", "b")),
    calls=st.lists(
        st.builds(
            Call,
            st.sampled_from(["python:chaosaws.x", "python:mine.x", "process:kubectl", "http:https://x/"]),
            st.booleans(),
            st.none() | st.floats(0, 1),
        ),
        max_size=2,
    ).map(tuple),
    named=st.lists(CALLS, max_size=1).map(tuple),
)
APPROVALS = st.lists(st.sampled_from([YES, replace(YES, by=CAROL), replace(YES, by=ALICE)]), max_size=3)


def tightened(rules: Rules, harder: Rules) -> list[Rules]:
    """The rules with one of them at least as strict, for every rule."""

    def both(a: tuple, b: tuple) -> tuple:
        return tuple(item for item in a if item in b)

    def least(a: float | None, b: float | None) -> float | None:
        return b if a is None else a if b is None else min(a, b)

    made = [
        replace(rules, protected=True),
        replace(rules, untold=False),
        replace(rules, approvals=rules.approvals + harder.approvals),
        replace(rules, freezes=rules.freezes + harder.freezes),
        replace(rules, actions=both(rules.actions, harder.actions)),
        replace(rules, named=both(rules.named, harder.named)),
    ]
    for name in ("who", "drills", "systems", "windows", "approvers"):
        mine, others = getattr(rules, name), getattr(harder, name)
        made.append(replace(rules, **{name: others if mine is None else both(mine, others or ())}))
    for name in ("share", "regions", "faults", "longest", "fresh"):
        made.append(replace(rules, **{name: least(getattr(rules, name), getattr(harder, name))}))
    return made


@given(RULES, RULES, PROPOSALS, APPROVALS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_stricter_policy_never_allows_more(rules, harder, run, approvals, signed) -> None:
    """Tightening any single rule of any policy turns no refusal into a yes."""
    loose = Policy("p.yaml", {"production": rules}, signed=signed)
    if not decide(run, loose, ALICE, NOW, approvals):
        return
    for stricter in tightened(rules, harder):
        assert decide(run, replace(loose, environments={"production": stricter}), ALICE, NOW, approvals)


@given(RULES, RULES, PROPOSALS)
@settings(max_examples=100, deadline=None)
def test_what_default_freezes_stays_frozen(default, own, run) -> None:
    """An environment's own rules replace those of default:, but its freezes come on top."""
    laid = overlay(default, {"freezes": own.freezes, "who": own.who})

    assert (laid.freezes, laid.who, laid.share) == (default.freezes + own.freezes, own.who, default.share)
