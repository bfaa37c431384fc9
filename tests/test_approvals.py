"""Approvals are files beside the policy, read with suspicion; with signers, only OpenSSH's word counts."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from drill import approvals, permission, spec
from drill.cli import drill
from drill.errors import EnvironmentFault, Refused, SpecError
from drill.policy import Approval, Person

ME = pwd.getpwuid(os.getuid()).pw_name
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
YES = Approval("d" * 64, Person(("alice", "group:sre")), NOW, NOW + timedelta(hours=1), "CHG-1")

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's ssh-keygen is not installed")

EXPERIMENT = {
    "title": "nothing",
    "description": "a test",
    "method": [{"type": "action", "name": "a", "provider": {"type": "process", "path": "true", "timeout": 1}}],
    "rollbacks": [],
}
DRILL = """
drill: d
environment: production
objectives: {rto: 10s}
probes: [reads]
steps: [{watch: 1s}, {inject: e}]
"""
POLICY = """
policy: drill-policy-v1
environments:
  production: {protected: true, actions: ["process:true"]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a drill that needs an approval."""
    for name in ("drills", "experiments", "probes"):
        (tmp_path / name).mkdir()
    (tmp_path / "drills/d.yaml").write_text(DRILL)
    (tmp_path / "experiments/e.json").write_text(json.dumps(EXPERIMENT))
    (tmp_path / "probes/reads.yaml").write_text("probe: reads\nkind: tcp\naddress: 127.0.0.1:9\n")
    (tmp_path / "drill-policy.yaml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(drill, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit | SpecError | EnvironmentFault), (
        done.exception
    )
    return done.exit_code, done.output


def allowed() -> bool:
    """Whether the drill may run now."""
    return not permission.ask(spec.load(Path("drills/d.yaml")).drill, os.environ).refusals


def as_somebody_else() -> Path:
    """Approve, and hand the file to another person, as a review of the repository does."""
    assert run("approve", "drills/d.yaml", "--reason", "CHG-1")[0] == 0
    (path,) = Path("approvals").glob("*.json")
    path.write_text(path.read_text().replace(f'"{ME}"', '"somebody-else"'))
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Every part of an approval is in its file."""
    approvals.write(tmp_path, YES, "d")

    assert approvals.read(tmp_path) == [YES]


def test_a_drill_runs_only_once_somebody_else_approved_its_exact_plan(project: Path) -> None:
    """One's own yes does not count, another's does, and no longer when a file has changed."""
    assert not allowed()
    path = as_somebody_else()
    assert allowed()

    given = permission.require(spec.load(Path("drills/d.yaml")).drill, os.environ)
    assert given is not None
    assert given.who[0] == ME
    assert [(each.by, each.reason, each.signed) for each in given.approvals] == [("somebody-else", "CHG-1", False)]
    assert [file.path for file in given.policies] == ["drill-policy.yaml"]

    Path("experiments/e.json").write_text(json.dumps({**EXPERIMENT, "title": "something else"}))
    assert not allowed()
    path.unlink()
    assert run("approve", "drills/d.yaml", "--reason", "mine")[0] == 0
    assert not allowed()


def test_a_refused_drill_touches_nothing(project: Path) -> None:
    """Neither a run's folder nor a fault: the refusal comes first, with what would have to change."""
    with pytest.raises(Refused, match=r"0 of 1 approval that it needs\n  hint: somebody other than who runs it"):
        permission.require(spec.load(Path("drills/d.yaml")).drill, os.environ)
    done = subprocess.run(
        [sys.executable, "-m", "drill", "run", "drills/d.yaml"], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 4
    assert "drill-policy.yaml refuses: " in done.stderr
    assert not Path("reports").exists()


@pytest.mark.parametrize("section", ["method", "rollbacks"])
@pytest.mark.parametrize(
    ("pause", "refused"),
    [
        (7200, "and 10\u00a0min is the most in production"),
        ("${long}", "and 10\u00a0min is the most in production"),
        ("${password}", "how long e may take cannot be told"),
    ],
)
def test_what_carrying_out_and_undoing_take_counts_against_the_longest(
    project: Path, section: str, pause: int | str, refused: str
) -> None:
    """Two hours of a pause inside an experiment are two hours, whatever the drill's own steps say."""
    Path("drill-policy.yaml").write_text(POLICY.replace("protected: true", "longest: 10m"))
    assert allowed()
    slow = {**EXPERIMENT["method"][0], "pauses": {"after": pause}}
    known = {"long": 7200, "password": {"type": "env", "key": "A_PASSWORD", "default": "7200"}}
    Path("experiments/e.json").write_text(json.dumps({**EXPERIMENT, section: [slow], "configuration": known}))

    answer = permission.ask(spec.load(Path("drills/d.yaml")).drill, os.environ)
    assert [refused in each.message for each in answer.refusals] == [True]


def test_a_policy_above_cannot_be_loosened_below(project: Path) -> None:
    """Every policy on the way up must allow the run."""
    below = project / "team"
    for name in ("drills", "experiments", "probes"):
        shutil.copytree(name, below / name)
    (below / "drill-policy.yaml").write_text(POLICY.replace("protected: true, ", ""))
    os.chdir(below)
    answer = permission.ask(spec.load(Path("drills/d.yaml")).drill, os.environ)

    assert len(answer.policies) == 2
    assert ["needs" in refusal.message for refusal in answer.refusals] == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "approvals/x.json:1:2: this is not well-formed JSON"),
        ('{"approval": "drill-approval-v1"}', "an approval needs the key plan"),
        ('{"plan": "' + "d" * 64 + '", "root": true}', "unknown key root"),
    ],
)
def test_a_file_that_is_no_approval_is_told_of(project: Path, text: str, said: str) -> None:
    """With its place, and the drill does not run."""
    Path("approvals").mkdir()
    Path("approvals/x.json").write_text(text)

    with pytest.raises(SpecError) as refused:
        allowed()
    assert said in str(refused.value)


