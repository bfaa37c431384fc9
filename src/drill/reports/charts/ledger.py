"""Every write of a run, and those around the fault one by one."""

from __future__ import annotations

from collections.abc import Sequence

from drill.reports import theme
from drill.reports.charts.frame import TICK, WIDTH, Spec, chart, data, fault_span, x_axis
from drill.reports.series import Axis, Segment, Write

FATES = {
    "survived": (theme.GOOD, "circle", 1.5),
    "recovered": (theme.LINE, "diamond", 2.5),
    "lost": (theme.FAILED, "cross", 5.0),
    "absent": (theme.ABSENT, "triangle-up", 3.5),
    "refused": (theme.REFUSED, "square", 1.5),
    "unread": (theme.UNKNOWN, "circle", 1.5),
}


def ledger(found: Sequence[Segment], on: Axis) -> Spec:
    """Every write as its number against the moment it was sent; lost ones heaviest."""
    rows = [
        {
            "fate": segment.fate,
            "first": segment.first.at,
            "last": max(segment.last.at, segment.first.at + (on.last - on.first) / WIDTH),
            "number": segment.first.number,
            "number2": segment.last.number,
        }
        for segment in found
    ]
    most = max((segment.last.number for segment in found), default=1)
    y = _numbers(0, most)
    layers = [
        {
            "data": data([row for row in rows if row["fate"] == fate]),
            "mark": {"type": "rule", "color": colour, "strokeWidth": 2 + weight, "strokeCap": "round", "clip": True},
            "encoding": {"x": x_axis(on), "x2": {"field": "last"}, "y": y, "y2": {"field": "number2"}},
        }
        for fate, (colour, _, weight) in FATES.items()
    ]
    return chart([*fault_span(on), *layers], height=200)


def around(found: Sequence[Write], on: Axis, loss: tuple[float, float] | None, said: str) -> Spec:
    """The writes around the fault one by one, with the span of the loss marked above them."""
    first, last = min(write.at for write in found), max(write.at for write in found)
    window = Axis(on.zero, first, max(last, first + 0.001), (), on.label)
    faults = [{"first": begin} for begin, _ in on.faulty if first <= begin <= last]
    low, high = min(write.number for write in found), max(write.number for write in found)
    room = max(high - low, 1) * 0.22
    y = _numbers(low, high + room)
    layers: list[Spec] = [
        {
            "data": data(faults),
            "mark": {"type": "rule", "color": theme.FAULT, "strokeWidth": 1.5, "strokeDash": [5, 3]},
            "encoding": {"x": x_axis(window)},
        }
    ]
    for fate, (colour, shape, weight) in FATES.items():
        rows = [{"first": write.at, "number": write.number} for write in found if write.fate == fate]
        mark = {"type": "point", "shape": shape, "filled": fate != "absent", "color": colour, "opacity": 1}
        layers.append(
            {
                "data": data(rows),
                "mark": mark | {"size": 14 + 11 * weight, "clip": True},
                "encoding": {"x": x_axis(window), "y": y},
            }
        )
    if loss is not None:
        layers += _loss(loss, said, high + room * 0.45, high + room * 0.85, window, y)
    return chart(layers, height=240)


def _loss(loss: tuple[float, float], said: str, at: float, text_at: float, window: Axis, y: Spec) -> list[Spec]:
    begin, end = loss
    row = {"first": begin, "last": end, "number": at, "above": text_at, "middle": (begin + end) / 2, "text": said}
    drawn, height = data([row]), {**y, "field": "number"}
    return [
        {
            "data": drawn,
            "mark": {"type": "rule", "color": theme.FAILED, "strokeWidth": 2},
            "encoding": {"x": x_axis(window), "x2": {"field": "last"}, "y": height},
        },
        *(
            {
                "data": drawn,
                "mark": TICK | {"color": theme.FAILED, "size": 14},
                "encoding": {"x": x_axis(window, side), "y": height},
            }
            for side in ("first", "last")
        ),
        {
            "data": drawn,
            "mark": {"type": "text", "color": theme.INK, "fontSize": 13, "fontWeight": "bold"},
            "encoding": {"x": x_axis(window, "middle"), "y": {**y, "field": "above"}, "text": {"field": "text"}},
        },
    ]


def _numbers(low: float, high: float) -> Spec:
    return {
        "field": "number",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
        "axis": {"title": "write number", "grid": True, "tickCount": 5, "format": "d"},
    }
