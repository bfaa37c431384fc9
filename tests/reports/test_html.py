from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from drill import wording
from drill.assemble import assemble
from drill.measure import measure
from drill.model import Outcome
from drill.reports import series, theme
from drill.reports.html import HtmlFormat
from drill.reports.json import JsonFormat
from drill.reports.junit import JunitFormat
from tests.reports.worlds import HISTORIES, Run, Story, region_failover, the_run

# Elements that never have an end tag.
VOID = {"meta", "link", "br", "img", "hr", "input"}
# What would load something, wherever it stands.
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "xlink:href"}


class Page(HTMLParser):
    """What a page holds: elements with their attributes, its text, and whether every element ends."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(run: Run) -> bytes:
    return HtmlFormat().render(run.record, run.history)


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_a_page_is_whole_and_loads_nothing(name: str) -> None:
    """Every element ends, every id is there once, and nothing is fetched or run."""
    source = rendered(the_run(name))
    page = Page(source)

    assert not page.open
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not page.all("script")
    links = [attributes.get("href", "") for _, attributes in page.elements]
    assert {link for link in links if link} <= {f"#{id}" for id in ids} | {"data:,"}
    assert not [attributes for _, attributes in page.elements if LOADING & set(attributes)]
    assert not [attributes for _, attributes in page.elements if any(key.startswith("on") for key in attributes)]
    assert set(re.findall(rb"url\(([^)]*)\)", source)) <= {f"#{id}".encode() for id in ids}
    assert b"@import" not in source


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_a_page_can_be_read_without_seeing_it(name: str) -> None:
    """Landmarks, a caption and scoped headings for every table, and words for every picture."""
    page = Page(rendered(the_run(name)))

    assert [len(page.all(tag)) for tag in ("main", "header", "nav", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert len(page.all("caption")) == len(page.all("table"))
    assert {attributes.get("scope") for attributes in page.all("th")} == {"col", "row"}
    pictures = [attributes for attributes in page.all("svg") if attributes.get("aria-hidden") != "true"]
    assert pictures
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in pictures)


@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_the_result_is_the_first_thing_to_read(name: str) -> None:
    """The result's word and sentence stand on the page, and every objective with what was measured."""
    run = the_run(name)
    source = rendered(run).decode()

    assert f"<strong>{name}</strong>" in source
    assert f"<title>{name.capitalize()}: " in source
    text = Page(source.encode()).text
    for objective in run.record.objectives:
        assert objective.explanation in text


def test_an_unsafe_run_begins_with_what_to_do() -> None:
    """The instructions stand above everything else, and only when they are needed."""
    unsafe, missed = rendered(the_run("unsafe")).decode(), rendered(the_run("missed")).decode()

    first, heading = unsafe.index("Run: drill lab up"), unsafe.index("<h1>")
    assert first < heading
    assert 'role="alert"' not in missed


@pytest.mark.parametrize("name", ["met", "missed", "inconclusive", "refused", "aborted", "unsafe"])
def test_the_verdicts_of_a_run_that_came_to_none_do_not_count(name: str) -> None:
    """An aborted run shows what was measured in grey, never as met or missed."""
    run = the_run(name)
    page = Page(rendered(run))

    badges = [each["class"] for each in page.all("span") if "badge" in each.get("class", "").split()]
    verdicts = [each.verdict for each in run.record.objectives] * 2
    if name in ("refused", "aborted", "unsafe"):
        assert set(badges) <= {"badge void"}
        assert page.text.count(", does not count") >= len(verdicts)
        assert "does not count." in page.text
    else:
        assert sorted(badges) == sorted(f"badge {verdict}" for verdict in verdicts)
        assert "does not count" not in page.text


def test_text_of_the_journal_is_never_markup() -> None:
    """Titles, details, notes and answers of a hostile service are shown as the text they are."""
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> ' + alert(1) + ' \\u0027 \x00\u2028"
    story = Story(title=attack, notes=(attack,), reason=attack)
    history = region_failover(story)
    renamed = msgspec.json.decode(
        msgspec.json.encode(history).replace(b'"west"', msgspec.json.encode(attack)), type=type(history)
    )

    page = Page(HtmlFormat().render(assemble(renamed), renamed))

    assert not page.open
    assert not page.all("script")
    assert not page.all("img")
    assert page.text.count("<script>alert(1)</script>") >= 3


def test_the_same_journal_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    """Another process with another time zone, language and hash seed writes the same files."""
    program = "import sys\nfrom tests.reports.test_html import everything\nsys.stdout.buffer.write(everything())\n"
    environment = os.environ | {"TZ": "Pacific/Chatham", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}
    here = Path(__file__).parents[2]
    path = os.pathsep.join([str(here), *filter(None, sys.path)])

    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONHASHSEED": "4711", "PYTHONPATH": path},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=120,
    )

    assert elsewhere.stdout == everything()


def everything() -> bytes:
    """All three files of one run, one after the other."""
    run = the_run("missed")
    return b"".join(kind().render(run.record, run.history) for kind in (JsonFormat, HtmlFormat, JunitFormat))


