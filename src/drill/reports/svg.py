"""From a Vega-Lite specification to an SVG element that may stand inside a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from drill.reports import theme
from drill.reports.text import clean

VEGA_LITE = "5.20"
CONFIG: dict[str, Any] = {
    # The whole picture gets one label in words; a role on every mark would be read out one by one.
    "aria": False,
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": theme.MUTED,
        "tickColor": theme.MUTED,
        "gridColor": theme.GRID,
        "labelColor": theme.MUTED,
        "titleColor": theme.MUTED,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "text": {"fontSize": 12, "color": theme.INK},
}

_SVG = "{http://www.w3.org/2000/svg}"
# vl-convert writes numbers with up to 17 digits; a hundredth of a pixel is enough, and far smaller.
_LONG = re.compile(r"-?\d+\.\d{3,}")
_LANE = re.compile(r"lane (\d+)")
# Characters that fit beside a chart.
LONGEST = 20
_ID = re.compile(r"url\(#([^)]+)\)")


def draw(spec: dict[str, Any], *, name: str, label: str, lanes: Sequence[str] = ()) -> str:
    """
    Render a chart as static SVG: no script, no font, no reference to anything outside.

    The specification must hold no text from outside, because vl-convert ends
    the whole process on a control character. The names of *lanes* are put in
    afterwards, as XML. *name* makes ids unique in the page; *label* says in words
    what the chart shows, for people who cannot see it.
    """
    # Slow to import, and only needed here.
    import vl_convert

    source = vl_convert.vegalite_to_svg({**spec, "config": CONFIG}, vl_version=VEGA_LITE)
    root = Xml.fromstring(source)  # noqa: S314 - made by vl-convert just now
    ids: dict[str, str] = {}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _tidy(element, ids, name)
        if element.tag == "text" and (lane := _LANE.fullmatch(element.text or "")):
            _name(element, clean(lanes[int(lane[1])]))
    _drop_background(root)
    width, height = root.attrib.pop("width"), root.attrib.pop("height")
    root.attrib.clear()
    root.attrib.update(
        {
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-label": clean(label),
            "style": f"max-width:{width}px",
        }
    )
    return Xml.tostring(root, encoding="unicode")


def _tidy(element: Xml.Element, ids: dict[str, str], name: str) -> None:
    for key in ("class", "aria-hidden", "role", "aria-roledescription", "font-family", "pointer-events"):
        element.attrib.pop(key, None)

    def renamed(id: str) -> str:
        # vl-convert counts ids through the life of the process: the same picture would differ the second time.
        return ids.setdefault(id, f"{name}-{len(ids)}")

    for key, value in element.attrib.items():
        if key == "id":
            element.attrib[key] = renamed(value)
        elif "url(#" in value:
            element.attrib[key] = _ID.sub(lambda found: f"url(#{renamed(found[1])})", value)
        elif key in {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"}:
            element.attrib[key] = _LONG.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)


def _name(element: Xml.Element, full: str) -> None:
    """Write a lane's name; a long one is cut, and whole in the tooltip."""
    element.text = full if len(full) <= LONGEST else full[: LONGEST - 1] + "…"
    if element.text != full:
        Xml.SubElement(element, "title").text = full


def _drop_background(root: Xml.Element) -> None:
    """The page has its own; an opaque one would be white on a dark screen."""
    first = root.find("rect")
    if first is not None:
        root.remove(first)
