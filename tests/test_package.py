"""What a user installs: the built wheel, in a clean environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from drill import __version__

ROOT = Path(__file__).parents[1]
# Whatever imports one of these before a command needs it makes every `drill --help` slow.
HEAVY = {
    "chaoslib",
    "boto3",
    "botocore",
    "kubernetes",
    "aiohttp",
    "asyncpg",
    "valkey",
    "rich",
    "jinja2",
    "vl_convert",
    "yaml",
    "msgspec",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_program_and_its_files(wheel: Path) -> None:
    """Typed, licensed, with every shipped drill, experiment and probe, and nothing of this checkout's own."""
    names = set(zipfile.ZipFile(wheel).namelist())

    shipped = {
        f"drill/files/{file.relative_to(ROOT)}"
        for folder in ("drills", "experiments", "probes")
        for file in (ROOT / folder).glob("*.*")
    }
    assert shipped <= names
    assert {"drill/py.typed", f"drill_orchestrator-{__version__}.dist-info/licenses/LICENSE"} <= names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


@pytest.mark.timeout(600)
def test_the_wheel_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed from the wheel alone: --version, init, and lint of what init wrote."""
    venv.create(tmp_path / "venv", with_pip=True)
    python, drill = tmp_path / "venv/bin/python", tmp_path / "venv/bin/drill"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, capture_output=True)

    def run(*arguments: str, folder: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([drill, *arguments], cwd=folder, check=False, capture_output=True, text=True)

    assert run("--version").stdout == f"drill, version {__version__}\n"
    assert "files written" in run("init", "mine").stdout
    linted = run("lint", folder=tmp_path / "mine")
    assert (linted.returncode, " 0 errors" in linted.stdout) == (0, True), linted.stderr
    # Without the extra there are no servers for the lab: said in a sentence, with what to do.
    lab = run("lab", "up")
    assert (lab.returncode, "drill-orchestrator[lab]" in lab.stderr) == (4, True), lab.stderr


def test_help_imports_nothing_heavy() -> None:
    """`drill --help` answers at once, because nothing is imported before it is needed."""
    script = (
        "import sys\nfrom drill.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert HEAVY & set(out.rpartition("LOADED")[2].split()) == set()


def test_checking_an_experiment_imports_little() -> None:
    """`drill lint` of one experiment needs neither the model of a run nor anything that is measured or driven."""
    script = (
        "import sys\nfrom drill.cli import main\n"
        f"try:\n    main(['lint', {str(ROOT / 'experiments' / 'no-effect.yaml')!r}])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sorted(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    loaded = set(out.rpartition("LOADED")[2].split())
    assert "drill.spec.experiment" in loaded
    unneeded = {*HEAVY, "numpy", "asyncio", "importlib.metadata", "drill.model", "drill.engines"} - {"yaml"}
    assert unneeded & loaded == set()
