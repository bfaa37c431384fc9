"""Phases, probes, latency and servers over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from drill import wording
from drill.model import Phase
from drill.reports import theme
from drill.reports.charts.frame import TICK, Spec, chart, data, fault_span, x_axis
from drill.reports.series import Axis, Quantiles, Stretch

# Failed is the darkest and the tallest, slow a lower half, unknown a notch: told apart without colour, too.
LANE = {"ok": (0.18, 0.82), "slow": (0.5, 0.82), "failed": (0.06, 0.94), "unknown": (0.3, 0.5)}
STATE = {"ok": theme.OK, "slow": theme.SLOW, "failed": theme.FAILED, "unknown": theme.UNKNOWN}


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
    span = {"x": x_axis(on), "x2": {"field": "last"}, "y": y}
    drawn = data(rows)
    return chart(
        [
            *fault_span(on),
            {
                "data": drawn,
                "transform": [{"calculate": "0", "as": "zero"}],
                "mark": {"type": "rule", "color": theme.UNKNOWN, "strokeWidth": 1, "strokeDash": [1, 3]},
                "encoding": {"x": x_axis(on, "zero"), "x2": {"field": "first"}, "y": y},
            },
            {"data": drawn, "mark": {"type": "rule", "color": theme.LINE, "strokeWidth": 5}, "encoding": span},
            *(
                {
                    "data": drawn,
                    "mark": TICK | {"color": theme.LINE, "size": 16},
                    "encoding": {"x": x_axis(on, end), "y": y},
                }
                for end in ("first", "last")
            ),
            *(
                {
                    "data": drawn,
                    "transform": [{"filter": f"datum.right === {'true' if side == 'last' else 'false'}"}],
                    "mark": {"type": "text", "align": align, "dx": 9 if align == "left" else -9, "fontSize": 12},
                    "encoding": {"x": x_axis(on, side), "y": y, "text": {"field": "text"}},
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
                "data": data(rows),
                "mark": {"type": "rect", "color": STATE[state], "clip": True},
                "encoding": {
                    "x": x_axis(on),
                    "x2": {"field": "last"},
                    "y": _rows_of(len(names)),
                    "y2": {"field": "y2"},
                },
            }
        )
    return chart([*fault_span(on), *layers, *fault_span(on)[1:]], height=34 * max(len(names), 1))


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
    low, high = (
        10 ** math.floor(math.log10(max(lowest, 0.01))),
        max([deadline_ms] + [quantiles.most for quantiles in found]) * 2.2,
    )
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
    rows = data([asdict(quantiles) for quantiles in found])

    def line(field: str, **mark: Any) -> Spec:
        encoding = {"x": x_axis(on, "at"), "y": {"field": field, **y}, "detail": {"field": "segment"}}
        return {"data": rows, "mark": {"type": "line", "clip": True, **mark}, "encoding": encoding}

    layers = [
        *fault_span(on),
        {
            "data": rows,
            "mark": {"type": "area", "color": theme.BAND, "clip": True, "opacity": 0.85},
            "encoding": {
                "x": x_axis(on, "at"),
                "y": {"field": "p5", **y},
                "y2": {"field": "p95"},
                "detail": {"field": "segment"},
            },
        },
        line("most", color=theme.SLOW, strokeWidth=1),
        line("p50", color=theme.LINE, strokeWidth=2),
        {
            "data": data([{"y": deadline_ms}]),
            "mark": {"type": "rule", "color": theme.MARK, "strokeWidth": 1.5, "strokeDash": [6, 3]},
            "encoding": {"y": {"field": "y", **y}},
        },
        {
            "data": data([{"first": stretch.first, "last": stretch.last} for stretch in failed]),
            "mark": {"type": "rect", "color": theme.FAILED, "clip": True},
            "encoding": {
                "x": x_axis(on),
                "x2": {"field": "last"},
                "y": {"datum": high / 1.9, **y},
                "y2": {"datum": high / 1.15},
            },
        },
    ]
    return chart(layers, height=120)


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
        "data": data(rows),
        "mark": {"type": "rect", "color": theme.LINE, "clip": True},
        "encoding": {"x": x_axis(on), "x2": {"field": "last"}, "y": _rows_of(len(names)), "y2": {"field": "y2"}},
    }
    return chart([*fault_span(on), layer], height=30 * len(names))
