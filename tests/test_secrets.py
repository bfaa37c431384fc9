"""
Canaries: a secret planted everywhere a secret can stand, and everything a run leaves or shows is searched for them.

Whole runs through the command line, against a real service.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from pathlib import Path
from urllib.parse import quote

from tests.running import World

MINE = """
import base64

def leak(secrets, configuration, handed):
    print("printed", secrets["token"])
    return {"effect": "shown", "evidence": f"with {handed} and {secrets['token']}", "all": [secrets, configuration]}

def fail(secrets):
    raise RuntimeError("refused: Basic " + base64.b64encode(f"me:{secrets['token']}".encode()).decode())
"""

# Each has another shape, so that no other secret's redaction hides it.
CANARIES = {
    "C_TOKEN": "canary-token-Zx9/+=&",
    "C_HANDED": "canary handed % 7",
    "C_CONFIG": "canary-config-password-11",
    "C_HEADER": "canary-header-Qq55",
    "C_USER": "canary-userinfo%2F77",
    "C_LOAD": "canary-load-header-31",
    "C_UNUSED": "canary-unused-everywhere",
}
IN_ADDRESS = "canary-literal-in-address-4"
IN_HEADER = "canary-literal-in-header-5"
IN_FILE = "canary-written-in-the-experiment-42"

PROBE = """
probe: reads
kind: http
url: ${base}/
every: 50ms
deadline: 500ms
expect: {status: 200}
headers: {Authorization: "Bearer ${env:C_HEADER}"}
"""
BROKEN = """
probe: broken
kind: http
url: http://me:${env:C_USER}@127.0.0.1:9/
headers: {X-Api-Key: "IN_HEADER"}
every: 200ms
deadline: 500ms
""".replace("IN_HEADER", IN_HEADER)
DATABASE = """
probe: database
kind: postgres
dsn: postgresql://me:${env:C_USER}@127.0.0.1:9/db
every: 200ms
deadline: 500ms
query: select 1
"""
PROGRAM = """
probe: program
kind: command
command: [sh, -c, "echo $TOKEN; echo $TOKEN >&2; exit 3"]
environment: {TOKEN: "${env:C_TOKEN}"}
every: 500ms
deadline: 2s
"""


def python(func: str, **arguments: str) -> dict[str, object]:
    provider = {"type": "python", "module": "mine", "func": func, "secrets": ["it"], "timeout": 10}
    return {"type": "action", "name": func, "provider": {**provider, "arguments": arguments}}


def plant(world: World, *more: object) -> Path:
    """A drill whose every part has a secret; its path."""
    (world.folder / "mine.py").write_text(MINE)
    for name, text in (("reads", PROBE), ("broken", BROKEN), ("database", DATABASE), ("program", PROGRAM)):
        (world.folder / "probes" / f"{name}.yaml").write_text(text)
    secrets = {"it": {"token": {"type": "env", "key": "C_TOKEN"}, "written": IN_FILE}}
    shout = {
        "type": "action",
        "name": "shout",
        "provider": {
            "type": "process",
            "path": "sh",
            "arguments": ["-c", "echo '${password}' '${token}'; echo '${password}' >&2"],
            "secrets": ["it"],
            "timeout": 10,
        },
    }
    leak = python("leak", handed="${handed}")
    world.experiment(
        "freeze",
        [leak, shout, world.signal("STOP"), *more],
        [world.signal("CONT"), leak],
        secrets=secrets,
        configuration={"password": {"type": "env", "key": "C_CONFIG"}},
    )
    path = world.drill(within="1s", more="observe: [broken, database, program]")
    path.write_text(
        path.read_text().replace("  - inject: freeze\n", '  - inject: freeze\n    with: {handed: "${env:C_HANDED}"}\n')
    )
    return path


def forms(value: str) -> set[bytes]:
    """Every way in which a value may stand in bytes."""
    plain = {value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]}
    return {form.encode() for form in plain} | {base64.b64encode(value.encode())[:-4]}


def found_in(what: bytes) -> list[str]:
    """Names of the canaries in it."""
    known = {**CANARIES, "in the file": IN_FILE, "in an address": IN_ADDRESS, "in a header": IN_HEADER}
    return [name for name, value in known.items() if any(form in what for form in forms(value))]


def left_in(folder: Path) -> dict[str, list[str]]:
    """Every file below a folder with the canaries in it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return {str(path.relative_to(folder)): names for path in files if (names := found_in(path.read_bytes()))}


