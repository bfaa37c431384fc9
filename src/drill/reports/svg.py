"""From a Vega-Lite specification to an SVG element that may stand inside a page."""

from __future__ import annotations

import re
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
_ID = re.compile(r"url\(#([^)]+)\)")


def draw(spec: dict[str, Any], *, name: str, label: str) -> str:
    """
    Render a chart as static SVG: no script, no font, no reference to anything outside.

    *name* makes its ids unique in the page; *label* says in words what it shows,
    for people who cannot see it.
    """
    # Slow to import, and only needed here.
    import vl_convert

    source = vl_convert.vegalite_to_svg({**spec, "config": CONFIG}, vl_version=VEGA_LITE)
    root = Xml.fromstring(source)  # noqa: S314 - made by vl-convert just now
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        _tidy(element, name)
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


def _tidy(element: Xml.Element, name: str) -> None:
    for key in ("class", "aria-hidden", "role", "aria-roledescription", "font-family", "pointer-events"):
        element.attrib.pop(key, None)
    for key, value in element.attrib.items():
        if key == "id":
            element.attrib[key] = f"{name}-{value}"
        elif "url(#" in value:
            element.attrib[key] = _ID.sub(rf"url(#{name}-\1)", value)
        elif key in {"d", "transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height"}:
            element.attrib[key] = _LONG.sub(lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), value)


def _drop_background(root: Xml.Element) -> None:
    """The page has its own; an opaque one would be white on a dark screen."""
    first = root.find("rect")
    if first is not None:
        root.remove(first)
