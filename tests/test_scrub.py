"""Secrets are taken out of whatever is written down."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drill.model import Outcome, Plan, Probe, Sample, SurvivorRead
from drill.scrub import Scrubber, concealed

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40).filter(
    lambda text: len(text.strip()) >= 8
)
words = st.text("abcdefghij :/@=,\n", max_size=20)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter22!", "password=[redacted:db]"),
        ("postgres://me:hunter22%21@host/", "postgres://me:[redacted:db]@host/"),
        ('{"a": "hunter22!"}', '{"a": "[redacted:db]"}'),
        ("nothing here", "nothing here"),
        ("", ""),
    ],
)
def test_a_secret_is_replaced_by_its_name(text, clean):
    """Whatever surrounds it stays."""
    assert Scrubber({"db": "hunter22!"}).text(text) == clean


@given(secrets, words, words)
def test_no_form_of_a_secret_is_left(secret, before, after):
    """As it is, percent-encoded, JSON-escaped, as Python shows it, and in base64 behind anything."""
    scrubber = Scrubber({"it": secret})
    for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert form not in scrubber.text(before + form + after).replace("[redacted:it]", "")


@given(st.binary(max_size=5), st.text("abcdefgh0123456789", min_size=12, max_size=30))
def test_base64_is_found_at_every_alignment(before, secret):
    """An authorization header holds the secret behind a user name of any length."""
    encoded = base64.b64encode(before + secret.encode()).decode()

    assert "[redacted:it]" in Scrubber({"it": secret}).text(encoded)


def test_everything_inside_data_is_scrubbed():
    """Keys, lists and numbers too; the shape stays."""
    scrubber = Scrubber({"pin": "48151623"})

    assert scrubber.data({"a": ["x 48151623", 48151623, 1, None, True], "48151623": (2.5,)}) == {
        "a": ["x [redacted:pin]", "[redacted:pin]", 1, None, True],
        "[redacted:pin]": [2.5],
    }


def test_a_short_secret_is_replaced_only_where_it_stands_alone():
    """Otherwise a password "no" would eat every second sentence."""
    scrubber = Scrubber({"it": "no"})

    assert scrubber.data(["no", "nothing is known"]) == ["[redacted:it]", "nothing is known"]


def test_a_longer_secret_goes_first():
    """One that contains another is replaced whole, not in part."""
    assert Scrubber({"a": "hunter", "b": "hunter22"}).text("hunter22 hunter") == "[redacted:b] [redacted:a]"


def test_the_lines_of_a_key_file_are_found_one_by_one():
    """Logs break them up."""
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----\n"

    assert "MIIEvQ" not in Scrubber({"key": key}).text("read MIIEvQIBADANBgkqhkiG9w0 from file")


def test_samples_are_scrubbed_where_they_say_something():
    """A good sample says nothing and is kept as it is."""
    scrubber = Scrubber({"it": "hunter22"})
    good = Sample(planned=0, sent=1, ended=2, outcome=Outcome.OK)
    bad = Sample(planned=0, sent=1, ended=2, outcome=Outcome.FAILED, detail="no user hunter22")

    assert scrubber.sample(good) is good
    assert scrubber.sample(bad).detail == "no user [redacted:it]"


def test_readings_of_survivors_are_scrubbed():
    """Who answered, and why nobody did, is said in the words of a store or of somebody's program."""
    scrub = Scrubber({"db": "hunter22!"})

    assert [
        scrub.reading(SurvivorRead(sent=1, ended=2, ids=(3,), source="me:hunter22!@west")),
        scrub.reading(SurvivorRead(sent=1, ended=2, error="no password hunter22! for me")),
    ] == [
        SurvivorRead(sent=1, ended=2, ids=(3,), source="me:[redacted:db]@west"),
        SurvivorRead(sent=1, ended=2, error="no password [redacted:db] for me"),
    ]


def test_a_plan_is_written_down_without_the_passwords_in_it():
    """In an address, a DSN and under a telling name; references, and all else, stay as they are."""
    options = {
        "url": "http://me:hunter22@host/?q=1",
        "dsn": "host=db password=hunter23 user=me",
        "other": "postgresql://me:${env:PW}@host/db",
        "headers": {"Authorization": "Bearer hunter24", "Accept": "text/plain", "X-Token": "${env:T}"},
        "expect": {"status": 200},
    }
    probe = Probe(name="p", kind="http", every=1, deadline=1, options=options)
    plan = Plan(drill="d", title="", system="s", objectives=(), probes=(probe,), judged=())
    clean, found = concealed(plan)

    assert clean.probes[0].options == {
        "url": "http://me:[redacted:p.password]@host/?q=1",
        "dsn": "host=db password=[redacted:p.password] user=me",
        "other": "postgresql://me:${env:PW}@host/db",
        "headers": {
            "Authorization": "[redacted:p.Authorization]",
            "Accept": "text/plain",
            "X-Token": "${env:T}",
        },
        "expect": {"status": 200},
    }
    assert found["p.Authorization"] == "Bearer hunter24"
