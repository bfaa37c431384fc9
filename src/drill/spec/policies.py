"""A policy file becomes a policy; every mistake at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drill.errors import Problem, SpecError
from drill.policy import KNOWN, Policy, Rules, overlay
from drill.spec import project, source
from drill.spec.shape import (
    BAD,
    Bad,
    Boolean,
    Choice,
    Key,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Problems,
    Ratio,
    Table,
    Text,
    line,
    period,
)
from drill.spec.source import Node, found
from drill.spec.tables import PATTERN
from drill.windows import DAYS, Freeze, Window

NAME = "drill-policy.yaml"

_FIRST, _LAST = 1970, 9000  # years


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone by its IANA name."""

    expected: str = 'an IANA time zone such as "Europe/Berlin" or "UTC"'

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        # Abbreviations ("CET") leave summer time open, and a path is not a name.
        if isinstance(node.value, str) and re.fullmatch(r"UTC|[A-Z][\w+-]*(/[A-Za-z][\w+-]*){1,2}", node.value):
            try:
                return ZoneInfo(node.value)
            except (OSError, ValueError, KeyError):
                pass
        return problems.error(f"{name} must be {self.expected}, not {found(node)}", node.at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "examples": ["Europe/Berlin", "UTC"]}


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day; minutes since midnight."""

    expected: str = 'a time of day in quotes, such as "09:00"'

    def read(self, node: Node, name: str, problems: Problems) -> int | Bad:
        match = re.fullmatch(r"(\d\d):(\d\d)", node.value) if isinstance(node.value, str) else None
        minutes = 60 * int(match[1]) + int(match[2]) if match and int(match[2]) < 60 else -1
        if not 0 <= minutes <= 24 * 60:
            # YAML takes 09:00 for 540 (a number to the base of 60).
            hint = "put it in quotes" if isinstance(node.value, int) else None
            return problems.error(f"{name} must be {self.expected}, not {found(node)}", node.at, hint)
        return minutes

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^([01]\d|2[0-4]):[0-5]\d$"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a day and a time; local, without a zone; in years that have a day before and after in every zone."""

    expected: str = 'a day such as 2026-12-20, or "2026-12-20 18:00"'

    def read(self, node: Node, name: str, problems: Problems) -> Any:
        value = node.value
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d)?", value):
            try:
                value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
            except ValueError:
                value = None
        if isinstance(value, date) and not (isinstance(value, datetime) and value.tzinfo):
            if _FIRST <= value.year <= _LAST:
                return value
            return problems.error(
                f"{name} must lie in the years {_FIRST} to {_LAST}, not {value.year:04}",
                node.at,
                "to allow no drill at all, say windows: []",
            )
        return problems.error(f"{name} must be {self.expected}, not {found(node)}", node.at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d)?$"}


_WHO = Text(
    'a user such as alice, "group:sre" or "env:GITHUB_ACTOR=octocat"', pattern=r"[^\s:=]+|group:\S+|env:\w+=\S+"
)
_PEOPLE = ListOf(_WHO, least=1, expected="a list of people")
_NAMES = ListOf(Text("a name, also with *"), least=1, expected="a list of names")
_PATTERNS = ListOf(PATTERN, expected="a list of patterns")
_FEW = Number("a whole number, 0 or more", least=0)

WINDOW = Table(
    "a window",
    Key("days", ListOf(Choice(*DAYS), least=1), "Weekdays on which it opens; default every day."),
    Key("from", Clock(), "When it opens, local time.", required=True),
    Key("to", Clock(), "When it closes; the next day when that is not later.", required=True),
    Key("zone", Zone(), "Whose local time.", required=True),
)
FREEZE = Table(
    "a freeze",
    Key("from", Moment(), "When it begins, local time.", required=True),
    Key("to", Moment(), "When it ends; a day is included.", required=True),
    Key("zone", Zone(), "Whose local time.", required=True),
    Key("reason", line, "Why, for whoever is refused."),
)
RADIUS = Table(
    "a blast radius",
    Key("share", Ratio(), "The largest share of what an action aims at."),
    Key("regions", _FEW, "The most regions that faults may name."),
    Key("faults", _FEW, "The most faults of one drill."),
    Key("untold", Choice("allow", "refuse"), "What to do where the plan does not tell; default refuse."),
)
APPROVALS = Table(
    "approvals",
    Key("count", _FEW, "How many people, other than who runs the drill; default 1."),
    Key("by", _PEOPLE, "Who may approve; default anybody else."),
    Key("within", period, "How old an approval may be."),
)
RULES = Table(
    "rules",
    Key("protected", Boolean(), "Every drill needs an approval."),
    Key("who", _PEOPLE, "Who may run drills: users, group:NAME, env:VARIABLE=VALUE; default anybody."),
    Key("drills", _NAMES, "Which drills may be run; default any."),
    Key("systems", _NAMES, "Which systems may be drilled; default any."),
    Key("windows", ListOf(WINDOW), "When drills may run, from beginning to end; default at any time."),
    Key("freezes", ListOf(FREEZE), "When none may run."),
    Key("actions", _PATTERNS, f"Code that drills may call; default {', '.join(KNOWN)}."),
    Key("actions_if_named", _PATTERNS, "Code that a drill may call when it names it under calls: itself."),
    Key("blast_radius", RADIUS, "The most that may be broken, as far as a plan tells."),
    Key("longest", period, "The longest that a drill may take: waiting, steps, carrying faults out and undoing them."),
    Key("approvals", OneOf(_FEW, APPROVALS, expected="a whole number, or a mapping"), "Whose yes is needed."),
)
POLICY = Table(
    "a policy",
    Key("policy", Choice("drill-policy-v1"), "The version of this file's form.", required=True),
    Key("default", RULES, "What holds where an environment says nothing; without it, unnamed ones are refused."),
    Key("environments", MapOf(RULES), "Rules by environment."),
    Key("signers", Text("the path of a file"), "An allowed-signers file of OpenSSH: only signed approvals count."),
)


