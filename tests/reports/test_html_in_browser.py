from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from drill.reports.html import HtmlFormat
from tests.reports.worlds import the_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser is installed (looked for {', '.join(BROWSERS)}): apt-get install chromium"
)


def opened(page: Path, folder: Path, *more: str) -> tuple[str, str, set[str]]:
    """Open a page from disk; returns its DOM, what the console said, and every address it asked for."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--enable-logging=stderr",
            "--v=0",
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            *more,
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, console, _asked(log.read_text())


def _asked(log: str) -> set[str]:
    """What the page asked for, by the browser's own network log; what the browser itself asks for has no origin."""
    # One event a line; not read as one document, whose end is missing when the browser leaves early.
    found = set()
    for line in log.splitlines():
        if '"initiator":' in line and line.startswith("{"):
            request = json.JSONDecoder().raw_decode(line)[0]["params"]
            if request.get("initiator") != "not an origin" and "url" in request:
                found.add(request["url"])
    return found


@pytest.mark.parametrize("name", ["missed", "unsafe"])
def test_a_page_opens_from_disk_without_complaint(name: str, tmp_path: Path) -> None:
    """A real browser shows the result, says nothing in its console and asks no server for anything."""
    run = the_run(name)
    page = tmp_path / "report.html"
    page.write_bytes(HtmlFormat().render(run.record, run.history))

    dom, console, asked = opened(page, tmp_path)

    assert f"<strong>{name}</strong>" in dom
    assert dom.count("<svg") == page.read_text().count("<svg")
    assert console == ""
    assert {address for address in asked if not address.startswith(("file:", "data:"))} == set()


def test_a_request_would_be_noticed(tmp_path: Path) -> None:
    """The test above has teeth: a page that loads something or runs something is caught."""
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://127.0.0.1:9/x.png"><script>console.error("ran")</script>')

    _, console, asked = opened(page, tmp_path)

    assert "http://127.0.0.1:9/x.png" in asked
    assert "ran" in console


def test_a_page_prints_on_paper(tmp_path: Path) -> None:
    """Printed, it is a PDF of a handful of A4 pages."""
    run = the_run("missed")
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_bytes(HtmlFormat().render(run.record, run.history))

    opened(page, tmp_path, f"--print-to-pdf={paper}", "--no-pdf-header-footer")

    pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
    assert 3 <= pages <= 10
