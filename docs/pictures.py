"""
The pictures of measurement.md, drawn from what drill computes: `python docs/pictures.py` writes them anew.

Each is a Vega-Lite specification over values that the measuring functions gave.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

from drill.measure import incidents, ledger, measure_probe, writes_of
from drill.model import MILLISECOND, SECOND, Fate, Outcome, Sample, SurvivorRead, Window
from drill.trend import proved

HERE = Path(__file__).parent
LONG = re.compile(r"-?\d+\.\d{4,}")
T = 100 * MILLISECOND
T0 = Window(950 * MILLISECOND, 960 * MILLISECOND)

OK, FAILED, TRUTH, BOUND, FAINT = "#0b7a6b", "#b3261e", "#1c2430", "#2257a8", "#a9c4e6"
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": "#e2e6ec"},
    "text": {"fontSize": 12},
    "legend": {"labelFontSize": 12, "title": None, "orient": "top"},
}


def samples(began: float, ended: float, until: float, rng: random.Random | None = None) -> list[Sample]:
    """One request every 100 ms (a little late each, where *rng* is given); down in [began, ended), in milliseconds."""
    found = []
    for n in range(round(until / 100)):
        at = n * T + (rng.randrange(T // 10) if rng else 0)
        bad = began * MILLISECOND <= at < ended * MILLISECOND
        found.append(Sample(at, at, at + MILLISECOND, Outcome.FAILED if bad else Outcome.OK))
    return found


def layered(*layers: dict[str, Any], width: int = 720, height: int = 150, **more: Any) -> dict[str, Any]:
    return {"width": width, "height": height, "layer": [*layers], **more}


def quiet(title: str, low: float, high: float) -> dict[str, Any]:
    """A time axis in seconds."""
    return {"type": "quantitative", "title": title, "scale": {"domain": [low, high], "nice": False}}


def row(field: str, names: list[str]) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "sort": names, "title": None, "axis": {"labelLimit": 220}}


# --- one outage -----------------------------------------------------------------------------------------


def outage() -> dict[str, Any]:
    """The edges of one outage: requests, the truth, and the bounds that the requests give."""
    began, ended = 1030.0, 1640.0
    seen = samples(began, ended, 14_000)
    (found,) = incidents(seen, T0, T)
    assert found.last_good is not None
    assert found.recovered is not None
    points = [
        {"at": each.planned / SECOND, "row": "requests", "seen": "failed" if each.outcome is Outcome.FAILED else "ok"}
        for each in seen
        if each.planned < 2300 * MILLISECOND
    ]
    names = ["requests", "the truth", "at least", "at most"]
    bars = [
        {"from": began / 1000, "to": ended / 1000, "row": "the truth", "what": TRUTH},
        {"from": found.first_failed / SECOND, "to": found.last_failed / SECOND, "row": "at least", "what": BOUND},
        {"from": found.last_good / SECOND, "to": found.recovered / SECOND, "row": "at most", "what": FAINT},
    ]
    words = [
        {"at": each["to"] + 0.02, "row": each["row"], "text": f"{(each['to'] - each['from']) * 1000:.0f} ms"}
        for each in bars
    ]
    letters = [
        {"at": at / SECOND, "row": "requests", "text": name}
        for name, at in (
            ("p", found.last_good),
            ("b", found.first_failed),
            ("q", found.last_failed),
            ("g", found.recovered),
        )
    ]
    x = quiet("seconds since the run began", 0.75, 2.25)
    y = row("row", names)
    dots = {"domain": ["ok", "failed"], "range": [OK, FAILED]}
    return layered(
        {
            "data": {"values": bars},
            "mark": {"type": "bar", "height": 12},
            "encoding": {
                "x": {"field": "from", **x},
                "x2": {"field": "to"},
                "y": y,
                "color": {"field": "what", "type": "nominal", "scale": None},
            },
        },
        {
            "data": {"values": words},
            "mark": {"type": "text", "align": "left"},
            "encoding": {"x": {"field": "at", **x}, "y": y, "text": {"field": "text"}},
        },
        {
            "data": {"values": [point for point in points if point["at"] <= 2.25 and point["at"] >= 0.75]},
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "encoding": {
                "x": {"field": "at", **x},
                "y": y,
                "color": {"field": "seen", "type": "nominal", "scale": dots},
                "shape": {
                    "field": "seen",
                    "type": "nominal",
                    "scale": {**dots, "range": ["circle", "cross"]},
                    "legend": None,
                },
            },
        },
        {
            "data": {"values": letters},
            "mark": {"type": "text", "dy": -14, "fontWeight": "bold"},
            "encoding": {"x": {"field": "at", **x}, "y": y, "text": {"field": "text"}},
        },
        resolve={"scale": {"color": "independent"}},
    )


# --- many outages -----------------------------------------------------------------------------------------


def errors(count: int = 200, seed: int = 1) -> list[tuple[float, float]]:
    """By how many milliseconds the bounds of random outages lie below and above the truth."""
    rng = random.Random(seed)  # noqa: S311  any will do
    found = []
    for _ in range(count):
        length = rng.uniform(150, 4000)
        began = 1000 + rng.uniform(0, 100)
        seen = samples(began, began + length, began + length + 11_000, rng)
        bounds = measure_probe("reads", seen, T0, T).outage
        assert bounds is not None
        assert bounds.upper is not None
        found.append((bounds.lower / MILLISECOND - length, bounds.upper / MILLISECOND - length))
    return found


def truth() -> dict[str, Any]:
    """Two hundred outages of random length: where the bounds lie, the truth being 0."""
    values = [{"n": n, "low": low, "high": high} for n, (low, high) in enumerate(sorted(errors()), 1)]
    y: dict[str, Any] = {"type": "quantitative", "title": "milliseconds from the truth"}
    return layered(
        {
            "data": {"values": values},
            "mark": {"type": "rule", "color": BOUND, "strokeWidth": 2},
            "encoding": {
                "x": {"field": "n", "type": "quantitative", "title": "200 random outages", "scale": {"nice": False}},
                "y": {"field": "low", **y},
                "y2": {"field": "high"},
            },
        },
        {"data": {"values": [{}]}, "mark": {"type": "rule", "color": TRUTH}, "encoding": {"y": {"datum": 0}}},
        height=180,
    )


# --- data -----------------------------------------------------------------------------------------


def loss() -> dict[str, Any]:
    """Every write of one run: which survived, which were lost, and what that is as time."""
    at = [5 * n for n in range(800)]
    sent = [
        Sample(ms * MILLISECOND, ms * MILLISECOND, (ms + 1) * MILLISECOND, Outcome.OK, id=n, fate=Fate.ACKNOWLEDGED)
        for n, ms in enumerate(at)
    ]
    killed = Window(4013 * MILLISECOND, 4014 * MILLISECOND)
    ids = tuple(range(500))
    reads = [SurvivorRead(sent=s * SECOND, ended=s * SECOND + MILLISECOND, ids=ids) for s in (20, 22)]
    told = ledger("orders", writes_of(sent), reads, killed)
    assert told.rpo is not None
    lost = set(told.lost)
    values = [{"at": ms / 1000, "id": n, "fate": "lost" if n in lost else "survived"} for n, ms in enumerate(at)]
    span = [{"from": at[told.oldest_lost or 0] / 1000, "to": killed.upper / SECOND, "id": 120}]
    said = f"{told.rpo.lower / SECOND:.3f} to {(told.rpo.upper or 0) / SECOND:.3f} s"
    marks = [
        {"at": at[told.oldest_lost or 0] / 1000, "text": "oldest lost write", "id": 770},
        {"at": killed.lower / SECOND, "text": "the fault", "id": 40},
    ]
    x = quiet("seconds since the run began", 0, 4.6)
    y: dict[str, Any] = {"field": "id", "type": "quantitative", "title": "id of the write"}
    return layered(
        {
            "data": {"values": values[::8]},
            "mark": {"type": "point", "filled": True, "size": 22, "opacity": 1},
            "encoding": {
                "x": {"field": "at", **x},
                "y": y,
                "color": {
                    "field": "fate",
                    "type": "nominal",
                    "scale": {"domain": ["survived", "lost"], "range": [OK, FAILED]},
                },
            },
        },
        {
            "data": {"values": span},
            "mark": {"type": "rule", "strokeWidth": 4, "color": BOUND},
            "encoding": {"x": {"field": "from", **x}, "x2": {"field": "to"}, "y": y},
        },
        {
            "data": {"values": [{"at": span[0]["from"] + 0.04, "id": 185, "text": f"rpo: {said}"}]},
            "mark": {"type": "text", "align": "left", "color": BOUND},
            "encoding": {"x": {"field": "at", **x}, "y": y, "text": {"field": "text"}},
        },
        {
            "data": {"values": marks},
            "mark": {"type": "rule", "color": TRUTH, "strokeDash": [4, 3]},
            "encoding": {"x": {"field": "at", **x}},
        },
        {
            "data": {"values": marks},
            "mark": {"type": "text", "align": "right", "dx": -4},
            "encoding": {"x": {"field": "at", **x}, "y": y, "text": {"field": "text"}},
        },
        height=220,
    )


# --- repetition -----------------------------------------------------------------------------------------


def runs() -> dict[str, Any]:
    """What n runs prove, with 95 % confidence: all of them within the target, or all but one."""
    values = [
        {"n": n, "share": proved(n, n - missed), "what": what}
        for missed, what in ((0, "every run met"), (1, "all but one met"))
        for n in range(1 + missed, 61)
    ]
    return layered(
        {
            "data": {"values": values},
            "mark": {"type": "line", "point": {"size": 14}},
            "encoding": {
                "x": {"field": "n", "type": "quantitative", "title": "runs", "scale": {"domain": [0, 60]}},
                "y": {
                    "field": "share",
                    "type": "quantitative",
                    "title": "within the target, at least",
                    "axis": {"format": "%"},
                    "scale": {"domain": [0, 1]},
                },
                "color": {
                    "field": "what",
                    "type": "nominal",
                    "scale": {"domain": ["every run met", "all but one met"], "range": [OK, FAILED]},
                },
            },
        },
        height=200,
    )


PICTURES = {"outage": outage, "truth": truth, "loss": loss, "runs": runs}


def main() -> None:
    import vl_convert

    for name, spec in PICTURES.items():
        drawn = vl_convert.vegalite_to_svg({**spec(), "config": CONFIG}, vl_version="5.20")
        # vl-convert writes up to 17 digits; a hundredth of a pixel is enough.
        (HERE / f"{name}.svg").write_text(LONG.sub(lambda found: f"{float(found[0]):.2f}", drawn) + "\n")


if __name__ == "__main__":
    main()
