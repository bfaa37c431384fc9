"""
Colours of the report, for a light and a dark screen.

A chart is drawn with the light colours and is right by itself. On a dark
screen the page's style sheet finds each of them by its value and puts the
other in its place, so no picture is there twice. Each state also has a shape or
a place of its own: nothing is told by colour alone.
"""

from __future__ import annotations

# Every light value is used once, because the dark one is found by it.
INK = "#1c2430"
MUTED = "#586374"
GRID = "#e2e6ec"
TRACK = "#e9edf2"
OK = "#9fd5c8"
GOOD = "#0b7a6b"
SLOW = "#d18f00"
FAILED = "#b3261e"
UNKNOWN = "#858d99"
FAULT = "#d9480f"
BAND = "#a9c4e6"
LINE = "#2257a8"
ABSENT = "#7a3fd1"
REFUSED = "#aab2be"
MARK = "#1f2f7a"

DARK = {
    INK: "#e8ecf2",
    MUTED: "#9ba7b8",
    GRID: "#2a3441",
    TRACK: "#2b3542",
    OK: "#2c7a6c",
    GOOD: "#4fd0bb",
    SLOW: "#e3b14b",
    FAILED: "#e2604f",
    UNKNOWN: "#7d8898",
    FAULT: "#ff8b4d",
    BAND: "#33527c",
    LINE: "#8ab4ff",
    ABSENT: "#c3a3ff",
    REFUSED: "#566171",
    MARK: "#aebfff",
}


def dark_rules() -> str:
    """The style rules that recolour a chart on a dark screen."""
    return "\n".join(
        f'svg [{what}="{light}"]{{{what}:{dark}}}' for light, dark in DARK.items() for what in ("fill", "stroke")
    )
