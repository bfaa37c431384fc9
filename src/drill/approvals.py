"""
Approvals: one person's yes to one exact plan, as a file beside the policy.

A file without a signature is as good as the permissions of its folder, or the review of its
repository. Where a policy names `signers:`, only signatures count, made and verified by OpenSSH
(`ssh-keygen -Y`), whose keys people have and whose agents and hardware tokens work with it.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from drill.errors import EnvironmentFault, SpecError
from drill.policy import Approval, Person
from drill.spec import project, source
from drill.spec.shape import BAD, Choice, Key, ListOf, Problems, Table, Text, line

FOLDER = "approvals"
NAMESPACE = "drill-approval"  # a signature made for something else is none
_NOBODY = 2**32 - 1  # the login uid of what nobody logged in for
_INSTANT = Text(
    "an instant such as 2026-11-21T19:00:00+00:00", pattern=r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
)
_FILE = Table(
    "an approval",
    Key("approval", Choice("drill-approval-v1"), "The version of this file's form.", required=True),
    Key("plan", Text("a plan's digest", pattern=r"[0-9a-f]{64}"), "What is approved.", required=True),
    Key("drill", line, "The drill's name, for people."),
    Key("by", ListOf(line, least=1), "Every name of who approved.", required=True),
    Key("also", ListOf(line), "Who they logged in as, when that is another name."),
    Key("at", _INSTANT, "When.", required=True),
    Key("expires", _INSTANT, "Until when.", required=True),
    Key("reason", line, "Why."),
)


def me(environment: Mapping[str, str], variables: Iterable[str] = ()) -> Person:
    """
    Who runs this process: the system's answer, and the environment's only for *variables* that a policy names.

    Who called sudo, or logged in before su, is remembered as somebody they may be.
    """
    groups = sorted({_name(grp.getgrgid, number, "gr_name") for number in {os.getgid(), *os.getgroups()}})
    claims = [f"env:{name}={environment[name]}" for name in variables if environment.get(name)]
    names = (_user(os.getuid()), *(f"group:{name}" for name in groups), *claims)
    also = {environment.get("SUDO_USER", ""), _logged_in()} - {"", names[0]}
    return Person(names, tuple(sorted(also)))


def _user(number: int) -> str:
    return _name(pwd.getpwuid, number, "pw_name")


def _name(lookup: object, number: int, field: str) -> str:
    try:
        return str(getattr(lookup(number), field))  # type: ignore[operator]
    except KeyError:  # containers have numbers without names
        return str(number)


def _logged_in() -> str:
    try:
        number = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        return ""
    return "" if number == _NOBODY else _user(number)


def write(folder: Path, approval: Approval, drill: str = "", key: Path | None = None) -> Path:
    """
    Write an approval below *folder*, signed when a key is given; its path.

    Raises:
        EnvironmentFault: It cannot be written, or not signed.
    """
    person = re.sub(r"[^A-Za-z0-9._-]", "-", approval.by.names[0])
    path = folder / FOLDER / f"{approval.plan[:12]}-{person}.json"
    document = {
        "approval": "drill-approval-v1",
        "plan": approval.plan,
        **({"drill": drill} if drill else {}),
        "by": list(approval.by.names),
        **({"also": list(approval.by.also)} if approval.by.also else {}),
        "at": approval.at.isoformat(),
        "expires": approval.expires.isoformat(),
        "reason": approval.reason,
    }
    try:
        path.parent.mkdir(exist_ok=True)
        Path(f"{path}.sig").unlink(missing_ok=True)  # of another text
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise EnvironmentFault(f"the approval {path} cannot be written: {error.strerror}") from error
    if key is not None:
        signed = _keygen("sign", "-f", str(key), "-n", NAMESPACE, str(path), quiet=False)
        if signed.returncode:
            path.unlink()
            raise EnvironmentFault(
                f"the approval could not be signed with {key}",
                hint="give a private SSH key, or the public part of one that the agent holds",
            )
    return path


def read(folder: Path, signers: Path | None = None) -> list[Approval]:
    """
    Every approval below *folder*; a signature counts when *signers* names who made it.

    Raises:
        SpecError: A file there is no approval.
    """
    found = []
    for path in sorted((folder / FOLDER).glob("*.json")):
        if project.outside(path, folder):
            raise SpecError(f"{project.shown(path)} is a link that leads out of its folder")
        approval = _read(path)
        principal = _signer(path, signers) if signers else None
        if principal:
            # The signature says who it was; what the file says of groups nobody has checked.
            also = (*approval.by.names, *approval.by.also)
            approval = replace(approval, by=Person((principal,), also), signed=True)
        found.append(approval)
    return found


def _read(path: Path) -> Approval:
    shown = project.shown(path)
    problems = Problems()
    fields = _FILE.read(source.read(path, shown), "an approval", problems)
    if fields is BAD:
        raise SpecError(problems=problems.found)
    try:
        at, expires = (datetime.fromisoformat(fields[name]) for name in ("at", "expires"))
    except ValueError as error:
        raise SpecError(f"{shown} names an instant that does not exist: {error}") from None
    by = Person(tuple(fields["by"]), tuple(fields["also"] or ()))
    return Approval(fields["plan"], by, at, expires, fields["reason"] or "")


def _signer(path: Path, signers: Path) -> str | None:
    """Who signed the file as it stands, of those that *signers* names; None for anybody else."""
    signature = Path(f"{path}.sig")
    if not project.is_file(signature) or project.outside(signature, path.parent):
        return None
    found = _keygen("find-principals", "-s", str(signature), "-f", str(signers))
    for principal in found.stdout.decode(errors="replace").split("\n"):
        checked = principal and _keygen(
            *("verify", "-f", str(signers), "-I", principal, "-n", NAMESPACE, "-s", str(signature)),
            given=source.contents(path),
        )
        if checked and checked.returncode == 0:
            return principal
    return None


def _keygen(
    verb: str, *arguments: str, given: bytes | None = None, quiet: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """
    `ssh-keygen -Y`; signing may ask a person for a passphrase.

    Raises:
        EnvironmentFault: It is not installed, or hangs.
    """
    command: Sequence[str] = ("ssh-keygen", "-Y", verb, *arguments)
    try:
        if not quiet:
            return subprocess.run(command, timeout=300, stdout=subprocess.DEVNULL, check=False)
        return subprocess.run(command, timeout=30, input=given or b"", capture_output=True, check=False)
    except FileNotFoundError:
        raise EnvironmentFault(
            "signatures need ssh-keygen, which is not installed here", hint="install OpenSSH's client"
        ) from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFault("ssh-keygen gave no answer in time") from None
