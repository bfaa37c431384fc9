"""One objective: bounds against target."""

from __future__ import annotations

from typing import Any

from drill.model import Bounds
from drill.reports import theme
from drill.reports.charts.frame import Spec, chart, data

BULLET = 220

# Where no upper bound is known.
ARROW: Spec = {"type": "point", "shape": "triangle-right", "filled": True, "size": 260, "opacity": 1}


def bullet(found: Bounds | None, target: int, verdict: str, *, at_least: bool = False) -> Spec:
    """
    One objective: the allowed range, the target as a line, what was measured as a bar from lower to upper.

    A *verdict* of "void" is one that does not count.
    """
    ends = [target * 1.25] + ([found.lower * 1.2, (found.upper or 0) * 1.12] if found else [])
    most = max([*ends, 1.0])
    colour = {"met": theme.GOOD, "missed": theme.FAILED, "void": theme.UNKNOWN}.get(verdict, theme.SLOW)
    x = {"type": "quantitative", "scale": {"domain": [0, most], "nice": False}, "axis": None}

    def bar(first: float, last: float, color: str, y: int, y2: int, **more: Any) -> Spec:
        return {
            "data": data([{"first": first, "last": last}]),
            "mark": {"type": "rect", "color": color, **more},
            "encoding": {"x": {"field": "first", **x}, "x2": {"field": "last"}, "y": {"value": y}, "y2": {"value": y2}},
        }

    layers = [bar(0, most, theme.TRACK, 9, 25)]
    if at_least:
        layers.append(bar(target, most, theme.OK, 9, 25))
    elif target:
        layers.append(bar(0, target, theme.OK, 9, 25))
    if found is not None:
        upper = most if found.upper is None else found.upper
        # At least five pixels, so that an exact value shows.
        thin = most * 5 / BULLET
        middle = (found.lower + upper) / 2
        first, last = (found.lower, upper) if upper - found.lower > thin else (middle - thin / 2, middle + thin / 2)
        first = max(first, 0)
        layers.append(bar(first, max(last, first + thin), colour, 5, 29, cornerRadius=2))
        if found.upper is None:
            layers.append(
                {
                    "data": data([{"first": most}]),
                    "mark": ARROW | {"color": colour},
                    "encoding": {"x": {"field": "first", **x}, "y": {"value": 17}},
                }
            )
    layers.append(
        {
            "data": data([{"first": target}]),
            "mark": {"type": "rule", "color": theme.MARK, "strokeWidth": 2.5},
            "encoding": {"x": {"field": "first", **x}, "y": {"value": 1}, "y2": {"value": 33}},
        }
    )
    return chart(layers, width=BULLET, height=34, padding={"left": 4, "right": 10, "top": 1, "bottom": 1})
