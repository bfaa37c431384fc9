"""What docs/ says is so."""

from __future__ import annotations

import re
from importlib import util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as Xml

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    """docs/pictures.py."""
    spec = util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    """No link and no picture that is not there; no folder or test that is only talked of."""
    text = page.read_text()
    named = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    tests = re.findall(r"`(tests/[^`]+)`", text)

    assert named
    assert [link for link in named if not (page.parent / link).exists()] == []
    assert [test for test in tests if not (DOCS.parent / test).exists()] == []


def test_every_picture_stands_by_itself(pictures: ModuleType) -> None:
    """Vectors without a script or anything loaded from elsewhere, each shown on a page and drawn by the script."""
    shown = {name for page in PAGES for name in re.findall(r"\]\((\w+)\.svg\)", page.read_text())}

    assert shown == set(pictures.PICTURES)
    for name in shown:
        text = (DOCS / f"{name}.svg").read_text()
        assert Xml.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert re.findall(r"<script|<image|href=|url\(http", text) == []


def test_the_picture_of_two_hundred_outages_holds_what_the_page_says(pictures: ModuleType) -> None:
    """The truth is inside every time, and no bounds are wider than two periods and what requests are late."""
    errors = pictures.errors()

    assert len(errors) == 200
    assert all(low <= 0 <= high for low, high in errors)
    assert max(high - low for low, high in errors) <= 220


def test_the_pictures_numbers_are_those_of_the_page() -> None:
    """500 to 700 ms for one outage; 1.512 to 1.514 s for one loss."""
    text = (DOCS / "measurement.md").read_text()

    assert "at least 500 ms, at most 700 ms" in text
    assert [each in (DOCS / "outage.svg").read_text() for each in (">500 ms<", ">610 ms<", ">700 ms<")] == [True] * 3
    assert "a loss of 1.512 to 1.514 s" in text
    assert "rpo: 1.512 to 1.514 s" in (DOCS / "loss.svg").read_text()