@dataclass(frozen=True, slots=True)
class Written:
    """
    A policy and what is needed to keep to it.

    Attributes:
        signers: Who may sign approvals, an allowed-signers file.

        variables: Environment variables that it knows people by.
    """

    policy: Policy
    path: Path
    sha256: str
    signers: Path | None
    variables: tuple[str, ...]


def load(path: Path) -> Written:
    """
    Read a policy file.

    Raises:
        SpecError: With every error in it.
    """
    import hashlib

    shown = project.shown(path)
    node = source.read(path, shown)
    problems = Problems()
    fields = POLICY.read(node, "a policy", problems)
    signers = None
    if fields is not BAD:
        signers = _signers(path, node, fields, problems)
        _check_freezes(node, problems)
    if problems.found:
        raise SpecError(problems=sorted(problems.found, key=lambda problem: str(problem.at)))
    default = None if fields["default"] is None else overlay(Rules(), _rules(fields["default"]))
    policy = Policy(
        file=shown,
        default=default,
        environments={
            name: overlay(default or Rules(), _rules(rules)) for name, rules in (fields["environments"] or {}).items()
        },
        signed=signers is not None,
    )
    sha256 = hashlib.sha256(source.contents(path)).hexdigest()
    return Written(policy, path.resolve(), sha256, signers, _variables(policy))


def schema() -> dict[str, Any]:
    """The JSON Schema of policy files."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **POLICY.schema()}


def check(path: Path) -> Sequence[Problem]:
    """Every problem of a policy file."""
    try:
        load(path)
    except SpecError as error:
        return error.problems
    return ()


def _signers(path: Path, node: Node, fields: Mapping[str, Any], problems: Problems) -> Path | None:
    at = node.get("signers")
    if fields["signers"] is None or at is None:
        return None
    beside = path.resolve().parent
    signers: Path = beside / fields["signers"]
    if project.outside(signers, beside) or not project.is_file(signers):
        problems.error(f"there is no file {fields['signers']} beside {project.shown(path)}", at.at)
    return signers


def _check_freezes(node: Node, problems: Problems) -> None:
    environments = node.get("environments")
    for rules in [node.get("default"), *(rules for _, rules in (environments.items if environments else []))]:
        freezes = rules.get("freezes") if rules else None
        for freeze in freezes.children if freezes else []:
            read = FREEZE.read(freeze, "a freeze", Problems())
            if read is not BAD and not _freeze(read).begins < _freeze(read).ends:
                problems.error("a freeze must end after it begins", freeze.at)


def _rules(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a table of rules says, by the names of `Rules`; what it leaves out is left out."""
    radius, approvals = fields["blast_radius"] or {}, fields["approvals"]
    if isinstance(approvals, int):
        approvals = {"count": approvals, "by": None, "within": None}
    given = {
        "protected": fields["protected"],
        **{key: _tuple(fields[key]) for key in ("who", "drills", "systems", "actions")},
        "named": _tuple(fields["actions_if_named"]),
        "windows": None if fields["windows"] is None else tuple(map(_window, fields["windows"])),
        "freezes": None if fields["freezes"] is None else tuple(map(_freeze, fields["freezes"])),
        **{key: radius.get(key) for key in ("share", "regions", "faults")},
        "untold": None if radius.get("untold") is None else radius["untold"] == "allow",
        "longest": fields["longest"],
    }
    if approvals is not None:
        given |= {
            "approvals": 1 if approvals["count"] is None else approvals["count"],
            "approvers": _tuple(approvals["by"]),
            "fresh": approvals["within"],
        }
    return {key: value for key, value in given.items() if value is not None}


def _tuple(values: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _window(fields: Mapping[str, Any]) -> Window:
    days = fields["days"] or DAYS
    return Window(tuple(DAYS.index(day) for day in days), fields["from"], fields["to"], fields["zone"])


def _freeze(fields: Mapping[str, Any]) -> Freeze:
    begins, ends = fields["from"], fields["to"]
    if not isinstance(begins, datetime):
        begins = datetime.combine(begins, datetime.min.time())
    if not isinstance(ends, datetime):
        ends = datetime.combine(ends, datetime.min.time()) + timedelta(days=1)
    return Freeze(begins, ends, fields["zone"], fields["reason"] or "")


def _variables(policy: Policy) -> tuple[str, ...]:
    people = [
        name
        for rules in (policy.default, *policy.environments.values())
        if rules is not None
        for name in (*(rules.who or ()), *(rules.approvers or ()))
    ]
    return tuple(dict.fromkeys(name[4:].partition("=")[0] for name in people if name.startswith("env:")))
