"""What all pictures share: size, time axis, the shading of a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drill.reports import theme
from drill.reports.series import Axis

WIDTH = 822
LEFT = 150
RIGHT = 24

Spec = dict[str, Any]

TICK: Spec = {"type": "tick", "orient": "vertical", "thickness": 2, "opacity": 1}


def chart(layers: Sequence[Spec], *, height: int, width: int = WIDTH, padding: Mapping[str, int] | None = None) -> Spec:
    return {
        "width": width,
        "height": height,
        # Sizes that do not depend on labels keep the time axes of all pictures aligned.
        "autosize": {"type": "none"},
        "padding": padding or {"left": LEFT, "right": RIGHT, "top": 8, "bottom": 44},
        "layer": list(layers),
    }


def x_axis(on: Axis, field: str = "first") -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [on.first, on.last], "nice": False, "zero": False},
        "axis": {"title": on.label, "grid": True, "tickCount": 10},
    }


def data(rows: Sequence[Mapping[str, Any]]) -> Spec:
    return {"values": list(rows)}


def fault_span(on: Axis) -> list[Spec]:
    """The time from the fault to the end of its undoing, shaded, with the fault itself as a line."""
    if not on.faulty:
        return []
    spans = [{"first": first, "last": min(last, on.last)} for first, last in on.faulty]
    return [
        {
            "data": data(spans),
            "mark": {"type": "rect", "color": theme.FAULT, "opacity": 0.09},
            "encoding": {"x": x_axis(on), "x2": {"field": "last"}},
        },
        {
            "data": data(spans),
            "mark": {"type": "rule", "color": theme.FAULT, "strokeWidth": 1.5, "strokeDash": [5, 3]},
            "encoding": {"x": x_axis(on)},
        },
    ]
