"""The load over time: good and failed answers a second, what was asked for, and the least that must be served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from drill.reports import theme
from drill.reports.charts.frame import Spec, chart, data, fault_span, x_axis
from drill.reports.series import Axis, Rate


def load(found: Sequence[Rate], capacity: float | None, on: Axis) -> Spec:
    """*capacity* is the least good answers a second, where the drill says one."""
    highest = [max(rate.sent, rate.ok, rate.failed, rate.wanted or 0) for rate in found]
    most = max([*highest, capacity or 0, 1.0]) * 1.1
    y = {
        "type": "quantitative",
        "scale": {"domain": [0, most], "nice": False},
        "axis": {"title": "a second", "grid": True, "tickCount": 4},
    }
    rows = data([asdict(rate) for rate in found])

    def line(field: str, rows: Spec = rows, **mark: Any) -> Spec:
        encoding = {"x": x_axis(on, "at"), "y": {"field": field, **y}}
        return {
            "data": rows,
            "mark": {"type": "line", "interpolate": "step-after", "clip": True, **mark},
            "encoding": encoding,
        }

    layers = [*fault_span(on)]
    asked = [asdict(rate) for rate in found if rate.wanted is not None]
    if asked:
        layers.append(line("wanted", data(asked), color=theme.UNKNOWN, strokeWidth=1.5, strokeDash=[2, 3]))
    layers += [line("ok", color=theme.GOOD, strokeWidth=2), line("failed", color=theme.FAILED, strokeWidth=2)]
    if capacity is not None:
        layers.append(
            {
                "data": data([{"y": capacity}]),
                "mark": {"type": "rule", "color": theme.MARK, "strokeWidth": 1.5, "strokeDash": [6, 3]},
                "encoding": {"y": {"field": "y", **y}},
            }
        )
    return chart(layers, height=140)