def test_a_picture_never_hides_trouble() -> None:
    """However long a run is, each failed or unknown sample lies inside a stretch that is drawn as such."""
    story = Story(ends=600.0, down=tuple((20.0 + 29.3 * n, 20.0 + 29.3 * n + 0.03) for n in range(19)), lost=0)
    history = region_failover(story)
    on = series.Axis(history.began.anchor.monotonic, 0.0, 600.0)

    for probe in history.plan.probes:
        samples = history.samples(probe.name)
        drawn = series.ribbon(samples, probe, None, on)
        assert sum(len(stretches) for stretches in drawn.values()) < 2 * series.COLUMNS
        for sample in samples:
            if sample.outcome is not Outcome.OK:
                at = on.at(sample.planned if sample.sent is None else sample.sent)
                assert any(
                    stretch.first <= at + 1e-9 and at <= stretch.last + 1e-9 for stretch in drawn[sample.outcome.value]
                )
    assert any(sample.outcome is Outcome.FAILED for sample in history.samples(history.plan.probes[1].name))


def test_an_hour_at_fifty_writes_a_second_stays_a_small_page() -> None:
    """An hour of samples is drawn in well under two megabytes."""
    flapping = tuple((60.0 * n + 30, 60.0 * n + 31.5) for n in range(1, 59))
    history = region_failover(Story(ends=3600.0, fault=80.0, down=flapping, restore=3500.0, restored=3510.0, lost=3000))

    began = time.perf_counter()
    record = assemble(history)
    source = HtmlFormat().render(record, history)
    took = time.perf_counter() - began

    assert record.probes[1].sent > 170_000
    assert len(source) < 1_500_000
    # Generous, because tests share slow machines: an hour must not take minutes.
    assert took < 150


def test_the_page_and_the_terminal_use_the_same_words() -> None:
    """What is measured is said once, in `drill.wording`."""
    run = the_run("missed")
    rto = next(objective for objective in run.record.objectives if objective.id == "rto")
    said = wording.bounds(run_bounds(rto.lower_s, rto.upper_s))

    assert f'<p class="number">{said}</p>' in rendered(run).decode()


def run_bounds(lower: float | None, upper: float | None) -> wording.Bounds:
    assert lower is not None
    return wording.Bounds(wording.nanoseconds(lower), None if upper is None else wording.nanoseconds(upper))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """Every colour that carries text reaches the contrast that WCAG 2.2 asks for, 4.5 to 1."""
    css = (Path(theme.__file__).parent / "templates" / "report.css").read_text()
    first, second = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    colours = first | (second if scheme == "dark" else {})

    for ground in ("bg", "card"):
        for name in ("ink", "muted", "met", "missed", "inconclusive", "refused", "aborted", "unsafe", "blue"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_states_differ_in_brightness_too() -> None:
    """Who sees no colours still tells a good answer from a failed one, in both schemes."""
    for scheme in ({}, theme.DARK):
        good, failed = scheme.get(theme.OK, theme.OK), scheme.get(theme.FAILED, theme.FAILED)
        assert contrast(good, failed) > 1.4


def test_each_colour_of_a_chart_has_a_dark_one() -> None:
    """A chart uses no colour that the page could not recolour."""
    source = rendered(the_run("missed")).decode()
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]{3,8})"', source))

    assert used <= set(theme.DARK)


def test_a_loss_is_shown_up_to_the_disaster_it_belongs_to() -> None:
    """When the disaster is not the first fault, the loss ends there and the writes around it are drawn."""
    history = region_failover()
    ledger = measure(history).ledgers[0]
    on = series.Axis(history.began.anchor.monotonic, 0.0, 60.5)
    found = series.writes(history, ledger, on)

    drawn = series.near(found, (30.0, 30.0), history.plan.probe("orders-writes"))

    assert 29.0 <= drawn[0].at <= 29.1
    assert 30.9 <= drawn[-1].at <= 31.0


def test_every_lost_write_that_is_drawn_alone_keeps_its_edges() -> None:
    """Of more lost writes than can be drawn, the first and the last are always among the drawn."""
    history = region_failover(
        Story(fault=80.0, down=((80.04, 100.0),), lost=3000, restore=120.0, restored=125.0, ends=140.0)
    )
    ledger = measure(history).ledgers[0]
    on = series.Axis(history.began.anchor.monotonic, 0.0, 140.0)
    found = series.writes(history, ledger, on)
    lost = [write for write in found if write.fate == "lost"]

    drawn = series.near(found, (lost[0].at, lost[-1].at), history.plan.probe("orders-writes"))

    assert len(lost) == 3000
    assert len(drawn) <= 2 * series.MOST_POINTS
    assert {lost[0], lost[-1]} <= set(drawn)


def test_segments_cover_every_write() -> None:
    """However often fates alternate, each write lies inside a segment of its own fate."""
    numbers = np.arange(9000)
    found = series.Writes(1000 + numbers, numbers * 0.02, (numbers % 3).astype(np.uint8))

    drawn = series.segments(found)

    assert len(drawn) <= 3 * series.MOST_SEGMENTS
    for write in found:
        assert any(
            segment.fate == write.fate and segment.first.number <= write.number <= segment.last.number
            for segment in drawn
        )
