"""
The report's pictures, as Vega-Lite specifications.

Every picture over time has the same width and the same axis, so that what lies
above each other happened at the same moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from drill import wording
from drill.model import Bounds, Phase
from drill.reports import theme
from drill.reports.series import Axis, Quantiles, Segment, Stretch, Write

WIDTH = 850
BULLET = 220
LEFT = 122
RIGHT = 24

Spec = dict[str, Any]

TICK: Spec = {"type": "tick", "orient": "vertical", "thickness": 2, "opacity": 1}
# Where no upper bound is known.
ARROW: Spec = {"type": "point", "shape": "triangle-right", "filled": True, "size": 260, "opacity": 1}

# Failed is the darkest and the tallest, slow a lower half, unknown a notch: told apart without colour, too.
LANE = {"ok": (0.18, 0.82), "slow": (0.5, 0.82), "failed": (0.06, 0.94), "unknown": (0.3, 0.5)}
STATE = {"ok": theme.OK, "slow": theme.SLOW, "failed": theme.FAILED, "unknown": theme.UNKNOWN}

FATES = {
    "survived": (theme.GOOD, "circle", 1.5),
    "recovered": (theme.LINE, "diamond", 2.5),
    "lost": (theme.FAILED, "cross", 5.0),
    "absent": (theme.ABSENT, "triangle-up", 3.5),
    "refused": (theme.REFUSED, "square", 1.5),
    "unread": (theme.UNKNOWN, "circle", 1.5),
}


def _chart(
    layers: Sequence[Spec], *, height: int, width: int = WIDTH, padding: Mapping[str, int] | None = None
) -> Spec:
    return {
        "width": width,
        "height": height,
        # Sizes that do not depend on labels keep the time axes of all pictures aligned.
        "autosize": {"type": "none"},
        "padding": padding or {"left": LEFT, "right": RIGHT, "top": 8, "bottom": 44},
        "layer": list(layers),
    }


def _x(on: Axis, field: str = "first") -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [on.first, on.last], "nice": False, "zero": False},
        "axis": {"title": on.label, "grid": True, "tickCount": 10},
    }


def _data(rows: Sequence[Mapping[str, Any]]) -> Spec:
    return {"values": list(rows)}


def _fault_span(on: Axis) -> list[Spec]:
    """The time from the fault to the end of its undoing, shaded, with the fault itself as a line."""
    if not on.faulty:
        return []
    spans = [{"first": first, "last": min(last, on.last)} for first, last in on.faulty]
    return [
        {
            "data": _data(spans),
            "mark": {"type": "rect", "color": theme.FAULT, "opacity": 0.09},
            "encoding": {"x": _x(on), "x2": {"field": "last"}},
        },
        {
            "data": _data(spans),
            "mark": {"type": "rule", "color": theme.FAULT, "strokeWidth": 1.5, "strokeDash": [5, 3]},
            "encoding": {"x": _x(on)},
        },
    ]


# --- the verdict: bounds against target -------------------------------------------------------------------------------


def bullet(found: Bounds | None, target: int, verdict: str) -> Spec:
    """One objective: the allowed range, the target as a line, what was measured as a bar from lower to upper."""
    ends = [target * 1.25] + ([found.lower * 1.2, (found.upper or 0) * 1.12] if found else [])
    most = max([*ends, 1.0])
    colour = {"met": theme.GOOD, "missed": theme.FAILED}.get(verdict, theme.SLOW)
    x = {"type": "quantitative", "scale": {"domain": [0, most], "nice": False}, "axis": None}

    def bar(first: float, last: float, color: str, y: int, y2: int, **more: Any) -> Spec:
        return {
            "data": _data([{"first": first, "last": last}]),
            "mark": {"type": "rect", "color": color, **more},
            "encoding": {"x": {"field": "first", **x}, "x2": {"field": "last"}, "y": {"value": y}, "y2": {"value": y2}},
        }

    layers = [bar(0, most, theme.TRACK, 9, 25)]
    if target:
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
                    "data": _data([{"first": most}]),
                    "mark": ARROW | {"color": colour},
                    "encoding": {"x": {"field": "first", **x}, "y": {"value": 17}},
                }
            )
    layers.append(
        {
            "data": _data([{"first": target}]),
            "mark": {"type": "rule", "color": theme.MARK, "strokeWidth": 2.5},
            "encoding": {"x": {"field": "first", **x}, "y": {"value": 1}, "y2": {"value": 33}},
        }
    )
    return _chart(layers, width=BULLET, height=34, padding={"left": 4, "right": 10, "top": 1, "bottom": 1})


# --- over time --------------------------------------------------------------------------------------------------------


def lanes(phases: Sequence[Phase], on: Axis) -> Spec:
    """A lane for each phase: the span in which it happened, with its ends, and a thin line from the fault to it."""
    rows = []
    for n, phase in enumerate(phases):
        first, last = on.at(phase.window.lower), on.at(phase.window.upper)
        right = last < on.first + (on.last - on.first) * 0.84
        said = wording.moment(phase.window.lower - on.zero, phase.window.upper - on.zero)
        rows.append(
            {
                "n": n + 0.5,
                "first": first,
                "last": last,
                "middle": (first + last) / 2,
                "text": said,
                "right": right,
            }
        )
    height = 28 * len(rows)
    # By number: a phase may come twice.
    y = _rows_of(len(rows)) | {"field": "n"}
    span = {"x": _x(on), "x2": {"field": "last"}, "y": y}
    data = _data(rows)
    return _chart(
        [
            *_fault_span(on),
            {
                "data": data,
                "transform": [{"calculate": "0", "as": "zero"}],
                "mark": {"type": "rule", "color": theme.UNKNOWN, "strokeWidth": 1, "strokeDash": [1, 3]},
                "encoding": {"x": _x(on, "zero"), "x2": {"field": "first"}, "y": y},
            },
            {"data": data, "mark": {"type": "rule", "color": theme.LINE, "strokeWidth": 5}, "encoding": span},
            *(
                {
                    "data": data,
                    "mark": TICK | {"color": theme.LINE, "size": 16},
                    "encoding": {"x": _x(on, end), "y": y},
                }
                for end in ("first", "last")
            ),
            *(
                {
                    "data": data,
                    "transform": [{"filter": f"datum.right === {'true' if side == 'last' else 'false'}"}],
                    "mark": {"type": "text", "align": align, "dx": 9 if align == "left" else -9, "fontSize": 12},
                    "encoding": {"x": _x(on, side), "y": y, "text": {"field": "text"}},
                }
                for side, align in (("last", "left"), ("first", "right"))
            ),
        ],
        height=max(height, 28),
    )


def _lane_axis() -> Spec:
    return {
        "title": None,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "labelColor": theme.INK,
        "labelFontSize": 13,
    }


def ribbons(found: Mapping[str, Mapping[str, Sequence[Stretch]]], on: Axis) -> Spec:
    """A lane for each probe, with what its samples showed at each moment."""
    names = list(found)
    layers: list[Spec] = []
    for state, (top, bottom) in LANE.items():
        rows = [
            {"first": stretch.first, "last": stretch.last, "y": n + top, "y2": n + bottom}
            for n, name in enumerate(names)
            for stretch in found[name].get(state, ())
        ]
        layers.append(
            {
                "data": _data(rows),
                "mark": {"type": "rect", "color": STATE[state], "clip": True},
                "encoding": {"x": _x(on), "x2": {"field": "last"}, "y": _rows_of(len(names)), "y2": {"field": "y2"}},
            }
        )
    return _chart([*_fault_span(on), *layers, *_fault_span(on)[1:]], height=34 * max(len(names), 1))


def _rows_of(count: int) -> Spec:
    """An axis of lanes, top down; `svg.draw` puts their names in the place of "lane 0", "lane 1", …"""
    axis = _lane_axis() | {
        "values": [n + 0.5 for n in range(count)],
        "labelExpr": "'lane ' + floor(datum.value)",
        "grid": False,
    }
    return {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [0, max(count, 1)], "reverse": True, "nice": False},
        "axis": axis,
    }


def latency(found: Sequence[Quantiles], failed: Sequence[Stretch], deadline_ms: float, on: Axis) -> Spec:
    """Half of the good answers below the line, nine in ten inside the band; failures along the deadline."""
    lowest = min([quantiles.p5 for quantiles in found] + [deadline_ms / 20])
    low, high = 10 ** math.floor(math.log10(max(lowest, 0.01))), deadline_ms * 2.2
    y = {
        "type": "quantitative",
        "scale": {"type": "log", "domain": [low, high], "nice": False},
        "axis": {
            "title": None,
            "grid": True,
            "values": _decades(low, high),
            "labelExpr": "datum.value >= 1000 ? datum.value / 1000 + ' s' : datum.value + ' ms'",
        },
    }
    rows = _data([asdict(quantiles) for quantiles in found])

    def line(field: str, **mark: Any) -> Spec:
        encoding = {"x": _x(on, "at"), "y": {"field": field, **y}, "detail": {"field": "segment"}}
        return {"data": rows, "mark": {"type": "line", "clip": True, **mark}, "encoding": encoding}

    layers = [
        *_fault_span(on),
        {
            "data": rows,
            "mark": {"type": "area", "color": theme.BAND, "clip": True, "opacity": 0.85},
            "encoding": {
                "x": _x(on, "at"),
                "y": {"field": "p5", **y},
                "y2": {"field": "p95"},
                "detail": {"field": "segment"},
            },
        },
        line("most", color=theme.SLOW, strokeWidth=1),
        line("p50", color=theme.LINE, strokeWidth=2),
        {
            "data": _data([{"y": deadline_ms}]),
            "mark": {"type": "rule", "color": theme.MARK, "strokeWidth": 1.5, "strokeDash": [6, 3]},
            "encoding": {"y": {"field": "y", **y}},
        },
        {
            "data": _data([{"first": stretch.first, "last": stretch.last} for stretch in failed]),
            "mark": {"type": "rect", "color": theme.FAILED, "clip": True},
            "encoding": {
                "x": _x(on),
                "x2": {"field": "last"},
                "y": {"datum": deadline_ms * 1.15, **y},
                "y2": {"datum": deadline_ms * 1.85},
            },
        },
    ]
    return _chart(layers, height=120)


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def servers(found: Mapping[str, Sequence[Stretch]], on: Axis) -> Spec:
    """A lane for each server that answered; two lanes at one moment mean that both did."""
    names = list(found)
    rows = [
        {"first": stretch.first, "last": stretch.last, "y": n + 0.22, "y2": n + 0.78}
        for n, name in enumerate(names)
        for stretch in found[name]
    ]
    layer = {
        "data": _data(rows),
        "mark": {"type": "rect", "color": theme.LINE, "clip": True},
        "encoding": {"x": _x(on), "x2": {"field": "last"}, "y": _rows_of(len(names)), "y2": {"field": "y2"}},
    }
    return _chart([*_fault_span(on), layer], height=30 * len(names))


# --- the ledger -------------------------------------------------------------------------------------------------------


def ledger(found: Sequence[Segment], on: Axis) -> Spec:
    """Every write as its id against the moment it was sent; lost ones heaviest."""
    rows = [
        {
            "fate": segment.fate,
            "first": segment.first.at,
            "last": max(segment.last.at, segment.first.at + (on.last - on.first) / WIDTH),
            "id": segment.first.id,
            "id2": segment.last.id,
        }
        for segment in found
    ]
    most = max((segment.last.id for segment in found), default=1)
    y = _ids(0, most)
    layers = [
        {
            "data": _data([row for row in rows if row["fate"] == fate]),
            "mark": {"type": "rule", "color": colour, "strokeWidth": 2 + weight, "strokeCap": "round", "clip": True},
            "encoding": {"x": _x(on), "x2": {"field": "last"}, "y": y, "y2": {"field": "id2"}},
        }
        for fate, (colour, _, weight) in FATES.items()
    ]
    return _chart([*_fault_span(on), *layers], height=200)


def around(found: Sequence[Write], on: Axis, loss: tuple[float, float] | None, said: str) -> Spec:
    """The writes around the fault one by one, with the span of the loss marked above them."""
    first, last = min(write.at for write in found), max(write.at for write in found)
    window = Axis(on.zero, first, max(last, first + 0.001), (), on.label)
    faults = [{"first": begin} for begin, _ in on.faulty if first <= begin <= last]
    low, high = min(write.id for write in found), max(write.id for write in found)
    room = max(high - low, 1) * 0.22
    y = _ids(low, high + room)
    layers: list[Spec] = [
        {
            "data": _data(faults),
            "mark": {"type": "rule", "color": theme.FAULT, "strokeWidth": 1.5, "strokeDash": [5, 3]},
            "encoding": {"x": _x(window)},
        }
    ]
    for fate, (colour, shape, weight) in FATES.items():
        rows = [{"first": write.at, "id": write.id} for write in found if write.fate == fate]
        mark = {"type": "point", "shape": shape, "filled": fate != "absent", "color": colour, "opacity": 1}
        layers.append(
            {
                "data": _data(rows),
                "mark": mark | {"size": 14 + 11 * weight, "clip": True},
                "encoding": {"x": _x(window), "y": y},
            }
        )
    if loss is not None:
        layers += _loss(loss, said, high + room * 0.45, high + room * 0.85, window, y)
    return _chart(layers, height=240)


def _loss(loss: tuple[float, float], said: str, at: float, text_at: float, window: Axis, y: Spec) -> list[Spec]:
    begin, end = loss
    row = {"first": begin, "last": end, "id": at, "above": text_at, "middle": (begin + end) / 2, "text": said}
    data, height = _data([row]), {**y, "field": "id"}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": theme.FAILED, "strokeWidth": 2},
            "encoding": {"x": _x(window), "x2": {"field": "last"}, "y": height},
        },
        *(
            {
                "data": data,
                "mark": TICK | {"color": theme.FAILED, "size": 14},
                "encoding": {"x": _x(window, side), "y": height},
            }
            for side in ("first", "last")
        ),
        {
            "data": data,
            "mark": {"type": "text", "color": theme.INK, "fontSize": 13, "fontWeight": "bold"},
            "encoding": {"x": _x(window, "middle"), "y": {**y, "field": "above"}, "text": {"field": "text"}},
        },
    ]


def _ids(low: float, high: float) -> Spec:
    return {
        "field": "id",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
        "axis": {"title": "id written", "grid": True, "tickCount": 5, "format": "d"},
    }
