"""Files made to hurt: told of in a sentence, soon, in little memory; nothing is run and nothing outside is read."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from drill.cli import drill
from drill.spec import source
from tests.reports.test_html_in_browser import BROWSER, opened

DRILL = "drill: a\nobjectives: {rto: 1s}\n"
NINE = "abcdefghijklm"


def _bomb(item: str, around: str) -> str:
    """Each line names the one before nine times."""
    lines = [f"a: &a {item}"]
    for before, letter in pairwise(NINE):
        lines.append(f"{letter}: &{letter} " + around.format(",".join([f"*{before}"] * 9)))
    return "\n".join(lines)


# Name, and what stands in it; each is refused with an exit code 2.
FILES: dict[str, bytes | str] = {
    "empty.yaml": "",
    "huge.yaml": b"a: b\n" * (source.LARGEST_YAML // 4),
    "huge.json": b"[" + b"1," * source.LARGEST,
    "many-keys.yaml": "".join(f"a{n}: [1, 2]\n" for n in range(3000)),
    "many-duplicates.yaml": "".join(f"a{n % 3000}: 1\n" for n in range(6000)),
    "many-unknown-keys.yaml": DRILL + "".join(f"stepz{n}: 1\n" for n in range(4000)),
    "many-probes.yaml": DRILL + f"probes: [{','.join(f'p{n}' for n in range(8000))}]\nsteps: [{{inject: a}}]\n",
    "many-references.yaml": 'probe: a\nkind: http\nurl: "' + "${a}" * 15000 + '"\n',
    "many-values.json": "[" + ",".join(['{"a":1}'] * 10000) + "]",
    "many-duplicates.json": "{" + ",".join(f'"a{n % 3000}":1' for n in range(9000)) + "}",
    "deep-flow.yaml": "[" * 60000,
    "deep-mapping.yaml": "{a: " * 15000,
    "deep-block.yaml": "- " * 30000,
    "deep.json": "[" * 120000,
    "alias-bomb.yaml": _bomb("[x,x,x,x,x,x,x,x,x]", "[{}]"),
    "merge-bomb.yaml": _bomb("{x: 1}", "{{<<: [{}]}}"),
    "contains-itself.yaml": "&a [*a]",
    "nul.yaml": b"drill: a\0b\n",
    "nuls.json": b"\0" * 1000,
    "nul-in-names.yaml": DRILL
    + 'probes: ["a\\0b", "x/\\0.yaml"]\nsteps: [{inject: "\\0.yaml"}]\nload: {k6: "\\0", users: 1}',
    "long-names.yaml": DRILL + f"probes: [{'x' * 5000}, {'y' * 5000}.yaml]\nsteps: [{{inject: ./{'z' * 5000}.json}}]\n",
    "latin1.yaml": "drill: Fällt aus".encode("latin1"),
    "utf16.yaml": "drill: a".encode("utf-16"),
    "long-number.yaml": "drill: " + "9" * 50000,
    "long-number.json": '{"drill":' + "9" * 100000 + "}",
    "long-time.yaml": "drill: " + ":".join(["59"] * 20000),
    "tag.yaml": 'drill: !!python/object/apply:os.system ["touch hurt"]',
    "key-of-list.yaml": "? [a, b]\n: 1\n",
    "tabs.yaml": "\t" * 60000,
    "shell.yaml": 'drill: "$(touch hurt)"\nprobes: ["; touch hurt", "`touch hurt`"]\nsteps: [{inject: "$(id)"}]',
    "template.yaml": 'drill: "{{ 7 * 7 }}"\ntitle: "{% for x in y %}"\n',
    "escapes.yaml": 'drill: "\\e[2J\\e]0;hurt\\a"\n"\\e[31mkey": 1\n',
    "outside.yaml": DRILL + "probes: [../../../etc/passwd, /etc/hosts]\nsteps: [{inject: ../secret.json}]\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder to stand in, and a file outside of it that nobody may read."""
    folder = tmp_path / "project"
    for name in ("drills", "experiments", "probes"):
        (folder / name).mkdir(parents=True)
    (tmp_path / "secret.json").write_text('{"title": "CANARY"}')
    (tmp_path / "secret.yaml").write_text("CANARY: 1")
    monkeypatch.chdir(folder)
    return folder


