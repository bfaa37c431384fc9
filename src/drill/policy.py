"""
What a policy allows: a proposed run, who asks, when, and who approved it, to a list of refusals. Pure.

Everything that a rule leaves open is open; what a rule says and nobody can tell is refused. Each refusal
is a sentence with what would have to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from drill import wording
from drill.errors import Problem
from drill.windows import Freeze, Window

# Code that comes with drill; all else that an experiment calls must stand in a policy.
KNOWN = ("python:drill.actions.**", "python:chaosaws.**", "python:chaosk8s.**")
_MILLENNIUM = 365_000 * 24 * 3600 * 10**6  # microseconds


@dataclass(frozen=True, slots=True)
class Call:
    """
    One thing that a drill would have run.

    Attributes:
        what: `python:module.function`, `process:program`, `http:url`, `engine:name`, `load:script`, and of a
            probe that may change something `KIND:address` (`postgres:postgresql://host/db`; `probe:…` of a
            kind that does not come with drill); `${…}` filled in where known.

        breaks: It may break something, whatever the experiment calls it: no probe that only looks, no control,
            no undo that takes back.

        share: How much of what it aims at it breaks, 0 to 1; None when that cannot be told.
    """

    what: str
    breaks: bool = False
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What an engine says of one fault: all that it would run, and the regions it names (None: it cannot tell)."""

    calls: tuple[Call, ...]
    regions: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    What a policy has to know of a run.

    Attributes:
        lasts: Nanoseconds that its wait, its steps, and carrying its faults out and undoing them may take at most.

        untimed: Faults of which their engines cannot tell how long that takes.

        faults: How many it injects.

        regions: Every region that its faults name; None when one cannot be told.

        named: Calls that the drill itself names under `calls:`, as patterns.
    """

    digest: str
    drill: str
    system: str
    environment: str
    lasts: int = 0
    untimed: tuple[str, ...] = ()
    faults: int = 1
    calls: tuple[Call, ...] = ()
    regions: tuple[str, ...] | None = ()
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """
    Who asks.

    Attributes:
        names: Every name a policy may know them by: `alice`, `group:sre`, `env:GITHUB_ACTOR=octocat`.

        also: Names that only tell whether two are the same person, such as who called sudo.
    """

    names: tuple[str, ...]
    also: tuple[str, ...] = ()

    def is_(self, other: Person) -> bool:
        """Whether both may be the same person: they share a name that is not a group's."""
        return bool(self._own() & other._own())

    def _own(self) -> set[str]:
        own = {name for name in (*self.names, *self.also) if not name.startswith("group:")}
        # A signature names people by mail address, a machine by the part before the @.
        return own | {name.partition("@")[0] for name in own}


@dataclass(frozen=True, slots=True)
class Approval:
    """
    Somebody's yes to one exact plan.

    Attributes:
        plan: Digest of the plan.

        at, expires: Instants, UTC.

        signed: A signature of somebody whom the policy's signers name was verified.
    """

    plan: str
    by: Person
    at: datetime
    expires: datetime
    reason: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """
    What holds in one environment; None restricts nothing.

    Attributes:
        protected: At least one approval is needed, whatever `approvals` says.

        actions: Patterns of calls that any drill may make.

        named: Patterns of calls that a drill may make when it names them under `calls:` itself.

        untold: Whether a share, a region or a duration that cannot be told from the plan is accepted.

        longest, fresh: Nanoseconds: of a drill with carrying out and undoing, and the age of an approval.
    """

    protected: bool = False
    who: tuple[str, ...] | None = None
    drills: tuple[str, ...] | None = None
    systems: tuple[str, ...] | None = None
    windows: tuple[Window, ...] | None = None
    freezes: tuple[Freeze, ...] = ()
    actions: tuple[str, ...] = KNOWN
    named: tuple[str, ...] = ()
    share: float | None = None
    regions: int | None = None
    faults: int | None = None
    untold: bool = False
    longest: int | None = None
    approvals: int = 0
    approvers: tuple[str, ...] | None = None
    fresh: int | None = None

    @property
    def needed(self) -> int:
        """How many people must have approved."""
        return max(self.approvals, int(self.protected))


@dataclass(frozen=True, slots=True)
class Policy:
    """
    One policy file.

    Attributes:
        environments: Rules by environment.

        default: For environments that are not named; None refuses them.

        signed: Only signed approvals count.
    """

    file: str
    environments: Mapping[str, Rules]
    default: Rules | None = None
    signed: bool = False

    def rules(self, environment: str) -> Rules | None:
        return self.environments.get(environment, self.default)


