"""Secrets: used by activities, seen by nobody else."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest

from drill.engines.chaostoolkit import ChaosToolkitEngine
from drill.errors import EnvironmentFault, FaultLeftInPlace
from tests.engines.chaostoolkit.world import Memory, experiment, injected, prepared, process, python

SECRET = "s3cr3t/with+odd=chars"


def with_secret(activity: dict) -> dict:
    activity["provider"]["secrets"] = ["db"]
    return activity


async def test_an_activity_gets_its_secret_and_nobody_else_sees_it(monkeypatch):
    """Outputs, errors and evidence carry the secret's name instead, also where it was encoded."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    gate = Memory()
    document = experiment(
        with_secret(python("say")),
        process("sh", "-c", f"test '${{password}}' = '{SECRET}' && printf %s '${{password}}' | base64"),
        python("fail", kind="probe", message="refused: ${password}"),
        secrets={"db": {"password": {"type": "env", "key": "DB_PASSWORD"}}},
    )
    injection = await injected(document, gate)

    written = json.dumps([gate.results, msgspec.to_builtins(injection)])
    assert SECRET not in written
    assert base64.b64encode(SECRET.encode()).decode()[:12] not in written
    assert gate.results[0][1]["secrets"] == {"password": "[redacted:db.password]"}
    assert gate.results[1][1]["stdout"].startswith("[redacted:db.password]")
    assert gate.results[2][2] == "RuntimeError: refused: [redacted:db.password]"


async def test_the_undo_holds_references_only(monkeypatch):
    """What goes to disk names the variable; a password in the configuration counts as a secret, too."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    monkeypatch.setenv("DB_HOST", "db1")
    document = experiment(
        rollbacks=[python("say", value="${host} ${password} ${other_password}")],
        configuration={
            "host": {"type": "env", "key": "DB_HOST"},
            "other_password": {"type": "env", "key": "DB_PASSWORD"},
        },
        secrets={"db": {"password": {"type": "env", "key": "DB_PASSWORD"}}},
    )
    engine, _, undo = await prepared(document)

    assert SECRET not in json.dumps(msgspec.to_builtins(undo))
    assert undo.data["task"]["environment"] == {"DB_HOST": "db1"}

    gate = Memory()
    await engine.undo(undo, gate)
    assert gate.results[0][1]["value"].startswith("db1 [redacted:")


async def test_a_secret_that_is_gone_is_named_and_the_rest_is_undone(monkeypatch):
    """A restore in a shell without the variable runs what it can and says what it lacks."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    Path("mark").touch()
    document = experiment(
        rollbacks=[python("say", "promote", value="${password}"), python("remove", "unmark", path="mark")],
        secrets={"db": {"password": {"type": "env", "key": "DB_PASSWORD"}}},
    )
    engine, _, undo = await prepared(document)
    monkeypatch.delenv("DB_PASSWORD")

    with pytest.raises(FaultLeftInPlace) as left:
        await engine.undo(undo, Memory())

    assert left.value.args[0] == (
        "it could not be undone: action promote was not carried out: it needs db.password: "
        "InvalidExperiment: Secrets make reference to an environment key that does not exist: DB_PASSWORD"
    )
    assert left.value.instructions == ("do by hand, then check: promote: functions.say(value='${password}')",)
    assert not Path("mark").exists()


async def test_a_configuration_that_is_gone_does_not_stop_the_rest(monkeypatch):
    """A password in the configuration is a reference on disk: without its variable the other rollbacks still run."""
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    Path("mark").touch()
    document = experiment(
        rollbacks=[python("say", "promote", value="${password}"), python("remove", "unmark", path="mark")],
        configuration={"password": {"type": "env", "key": "DB_PASSWORD"}},
    )
    engine, _, undo = await prepared(document)
    monkeypatch.delenv("DB_PASSWORD")

    with pytest.raises(FaultLeftInPlace, match="action promote was not carried out: it needs password: "):
        await engine.undo(undo, Memory())

    assert not Path("mark").exists()


async def test_a_missing_secret_stops_the_fault_before_it_begins():
    """It is found out before anything is broken."""
    document = experiment(
        python("write", path="m"), secrets={"db": {"password": {"type": "env", "key": "NO_SUCH_VARIABLE"}}}
    )
    with pytest.raises(EnvironmentFault, match="the environment variable NO_SUCH_VARIABLE is not set"):
        await prepared(document)


async def test_a_secret_written_into_the_experiment_stays_in_its_file():
    """The document that goes into a plan names its place; the experiment still gets its value."""
    secrets = {"db": {"password": SECRET, "login": {"user": "somebody", "host": {"type": "env", "key": "HOME"}}}}
    Path("x.json").write_text(json.dumps(experiment(with_secret(python("say")), secrets=secrets)))
    document, _ = ChaosToolkitEngine().lint(Path("x.json"), "x.json", {})

    assert document is not None
    assert document["secrets"] == {
        "db": {
            "password": {"type": "experiment", "at": ["db", "password"]},
            "login": {
                "user": {"type": "experiment", "at": ["db", "login", "user"]},
                "host": secrets["db"]["login"]["host"],
            },
        }
    }
    gate = Memory()
    await injected(document, gate, file="x.json")

    assert gate.results[0][1]["secrets"] == {
        "password": "[redacted:db.password]",
        "login": {"user": "[redacted:db.login.user]", "host": "[redacted:db.login.host]"},
    }


async def test_a_drill_may_hand_in_a_secret(monkeypatch):
    """`with: {token: ${env:NAME}}` stays a reference on disk and is filled in where it is used."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    gate = Memory()
    engine, it, undo = await prepared(
        experiment(python("say", value="${token}")), arguments={"token": "${env:MY_TOKEN}"}
    )
    await engine.inject(it, undo, gate)

    assert SECRET not in json.dumps([msgspec.to_builtins(undo), gate.results])
    assert gate.results[0][1]["value"] == "[redacted:token]"