def test_an_approval_needs_a_reason_an_end_and_a_policy(project: Path) -> None:
    """What nobody could use later is refused at once."""
    assert run("approve", "drills/d.yaml")[0] == 2
    assert run("approve", "drills/d.yaml", "--reason", " ")[0] != 0
    assert run("approve", "drills/d.yaml", "--reason", "x", "--expires", "soon")[0] != 0
    Path("drill-policy.yaml").unlink()
    assert run("approve", "drills/d.yaml", "--reason", "x")[0] != 0
    assert not Path("approvals").exists()


def test_people_are_known_by_the_system_and_by_variables_that_a_policy_names() -> None:
    """A variable that nobody named is believed by nobody; who called sudo is remembered."""
    person = approvals.me({"GITHUB_ACTOR": "octocat", "USER": "root", "SUDO_USER": "alice"}, ["GITHUB_ACTOR", "UNSET"])

    assert person.names[0] == ME
    assert [name for name in person.names if name.startswith("env:")] == ["env:GITHUB_ACTOR=octocat"]
    assert "alice" in person.also


# --- signatures -------------------------------------------------------------------------------------------------------


def key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


@needs_ssh
def test_with_signers_only_a_signature_of_one_of_them_counts(project: Path, tmp_path_factory) -> None:
    """An unsigned approval, one signed by a stranger and one changed after signing are none."""
    keys = tmp_path_factory.mktemp("keys")
    carol, stranger = key(keys, "carol"), key(keys, "stranger")
    Path("signers").write_text(f"carol@example.com {carol.with_suffix('.pub').read_text()}")
    Path("drill-policy.yaml").write_text(POLICY + "signers: signers\n")

    as_somebody_else()
    assert not allowed()
    assert run("approve", "drills/d.yaml", "--reason", "x", "--key", str(stranger))[0] == 0
    assert not allowed()

    shutil.rmtree("approvals")
    plan = permission.proposal(spec.load(Path("drills/d.yaml")).drill).digest
    now = datetime.now(UTC)
    yes = Approval(plan, Person(("carol",)), now - timedelta(hours=1), now + timedelta(hours=1), "CHG-1")
    path = approvals.write(project, yes, "d", carol)
    assert allowed()
    (signed,) = approvals.read(project, project / "signers")
    assert (signed.by.names, signed.signed) == (("carol@example.com",), True)

    path.write_text(path.read_text().replace("CHG-1", "CHG-2"))
    assert not allowed()


@needs_ssh
def test_a_signature_made_for_something_else_is_none(project: Path, tmp_path_factory) -> None:
    """A signed git commit or file of the same person cannot be passed off as an approval."""
    carol = key(tmp_path_factory.mktemp("keys"), "carol")
    Path("signers").write_text(f"carol {carol.with_suffix('.pub').read_text()}")
    path = approvals.write(project, YES, "d")
    subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", str(carol), "-n", "git", str(path)], check=True, capture_output=True
    )

    assert [each.signed for each in approvals.read(project, project / "signers")] == [False]


@needs_ssh
def test_a_key_that_cannot_sign_leaves_no_approval(project: Path) -> None:
    """Nothing half made stays behind."""
    with pytest.raises(EnvironmentFault, match="could not be signed"):
        approvals.write(project, YES, "d", project / "no-such-key")

    assert list(Path("approvals").iterdir()) == []


def test_an_approval_covers_the_code_that_stands_beside_the_drill(project: Path) -> None:
    """A module and a script of the project are part of the plan: changing either takes the approval away."""
    Path("mine.py").write_text("def break_it(): pass\n")
    Path("break.sh").write_text("true\n")
    python = {"type": "action", "name": "b", "provider": {"type": "python", "module": "mine", "func": "break_it"}}
    shell = {"type": "action", "name": "c", "provider": {"type": "process", "path": "sh", "arguments": "break.sh"}}
    Path("experiments/e.json").write_text(json.dumps({**EXPERIMENT, "method": [python, shell]}))

    def plan() -> str:
        return permission.proposal(spec.load(Path("drills/d.yaml")).drill).digest

    digests = [plan()]
    for name in ("mine.py", "break.sh"):
        Path(name).write_text(Path(name).read_text() + "# changed\n")
        digests.append(plan())
    assert len(set(digests)) == 3
    assert [file.path for file in spec.load(Path("drills/d.yaml")).drill.files][-2:] == ["mine.py", "break.sh"]