def decide(
    proposal: Proposal, policy: Policy, person: Person, when: datetime, approvals: Sequence[Approval] = ()
) -> list[Problem]:
    """Every reason why *person* may not begin this run at *when* (UTC); none means it is allowed."""
    rules = policy.rules(proposal.environment)
    if rules is None:
        if proposal.environment:
            return [
                Problem(
                    f"{policy.file} has no rules for the environment {proposal.environment}",
                    hint=f"add environments: {proposal.environment}: (or default:) to {policy.file}",
                )
            ]
        return [
            Problem(
                f"{policy.file} has rules for environments, and the drill {proposal.drill} does not name its own",
                hint=f"say environment: in the drill, one of {', '.join(policy.environments) or 'those to be added'}",
            )
        ]
    where = f"in {proposal.environment or 'an environment without a name'}"
    found = [
        *_people(proposal, rules, person, where),
        *_times(proposal, rules, when, where),
        *_calls(proposal, rules, where),
        *_radius(proposal, rules, where),
        *_approved(proposal, policy, rules, person, when, approvals),
    ]
    return [Problem(f"{policy.file} refuses: {problem.message}", hint=problem.hint) for problem in found]


def usable(
    proposal: Proposal, policy: Policy, person: Person, when: datetime, approvals: Sequence[Approval]
) -> list[Approval]:
    """The approvals that count for this run: one for each person."""
    rules = policy.rules(proposal.environment)
    if rules is None:
        return []
    found: list[Approval] = []
    for each in approvals:
        if each.plan == proposal.digest and not _flaw(each, policy, rules, person, when, found):
            found.append(each)
    return found


def _flaw(
    approval: Approval, policy: Policy, rules: Rules, person: Person, when: datetime, before: Sequence[Approval]
) -> str:
    """Why an approval of this plan does not count; "" when it does."""
    if approval.by.is_(person):
        return "who approves may not be who runs it"
    if any(approval.by.is_(other.by) for other in before):
        return "it is the second of one person"
    if policy.signed and not approval.signed:
        return "it is not signed by one of the policy's signers"
    if rules.approvers is not None and not set(rules.approvers) & set(approval.by.names):
        return "this person may not approve"
    if not approval.at <= when < approval.expires:
        return "it has expired" if approval.at <= when else "it is of the future"
    age = (when - approval.at) // timedelta(microseconds=1) * 1000
    return "" if rules.fresh is None or age <= rules.fresh else "it is too old"


def _people(proposal: Proposal, rules: Rules, person: Person, where: str) -> Iterator[Problem]:
    if rules.who is not None and not set(rules.who) & set(person.names):
        yield Problem(
            f"{person.names[0]} may not run drills {where}",
            hint=f"ask one of {', '.join(rules.who) or 'nobody'}",
        )
    for what, name, allowed in (
        ("drill", proposal.drill, rules.drills),
        ("system", proposal.system, rules.systems),
    ):
        if allowed is not None and not any(matches(pattern, name) for pattern in allowed):
            yield Problem(
                f"the {what} {name} is not among those that may run {where}",
                hint=f"allowed are {', '.join(allowed) or 'none'}",
            )


