"""What is installed is found without importing it, and what is broken is named with its package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from drill import plugins
from drill.errors import EnvironmentFault


def offered(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Only these probe kinds are installed: (name, module:object)."""
    found = EntryPoints(EntryPoint(name, value, "drill.probes") for name, value in points)
    monkeypatch.setattr(plugins, "_points", lambda group, path: found.select(group=group))


def test_listing_imports_nothing() -> None:
    """`drill plugins` on a machine with forty plug-ins loads none of them."""
    script = (
        "import sys; from drill import plugins\n"
        "for what in plugins.GROUPS: assert plugins.installed(what)\n"
        "ours = ('drill.probes', 'drill.engines', 'drill.reports', 'drill.lab')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"


def test_two_packages_with_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them would be used must not depend on the order of a folder."""
    offered(monkeypatch, ("tcp", "drill.probes.tcp:TcpProbe"), ("tcp", "other:Probe"))

    with pytest.raises(EnvironmentFault, match="two packages offer a probe named tcp"):
        plugins.installed("probe")


def test_one_package_found_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable install beside a wheel lists the same object twice."""
    offered(monkeypatch, ("tcp", "drill.probes.tcp:TcpProbe"), ("tcp", "drill.probes.tcp:TcpProbe"))

    assert list(plugins.installed("probe")) == ["tcp"]


def test_a_misspelt_name_gets_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest name, or all there are."""
    offered(monkeypatch, ("postgres", "x:Y"))

    with pytest.raises(
        EnvironmentFault, match=r"no probe named postgress is installed\n  hint: did you mean postgres\?"
    ):
        plugins.load("probe", "postgress")
    with pytest.raises(EnvironmentFault, match="installed are postgres"):
        plugins.load("probe", "zzz")


@pytest.mark.parametrize(
    ("body", "why"),
    [("import nothing_like_this", "nothing_like_this"), ("1/0", "division"), ("def", "syntax"), ("", "Y")],
)
def test_a_plug_in_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    """Whatever a stranger's module does when imported, it is one sentence and exit code 4."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "strange.py").write_text(body)
    monkeypatch.delitem(sys.modules, "strange", raising=False)
    offered(monkeypatch, ("strange", "strange:Y"))

    with pytest.raises(EnvironmentFault, match=f"the probe strange of an unknown package cannot be imported: .*{why}"):
        plugins.load("probe", "strange")
