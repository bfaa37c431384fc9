"""
Whether a run may begin: every policy that applies is asked before anything is touched.

Policies are found in the project and in every folder above it, and each of them must allow the
run: what stands near cannot loosen what stands above. Without any, a drill runs as it always has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drill import approvals as signed
from drill import engines, plugins
from drill import plan as planning
from drill.errors import Problem, Refused, SpecError
from drill.model import Approved, Drill, Fault, FileDigest, Load, Permission, Probe, StepKind
from drill.policy import Approval, Call, Person, Proposal, Reach, decide, usable
from drill.spec import policies
from drill.spec.policies import Written

MACHINE = Path("/etc/drill")  # a policy here holds for every drill on this machine


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policies say; allowed when there is no refusal."""

    policies: tuple[Written, ...]
    refusals: tuple[Problem, ...]
    permission: Permission | None


def find(root: Path, given: Path | None = None) -> list[Written]:
    """
    Every policy that applies to the project in *root*, the nearest first, this machine's, and the one *given*.

    Raises:
        SpecError: One cannot be used as written.
    """
    folder = root.resolve()
    places = [place / policies.NAME for place in (folder, *folder.parents, MACHINE)]
    paths = [path for path in places if _stands(path)]
    if given is not None and given.resolve() not in paths:
        paths.append(given)
    return [policies.load(path) for path in paths]


def _stands(path: Path) -> bool:
    """Whether something stands there; a broken link does, and what we may not see is refused, not passed over."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SpecError(f"whether {path} applies cannot be told: {error.strerror}") from error
    return True


def ask(
    drill: Drill,
    environment: Mapping[str, str],
    *,
    policy: Path | None = None,
    cycle: int | None = None,
    when: datetime | None = None,
) -> Answer:
    """
    What every policy says of running *drill* now.

    Raises:
        SpecError: A policy or an approval cannot be used as written.
    """
    written = find(Path(drill.root), policy)
    if not written:
        return Answer((), (), None)
    when = when or datetime.now(UTC)
    proposed = proposal(drill, cycle)
    person = signed.me(environment, [name for each in written for name in each.variables])
    refusals: list[Problem] = []
    counted: list[Approval] = []
    for each in written:
        given = signed.read(each.path.parent, each.signers)
        refusals += decide(proposed, each.policy, person, when, given)
        counted += usable(proposed, each.policy, person, when, given)
    return Answer(tuple(written), tuple(refusals), _permission(written, person, counted))


def require(
    drill: Drill, environment: Mapping[str, str], *, policy: Path | None = None, cycle: int | None = None
) -> Permission | None:
    """
    Permission to run *drill* now, for the record; None when no policy applies.

    Raises:
        Refused: A policy does not allow it; nothing was touched.
        SpecError: A policy or an approval cannot be used as written.
    """
    answer = ask(drill, environment, policy=policy, cycle=cycle)
    if answer.refusals:
        raise Refused("\n".join(map(str, answer.refusals)))
    return answer.permission


def proposal(drill: Drill, cycle: int | None = None) -> Proposal:
    """What policies have to know of a drill; nothing is touched."""
    made = planning.make(drill, {})
    reaches = [_reach(fault) for fault in made.faults]
    regions: tuple[str, ...] | None = ()
    for reach in reaches:
        regions = None if regions is None or reach.regions is None else (*regions, *reach.regions)
    taking = engines.limits(made.faults)
    carrying_out = sum(each.inject + each.undo for each in taking.values())
    return Proposal(
        digest=made.digest,
        drill=drill.name,
        system=drill.system,
        environment=drill.environment,
        lasts=planning.longest(made) + carrying_out + (cycle if cycle is not None else drill.cycle or 0),
        untimed=tuple(fault.name for fault in made.faults if fault.name not in taking or not taking[fault.name].told),
        faults=sum(step.kind is StepKind.INJECT for step in drill.steps),
        calls=(*(call for reach in reaches for call in reach.calls), *_around(drill, made.probes, made.load)),
        regions=None if regions is None else tuple(dict.fromkeys(regions)),
        named=drill.calls,
    )


def _reach(fault: Fault) -> Reach:
    engine = plugins.load("engine", fault.engine)()
    told = getattr(engine, "reach", None)
    if told is None:
        return Reach((Call(f"engine:{fault.engine}", breaks=True),), None)
    reach: Reach = told(fault)
    return reach


def _around(drill: Drill, probes: Iterable[Probe], load: Load | None) -> Iterable[Call]:
    """
    What a drill does beside its faults: programs that probes start, what they write, the load.

    *probes* and *load* have the values of the drill filled in; what an embedded lab serves is drill's own.
    """
    for probe in probes:
        options = probe.options
        for given in (options, *(value for value in options.values() if isinstance(value, dict))):
            if probe.kind == "command" and "command" in given:
                yield Call(f"process:{given['command'][0]}")
        for target in _written_to(probe):
            if not _of_lab(drill, target):
                yield Call(f"{probe.kind if probe.kind in _KINDS else 'probe'}:{_nameless(target)}")
    if load is not None and load.script:
        yield Call(f"load:{load.script}")
    elif load is not None and not _of_lab(drill, str(load.request.get("url"))):
        yield Call(f"http:{_nameless(str(load.request.get('url')))}")


_KINDS = ("http", "postgres", "valkey", "rabbitmq", "tcp")
# What a probe of a kind is told to do besides writing ids; who wrote it knows whether it only looks, drill does not.
_TOLD = {"postgres": "query", "valkey": "command", "tcp": "send"}


def _written_to(probe: Probe) -> list[str]:
    """Where a probe sends what may change something; empty when it can only look."""
    options, kind = probe.options, probe.kind
    write = options.get("write")
    method = str(options.get("method") or "GET")
    told = options.get(_TOLD.get(kind, ""))
    asks = kind == "valkey" and isinstance(told, list) and str(told[0]).upper() in _ASKS
    changes = "write" in options or (told and not asks) or (kind == "http" and method not in _LOOKS)
    if kind == "command" or not changes:
        return []
    places = [write.get("url") if isinstance(write, dict) else None, *(options.get(key) for key in _PLACES)]
    place = next((place for place in places if place), kind)
    return [str(each) for each in (place if isinstance(place, list) else [place])]


_LOOKS = ("GET", "HEAD", "OPTIONS")
_ASKS = ("PING", "INFO", "ROLE", "GET", "EXISTS")
_PLACES = ("url", "dsn", "address")


def _of_lab(drill: Drill, target: str) -> bool:
    """Whether it is an endpoint of the embedded lab that the drill brings up, and nothing that only begins like one."""
    found = re.fullmatch(r"\$\{([^{}]+)\}(/.*)?", target)
    return drill.lab is not None and found is not None and found[1] in drill.endpoints


def _nameless(url: str) -> str:
    """An address without user name and password, which nobody has to read in a refusal."""
    return re.sub(r"(?<=://)[^/?#@\\]*@", "", url)


def _permission(written: Iterable[Written], person: Person, counted: Iterable[Approval]) -> Permission:
    return Permission(
        who=person.names,
        policies=tuple(FileDigest(path=each.path.name, sha256=each.sha256) for each in written),
        approvals=tuple(
            Approved(
                by=each.by.names[0],
                at=_nanoseconds(each.at),
                expires=_nanoseconds(each.expires),
                reason=each.reason,
                signed=each.signed,
            )
            for each in dict.fromkeys(counted)
        ),
    )


def _nanoseconds(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