class Watching(threading.Thread):
    """Reads the command line of every process until told to stop: what any user of the machine can see."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


def run(world: World, *arguments: str | Path) -> tuple[int, str, set[bytes]]:
    """A run with every canary in its environment: exit code, all that it printed, and all command lines meanwhile."""
    world.environment |= CANARIES
    watching = Watching()
    watching.start()
    try:
        code, out, err = world.run("run", *arguments)
    finally:
        watching.over.set()
        watching.join()
    return code, out + err, watching.seen


def test_no_canary_leaves_a_run(world: World) -> None:
    """Neither in journal, reports and logs, nor in what any command prints, nor in a command line that `ps` shows."""
    path = plant(world)
    literal = f"postgresql://me:{IN_ADDRESS}@127.0.0.1:9/db?password={IN_ADDRESS}"
    written = DATABASE.replace("probe: database", "probe: written").replace(
        "postgresql://me:${env:C_USER}@127.0.0.1:9/db", literal
    )
    (world.folder / "probes/written.yaml").write_text(written)
    path.write_text(path.read_text().replace("[broken, ", "[broken, written, "))
    path.write_text(path.read_text() + 'load: {url: "${base}/", rate: 5, headers: {X-Key: "${env:C_LOAD}"}}\n')
    code, said, seen = run(world, path, "--plain")

    assert code == 3, said
    assert found_in(said.encode()) == []
    assert left_in(world.latest()) == {}
    assert left_in(Path(world.environment["XDG_STATE_HOME"])) == {}
    journal = (world.latest() / "journal.log").read_bytes()
    # The secrets were used, and where they would have stood is their name.
    named = set(re.findall(rb"\[redacted:[\w.:]+\]", journal))
    assert {b"[redacted:it.token]", b"[redacted:it.written]", b"[redacted:password]", b"[redacted:C_HANDED]"} <= named
    # A program that an experiment starts with a secret among its words shows it to everybody; drill's own do not.
    ours = [words for words in seen if b"drill" in words]
    assert ours
    assert [words for words in ours if found_in(words)] == []

    for words in (
        ["lint"],
        ["plan", path, "--check"],
        ["plan", path, "--json"],
        ["report", world.latest()],
        ["doctor"],
    ):
        _, out, err = world.run(*words)
        assert found_in((out + err).encode()) == [], words
    assert left_in(world.latest()) == {}


def test_no_canary_leaves_a_run_that_fails(world: World) -> None:
    """An exception with a secret in base64 is told without it."""
    code, said, _ = run(world, plant(world, python("fail")), "--plain")

    assert code == 4, said
    assert found_in(said.encode()) == []
    assert left_in(world.latest()) == {}
    assert b"refused: Basic " in (world.latest() / "journal.log").read_bytes()
    assert not world.frozen()


def test_a_secret_that_vault_should_give_and_cannot_is_told_before_the_fault(world: World) -> None:
    """Without the package, or the server, the action that needs it is not carried out, and nothing is broken."""
    token = {"type": "vault", "path": "secrets/it", "key": "token"}
    world.experiment(
        "freeze",
        [{**world.signal("STOP"), "provider": {**world.signal("STOP")["provider"], "secrets": ["it"]}}],
        [world.signal("CONT")],
        secrets={"it": {"token": token}},
        configuration={"vault_addr": "http://127.0.0.1:9", "vault_token": "x"},
    )
    code, said, _ = run(world, world.drill(within="1s"), "--plain")

    assert code == 4, said
    assert "freeze: it.token cannot be had: " in said
    assert "Traceback" not in said
    assert not world.frozen()
