"""Shards and vantages on the page."""

from __future__ import annotations

import msgspec
import pytest

from drill.assemble import assemble
from drill.model import Agreement, Began, History
from drill.reports.html import HtmlFormat
from tests.reports.worlds import region_failover


def page(agreement: Agreement = Agreement.ALL, **about: str) -> str:
    """The page of a region failover whose probes all say more of themselves."""
    history = region_failover()
    first, *rest = history.events
    assert isinstance(first, Began)
    probes = tuple(
        msgspec.structs.replace(probe, **{key: value.format(probe.name) for key, value in about.items()})
        for probe in history.plan.probes
    )
    plan = msgspec.structs.replace(history.plan, probes=probes, agreement=agreement)
    told = History((msgspec.structs.replace(first, plan=plan), *rest), history.digest)
    return HtmlFormat().render(assemble(told), told).decode().replace("\u00a0", " ")


def test_each_shard_has_a_row() -> None:
    """How many were hit, and what each lost."""
    shown = page(shard="eu-1")

    assert "For each shard: 1 of 1 shards was hit" in shown
    assert "137" in shown.partition("For each shard")[2].partition("</table>")[0]


@pytest.mark.parametrize("agreement", Agreement)
def test_what_any_a_quorum_and_all_vantages_saw_is_shown(agreement: Agreement) -> None:
    """The one that is judged is marked, whichever it is."""
    shown = (
        page(agreement, vantage="{}", service="orders").partition("orders from 2 vantages")[2].partition("</table>")[0]
    )

    rows = [row.partition("</th>") for row in shown.split('<th scope="row">')[1:]]
    assert [name for name, _, _ in rows][2:] == ["from any (1 of 2)", "from quorum (2 of 2)", "from all (2 of 2)"]
    marked = [name.split()[1] for name, _, cells in rows if "<td>judged</td>" in cells]
    assert marked == [agreement.value]


def test_a_run_without_either_shows_neither() -> None:
    """No empty tables."""
    assert "For each shard" not in page()
    assert "vantages</caption>" not in page()