def _times(proposal: Proposal, rules: Rules, when: datetime, where: str) -> Iterator[Problem]:
    # Many steps of years each would end after the last year that a date can have.
    ends = when + timedelta(microseconds=min(-(-proposal.lasts // 1000), _MILLENNIUM))
    lasts = wording.duration(proposal.lasts)
    if proposal.untimed and not rules.untold and (rules.longest is not None or rules.windows is not None):
        yield Problem(
            f"how long {' and '.join(proposal.untimed)} may take cannot be told, and that is limited {where}",
            hint="use an engine that tells, or have untold: allow added",
        )
    if rules.longest is not None and proposal.lasts > rules.longest:
        yield Problem(
            f"it may take {lasts}, and {wording.duration(rules.longest)} is the most {where}",
            hint="shorten the steps' within: and watch:, or pauses and timeouts of what the experiments do and undo",
        )
    if rules.windows is not None and not any(window.holds(when, ends) for window in rules.windows):
        yield Problem(
            f"now is outside the windows for drills {where}, or it would not end in time (it may take {lasts})",
            hint=f"run it {'; or '.join(map(str, rules.windows)) or 'never: there is no window'}",
        )
    for freeze in rules.freezes:
        if freeze.meets(when, ends):
            why = f" ({freeze.reason})" if freeze.reason else ""
            yield Problem(
                f"drills {where} are frozen until {freeze.ends:%Y-%m-%d %H:%M} {freeze.zone}{why}",
                hint="wait until then, or have the freeze changed",
            )


def _calls(proposal: Proposal, rules: Rules, where: str) -> Iterator[Problem]:
    for what in dict.fromkeys(call.what for call in proposal.calls):
        if any(matches(pattern, what) for pattern in rules.actions):
            continue
        if any(matches(pattern, what) for pattern in rules.named):
            if any(matches(pattern, what) for pattern in proposal.named):
                continue
            yield Problem(
                f"{what} may be called {where} only by a drill that says so",
                hint=f'add calls: ["{what}"] to the drill',
            )
        else:
            yield Problem(
                f"{what} may not be called {where}",
                hint="have it added under actions: (or actions_if_named:), or use one of "
                f"{', '.join(rules.actions) or 'nothing'}",
            )


def _radius(proposal: Proposal, rules: Rules, where: str) -> Iterator[Problem]:
    if rules.faults is not None and proposal.faults > rules.faults:
        yield Problem(
            f"it injects {wording.plural(proposal.faults, 'fault')}, and {rules.faults} is the most {where}",
            hint="split the drill",
        )
    if rules.regions is not None:
        if proposal.regions is None and not rules.untold:
            yield Problem(
                f"which regions its faults reach cannot be told from the plan, and {rules.regions} is the most {where}",
                hint="write the region into all that runs and is no probe of a module that ends in .probes, "
                "or have untold: allow added",
            )
        elif proposal.regions is not None and len(proposal.regions) > rules.regions:
            yield Problem(
                f"its faults name {wording.plural(len(proposal.regions), 'region')} "
                f"({', '.join(proposal.regions)}), and {rules.regions} is the most {where}",
                hint="aim at fewer",
            )
    for call in proposal.calls:
        if rules.share is None or not call.breaks:
            continue
        if call.share is None and not rules.untold:
            yield Problem(
                f"how much {call.what} breaks cannot be told from the plan, and {rules.share:.0%} is the most {where}",
                hint="use an action that takes a percentage, or have untold: allow added",
            )
        elif call.share is not None and call.share > rules.share:
            yield Problem(
                f"{call.what} breaks {call.share:.0%} of what it aims at, and {rules.share:.0%} is the most {where}",
                hint="aim at less",
            )


def _approved(
    proposal: Proposal, policy: Policy, rules: Rules, person: Person, when: datetime, approvals: Sequence[Approval]
) -> Iterator[Problem]:
    counted = usable(proposal, policy, person, when, approvals)
    if len(counted) >= rules.needed:
        return
    others = [each for each in approvals if each.plan == proposal.digest and each not in counted]
    flaws = [f"{each.by.names[0]}'s ({_flaw(each, policy, rules, person, when, counted)})" for each in others]
    uncounted = f"; not counted: {', '.join(flaws)}" if flaws else ""
    who = f" by {' or '.join(rules.approvers)}" if rules.approvers else ""
    signed = " --key …" if policy.signed else ""
    yield Problem(
        f"plan {proposal.digest[:12]} has {len(counted)} of {wording.plural(rules.needed, 'approval')} "
        f"that it needs{uncounted}",
        hint=f"somebody other than who runs it{who}: drill approve {proposal.digest} --reason …{signed}",
    )


def matches(pattern: str, text: str) -> bool:
    """
    Whether *text* fits: `*` stands for anything within one part of a path or address, `**` for anything.

    What is not known yet (`${…}`) only fits `**`, and a way up (`..`) only where everything is allowed.
    """
    if ".." in re.split(r"[/\\:]", re.sub("%2e", ".", text, flags=re.I)) and pattern != text:
        return pattern.endswith(":**")
    parts = re.split(r"(\*\*|\*)", pattern)
    wild = {"**": ".*", "*": r"[^/?#@${}\\\s]*"}
    return re.fullmatch("".join(wild.get(part) or re.escape(part) for part in parts), text, re.DOTALL) is not None


def overlay(base: Rules, own: Mapping[str, Any]) -> Rules:
    """The rules of an environment: its own, and where it says nothing those of `default:`; freezes add up."""
    given = {each.name: own.get(each.name, getattr(base, each.name)) for each in fields(Rules)}
    return Rules(**{**given, "freezes": base.freezes + tuple(own.get("freezes", ()))})
