"""The contract with chaoslib: three functions that every provider call goes through, in each release we allow."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from drill.engines.chaostoolkit.runner import CHOKE_POINTS
from tests.engines.chaostoolkit.world import Memory, experiment, prepared, process, python


@pytest.fixture
def url() -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/503" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_chaoslib_still_has_the_three():
    """They are looked up by name in chaoslib.activity whenever an activity runs."""
    import inspect

    import chaoslib.activity

    source = inspect.getsource(chaoslib.activity.run_activity)
    assert [name for name in CHOKE_POINTS if name not in source] == []


async def test_no_call_goes_around_the_gate(url):
    """Dynamic configuration, tolerances, background, references, HTTP, processes, Python, rollbacks: all are seen."""

    def page(name: str, path: str = "/") -> dict:
        return {"type": "probe", "name": name, "provider": {"type": "http", "url": f"{url}{path}", "timeout": 3}}

    tolerance = {"type": "probe", "name": "tolerated", "provider": python("say")["provider"]}
    document = experiment(
        python("write", "python", path="m"),
        process("true", name="process"),
        page("http") | {"type": "action"},
        python("say", "beside") | {"background": True},
        {"ref": "process"},
        rollbacks=[process("true", name="undo"), page("undo by http") | {"type": "action"}],
        configuration={"found": page("configured")},
        **{
            "steady-state-hypothesis": {
                "title": "h",
                "probes": [{**python("exists", "held", kind="probe", path="."), "tolerance": tolerance}],
            }
        },
    )
    gate = Memory()
    engine, it, undo = await prepared(document)
    await engine.inject(it, undo, gate)
    await engine.undo(undo, gate)

    method = ["configured", "held", "tolerated", "python", "process", "http", "beside", "process", "held", "tolerated"]
    assert sorted(name for name, _, _ in gate.asked) == sorted([*method, "undo", "undo by http"])


async def test_an_action_answered_with_503_is_told(url):
    """Chaos Toolkit counts it as success; so do we, but people read it."""
    action = {"type": "action", "name": "call", "provider": {"type": "http", "url": f"{url}/503"}}
    engine, it, undo = await prepared(experiment(action))

    injection = await engine.inject(it, undo, Memory())

    assert injection.evidence == (
        "call: ended without an error, which does not show an effect; "
        "call was answered with status 503, which Chaos Toolkit counts as success"
    )