def test_an_approval_goes_to_every_policy_that_asks_for_one(project: Path) -> None:
    """Whoever can write below cannot approve for a policy above; whoever may write above does both at once."""
    below = project / "team"
    for name in ("drills", "experiments", "probes"):
        shutil.copytree(name, below / name)
    (below / "drill-policy.yaml").write_text(POLICY)
    os.chdir(below)
    assert run("approve", "drills/d.yaml", "--reason", "CHG-1")[0] == 0

    written = [below / "approvals", project / "approvals"]
    assert [len(list(folder.glob("*.json"))) for folder in written] == [1, 1]
    for path in (below / "approvals").iterdir():
        path.write_text(path.read_text().replace(f'"{ME}"', '"somebody-else"'))
    assert not allowed()


def test_a_policy_that_cannot_be_read_refuses(project: Path) -> None:
    """A broken link where a policy should be is not the same as no policy."""
    Path("drill-policy.yaml").unlink()
    Path("drill-policy.yaml").symlink_to("gone.yaml")

    with pytest.raises(SpecError, match="does not exist"):
        allowed()


def test_an_approval_covers_the_programs_that_probes_start(project: Path) -> None:
    """A script that a probe runs is part of the plan."""
    Path("check.sh").write_text("true\n")
    Path("probes/reads.yaml").write_text("probe: reads\nkind: command\ncommand: [sh, check.sh]\n")
    before = permission.proposal(spec.load(Path("drills/d.yaml")).drill)
    Path("check.sh").write_text("false\n")
    after = permission.proposal(spec.load(Path("drills/d.yaml")).drill)

    assert before.digest != after.digest
    assert [call.what for call in after.calls if not call.breaks] == ["process:sh"]


@pytest.mark.parametrize(
    ("probe", "call"),
    [
        ("kind: http\nurl: http://me:pw@shop/", None),
        ("kind: http\nurl: http://me:pw@shop/\nmethod: DELETE", "http:http://shop/"),
        ('kind: http\nwrite: {url: "http://shop/${id}"}', "http:http://shop/${id}"),
        ("kind: http\nurl: http://evil?@shop/\nmethod: POST", "http:http://evil?@shop/"),
        ("kind: postgres\ndsn: postgresql://me:pw@db/orders", None),
        ("kind: postgres\ndsn: postgresql://me:pw@db/orders\nquery: TRUNCATE o", "postgres:postgresql://db/orders"),
        ("kind: postgres\ndsn: postgresql://db/orders\nwrite: {table: t}", "postgres:postgresql://db/orders"),
        ("kind: valkey\nurl: valkey://cache:1/0\ncommand: [FLUSHALL]", "valkey:valkey://cache:1/0"),
        ("kind: valkey\nurl: valkey://cache:1/0\ncommand: [info, replication]", None),
        ("kind: rabbitmq\nurl: amqp://queue/\nwrite: {queue: q}", "rabbitmq:amqp://queue/"),
        ("kind: tcp\naddress: 127.0.0.1:9\nsend: QUIT", "tcp:127.0.0.1:9"),
        ("kind: tcp\naddress: 127.0.0.1:9", None),
    ],
)
def test_what_a_probe_may_change_stands_under_actions(project: Path, probe: str, call: str | None) -> None:
    """A probe that can only look needs no leave; one that writes, or is told what to ask, does."""
    Path("drill-policy.yaml").write_text(POLICY.replace("protected: true, ", ""))
    Path("probes/reads.yaml").write_text(f"probe: reads\n{probe}\n")
    said = [f"{call} may not be called in production"] if call else []

    answer = permission.ask(spec.load(Path("drills/d.yaml")).drill, os.environ)
    assert [each.message.partition("refuses: ")[2] for each in answer.refusals] == said
    Path("drill-policy.yaml").write_text(
        POLICY.replace("protected: true, ", "").replace('"]', f'", "{call or "tcp:x"}"]')
    )
    assert allowed()


@pytest.mark.parametrize(
    ("url", "needs_leave"),
    [("${orders.url}/orders", False), ("${orders.url}.evil.example/", True), ("https://shop.example/", True)],
)
def test_a_load_needs_leave_for_all_but_the_lab(project: Path, url: str, needs_leave: bool) -> None:
    """The embedded lab is there to be asked; an address that only begins like one of its endpoints is not."""
    drill_ = DRILL.replace("environment: production", "lab: two-regions")
    Path("drills/d.yaml").write_text(f'{drill_}load: {{url: "{url}", rate: 10}}\n')
    Path("drill-policy.yaml").write_text(POLICY.replace("protected: true, ", "").replace("production", "lab"))

    answer = permission.ask(spec.load(Path("drills/d.yaml")).drill, os.environ)
    refusals = [each.message.partition("refuses: ")[2] for each in answer.refusals]
    assert refusals == ([f"http:{url} may not be called in lab"] if needs_leave else [])
