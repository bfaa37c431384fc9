"""What an experiment says, before anything is run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.engines.chaostoolkit import document as doc
from drill.engines.chaostoolkit import wire
from drill.model import SECOND
from drill.scrub import Scrubber
from tests.engines.chaostoolkit.world import experiment, process, python


def test_references_are_replaced_by_what_they_name():
    """Tolerance and background are taken from where the reference stands, as in Chaos Toolkit; the rest is copied."""
    up = {**python("exists", "up", kind="probe", path="."), "tolerance": True}
    load = process("load", name="load") | {"background": True}
    document = experiment(
        load,
        {"ref": "up"},
        {"ref": "load"},
        rollbacks=[{"ref": "load"}],
        **{"steady-state-hypothesis": {"title": "h", "probes": [up, {"ref": "up", "tolerance": False}]}},
    )

    inlined = doc.inlined(document)

    plain_load = process("load", name="load")
    assert inlined["method"] == [load, up, plain_load]
    assert inlined["rollbacks"] == [plain_load]
    assert doc.probes(inlined) == [up, up | {"tolerance": False}]
    assert document["method"][1] == {"ref": "up"}


@pytest.mark.parametrize(
    ("activity", "seconds"),
    [
        (python("f"), 120),
        (python("f") | {"timeout": 3}, 3),
        (process("x"), 125),
        (process("x", timeout=3), 8),
        (process("x", timeout="3"), 8),
        (process("x", timeout=30) | {"timeout": 3}, 8),
        ({"provider": {"type": "http", "timeout": [1, 2]}}, 8),
        ({"provider": {"type": "http", "timeout": 3, "max_retries": 2}}, 14),
        ({"provider": {"type": "http", "timeout": "${limit}"}}, 125),
        ({"provider": {"type": "python", "timeout": -1}}, 120),
    ],
)
def test_every_activity_has_a_deadline(activity, seconds):
    """Its own timeout, wherever it is written; for http and process a little more, as chaoslib minds those itself."""
    assert doc.deadline(activity, 120 * SECOND) == seconds * SECOND


@pytest.mark.parametrize(
    ("dry", "kind", "left_out"),
    [
        (True, "action", True),
        (True, "probe", True),
        ("actions", "action", True),
        ("actions", "probe", False),
        ("activities", "probe", True),
        ("pause", "action", False),
        (False, "action", False),
        (None, "action", False),
    ],
)
def test_dry_means_what_it_says(dry, kind, left_out):
    """On an activity and on the whole experiment."""
    assert doc.is_dry({"type": kind, "dry": dry}, {}) is left_out
    assert doc.is_dry({"type": kind}, {"dry": dry}) is left_out


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "apiKey", "api_key", "vault_token", "secretName", "dsn"])
def test_a_name_can_say_that_its_value_is_secret(name):
    """Whoever puts a password into the configuration does not want to read it in a report either."""
    assert doc.is_secret_name(name)


@pytest.mark.parametrize("name", ["region", "keyspace", "monkey", "host", "tolerance", "path"])
def test_other_names_do_not(name):
    """Their values are kept for the undo."""
    assert not doc.is_secret_name(name)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.sets(st.integers()),
)


@given(values)
def test_any_output_goes_over_the_wire(value):
    """Whatever a function gives back arrives as plain data, and says the same when it is sent again."""
    output = wire.presentable(value, Scrubber({}))
    sent = wire.Done(call=1, ok=True, output=output)

    arrived = wire.read(wire.line(sent))

    assert wire.line(arrived) == wire.line(sent)


def test_an_object_that_cannot_be_shown_is_named():
    """Not even its own __str__ is trusted."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert wire.plain([Odd()]) == ["(Odd, which cannot be shown: RuntimeError)"]
