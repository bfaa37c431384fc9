"""What the lab looks like, from hand-written answers of its members."""

import pytest

from drill.lab.members import Members
from drill.lab.topology import Member, lay_out
from drill.lab.view import View


def whole():
    """A lab in which nothing is missing: east leads everything."""
    follows = {"role": "replica", "state": "running", "timeline": 1, "replication_state": "streaming"}
    healthy = {"status": "healthy", "database": "connected", "cache": "connected", "served_by": "east/postgres-east/1"}
    return View(
        postgres={
            "east": {"role": "primary", "state": "running", "timeline": 1, "xlog": {"location": 100}},
            "west": {**follows, "xlog": {"received_location": 100}},
        },
        valkey={
            "east": {"role": "master", "master_repl_offset": "50"},
            "west": {"role": "slave", "master_link_status": "up", "slave_repl_offset": "40"},
        },
        believed={"east": "east", "west": "east", "witness": "east"},
        others={"east": (1, 2), "west": (1, 2), "witness": (1, 2)},
        orders={"east": dict(healthy), "west": dict(healthy)},
        router={
            "active": "east",
            "blackhole": False,
            "regions": {"east": {"healthy": True}, "west": {"healthy": True}},
        },
    )


def test_nothing_is_missing_in_a_whole_lab():
    """Every member answers and follows: no sentence."""
    assert whole().missing() == []


def test_of_two_that_believe_to_lead_the_newer_timeline_does():
    """A frozen primary that wakes up is not the primary any more, and the lab is not whole before it follows."""
    view = whole()
    view.postgres["west"] = {"role": "primary", "state": "running", "timeline": 2}

    assert view.database_primary() == "west"
    assert view.missing() == ["postgres-east is running, not streaming from postgres-west"]


def test_what_is_missing_can_be_asked_of_some_members_only():
    """Whoever restores the cache does not wait for the database."""
    view = whole()
    view.postgres["west"] = None
    view.valkey["west"] = None

    assert view.missing([Member("valkey", "west")]) == ["valkey-west does not answer"]
    assert view.missing([Member("sentinel", "west")]) == []
    assert view.missing() == ["postgres-west does not answer", "valkey-west does not answer"]


def test_an_archive_is_whole_with_a_base_backup_and_a_stream():
    """Labs without an archive miss none; with one, the primary must be streaming to it."""
    view = whole()
    streams = {"application_name": "archive", "state": "streaming"}
    view.postgres["east"] |= {"replication": [streams]}
    view.archived = True
    assert view.missing() == []

    view.archived = False
    assert view.missing() == ["archive has no base backup yet"]

    view.archived = True
    view.postgres["east"] |= {"replication": [{**streams, "state": "catchup"}]}
    assert view.missing() == ["archive does not receive the log of postgres-east"]
    assert view.missing([Member("valkey", "west")]) == []


def test_lag_is_bytes_and_age_and_unknown_is_not_zero():
    """A replica level with the primary lags 0; one that does not answer has no lag at all."""
    view = whole()
    assert [(row["lag_bytes"], row["lag_s"]) for row in view.status()["databases"]] == [(None, None), (0, 0.0)]
    assert [row["lag_bytes"] for row in view.status()["caches"]] == [None, 10]

    view.postgres["west"] = None
    assert [(row["lag_bytes"], row["lag_s"]) for row in view.status()["databases"]] == [(None, None), (None, None)]


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("postgres primary", ["postgres-east"]),
        ("postgres replica", ["postgres-west"]),
        ("valkey primary", ["valkey-east"]),
        ("orders active", ["orders-east"]),
        ("orders west", ["orders-west"]),
        ("postgres", ["postgres-east", "postgres-west"]),
        ("sentinel-witness", ["sentinel-witness"]),
        ("region west", ["postgres-west", "valkey-west", "orders-west", "sentinel-west"]),
        ("router", ["router"]),
        ("postgres north", []),
        ("region north", []),
        ("nonsense", []),
    ],
)
def test_members_are_chosen_by_what_they_are_at_the_moment(tmp_path, words, chosen):
    """Name, region, kind, or kind and role; what fits nobody chooses nobody."""
    members = Members(tmp_path, lay_out(range(20_000, 30_000)))

    assert [member.name for member in members.named([words], whole().roles())] == chosen
