"""
Whether a run may begin: every policy that applies is asked before anything is touched.

Policies are found in the project and in every folder above it, and each of them must allow the
run: what stands near cannot loosen what stands above. Without any, a drill runs as it always has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from drill import approvals as signed
from drill import engines, plugins
from drill import plan as planning
from drill.errors import Problem, Refused, SpecError
from drill.model import Approved, Drill, Fault, FileDigest, Permission, StepKind
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
        calls=(*(call for reach in reaches for call in reach.calls), *_around(drill)),
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


def _around(drill: Drill) -> Iterable[Call]:
    """Code that a drill runs beside its faults: programs that probes start, scripts that send a load."""
    for probe in drill.probes:
        options = probe.options if probe.kind == "command" else {}
        for given in (options, *(value for value in options.values() if isinstance(value, dict))):
            if "command" in given:
                yield Call(f"process:{given['command'][0]}")
    if drill.load is not None and drill.load.script:
        yield Call(f"load:{drill.load.script}")


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