def lint(file: str) -> str:
    """What `drill lint` prints of a file that it refuses."""
    done = CliRunner().invoke(drill, ["lint", file])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.output
    return done.output


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_a_sentence(name: str, project: Path) -> None:
    """The file is named, a person can read what is said, nothing is run and nothing else is read."""
    given = FILES[name]
    (project / name).write_bytes(given if isinstance(given, bytes) else given.encode())

    said = lint(name)

    assert said.startswith(f"{name}:")
    assert len(said) < 200_000
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert "CANARY" not in said
    assert not (project / "hurt").exists()


def test_what_is_no_file_is_refused_at_once(project: Path) -> None:
    """A pipe that nobody writes to, an endless device, a link to itself, a folder: none of them is waited for."""
    os.mkfifo("pipe.yaml")
    Path("endless.yaml").symlink_to("/dev/zero")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("folder.yaml").mkdir()

    said = [lint(f"{name}.yaml").splitlines()[0] for name in ("pipe", "endless", "loop", "folder")]
    assert said == [
        "pipe.yaml cannot be read: it is not a regular file",
        "endless.yaml cannot be read: it is not a regular file",
        "loop.yaml cannot be read: Too many levels of symbolic links",
        "folder.yaml is a folder, not a file",
    ]


def test_a_link_does_not_lead_out_of_the_project(project: Path) -> None:
    """Neither by a bare name nor by a path is a file read that lies outside."""
    Path("probes/secret.yaml").symlink_to("../../secret.yaml")
    Path("experiments/secret.json").symlink_to("../../secret.json")
    Path("drills/d.yaml").write_text(
        DRILL
        + "probes: [secret, ../probes/secret.yaml]\nsteps: [{inject: secret}, {inject: ../experiments/secret.json}]\n"
    )
    said = lint("drills/d.yaml")

    assert said.count("leads out of the project") + said.count("that leads out of the project") >= 4
    assert "CANARY" not in said


def test_huge_files_take_little_memory(project: Path) -> None:
    """100 MB of a drill and of JSON are refused by a process that may not have 1 GB."""
    for name, part in (("drill.yaml", b"a: b\n"), ("drill.json", b'{"a":1}')):
        with open(name, "wb") as file:
            for _ in range(100):
                file.write(part * (2**20 // len(part)))
        done = subprocess.run(
            [sys.executable, "-m", "drill", "lint", name],
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
        )

        assert done.returncode == 2
        assert "the most that is read" in done.stderr
        os.unlink(name)


SCRIPT = '<script>document.title = "hurt"</script><img src=x onerror=alert(1)>{{ 7 * 7 }}\x1b[2J'


def named_so(project: Path) -> Path:
    """A drill whose titles and names are meant for a browser, a template and a terminal."""
    activity = {"type": "action", "name": SCRIPT, "provider": {"type": "process", "path": "false", "timeout": 5}}
    experiment = {"title": SCRIPT, "description": SCRIPT, "method": [activity], "rollbacks": []}
    (project / "experiments/e.json").write_text(json.dumps(experiment))
    probe = {"probe": "p", "kind": "command", "title": SCRIPT, "command": ["true"], "every": "100ms", "deadline": "1s"}
    (project / "probes/p.json").write_text(json.dumps(probe))
    path = project / "drills/d.json"
    objectives = {"rto": {"target": "1s", "source": {"stated": SCRIPT}}}
    steps = [{"watch": "1s"}, {"inject": "e"}]
    path.write_text(
        json.dumps({"drill": "d", "title": SCRIPT, "objectives": objectives, "probes": ["p"], "steps": steps})
    )
    return path


def test_a_drill_titled_with_a_script_harms_nobody(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan, what its run prints and its reports show the title as text; nothing is run, filled in or escaped to."""
    monkeypatch.setenv("XDG_STATE_HOME", str(project / "state"))
    path = named_so(project)
    said = CliRunner().invoke(drill, ["plan", str(path)]).output
    done = subprocess.run(
        [sys.executable, "-m", "drill", "run", str(path), "--plain"], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 4, done.stdout + done.stderr
    for printed in (said, done.stdout, done.stderr):
        assert "{{ 7 * 7 }}\\x1b[2J" in printed
        assert "\x1b[2J" not in printed
    (folder,) = (project / "reports").iterdir()
    page = (folder / "report.html").read_text()
    assert "&lt;script&gt;document.title" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "{{ 7 * 7 }}" in page
    assert "<script" not in (folder / "junit.xml").read_text()
    if BROWSER:
        dom, console, asked = opened(folder / "report.html", project)
        assert "<title>hurt" not in dom
        assert (console, [address for address in asked if not address.startswith(("file:", "data:"))]) == ("", [])
