"""
Locust as a library: plain traffic at a rate or from users, or somebody's locustfile.

Only ever imported in a process of the load, after gevent has changed the
standard library.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import gevent
import locust
import msgspec
from locust.env import Environment

from drill.load import Order, Said
from drill.load.count import Tally
from drill.load.pace import Pace, users_for
from drill.model import SECOND

_LOOK_S = 0.05


def send(order: Order, said: int) -> None:
    """Send what is ordered until standard input ends, telling each second on the descriptor *said*."""
    load = order.load
    tally = Tally(order.number, order.start)
    counts_sent = load.script is not None
    environment = Environment(
        user_classes=_classes(order, tally), host=load.request.get("url"), events=locust.events, catch_exceptions=True
    )
    runner = environment.create_local_runner()

    def ended(response_time: float, exception: Any, **_: Any) -> None:
        if counts_sent:
            tally.sent()
        tally.ended(round(response_time * 1_000_000), _named(exception) if exception else "")

    events: Any = environment.events  # ships without types
    events.request.add_listener(ended)
    events.init.fire(environment=environment, runner=runner, web_ui=None)
    gevent.spawn(_until_hung_up)
    at = order.start
    for n, step in enumerate(load.steps):
        count = users_for(step, load.deadline, order.of, order.number)
        if step.rate is not None:
            _Plain.pace = Pace(step.rate / order.of, count, order.number / order.of)
        runner.start(count, spawn_rate=max(count, 1))
        last = n == len(load.steps) - 1 or step.lasts is None
        at += step.lasts or 0
        while last or time.monotonic_ns() < at:
            for second, errors in tally.take(time.monotonic_ns(), runner.user_count):
                os.write(said, msgspec.json.encode(Said(second=second, errors=errors)) + b"\n")
            gevent.sleep(_LOOK_S)


def _until_hung_up() -> None:
    """The end of standard input ends this process, whatever its users are doing."""
    from gevent.fileobject import FileObject

    incoming = FileObject(sys.stdin.fileno(), "rb", buffering=0, close=False)
    while incoming.read(1024):
        pass
    os._exit(0)


def _named(exception: Any) -> str:
    """An error in a few words, without the numbers that make each one different."""
    # FastHttpUser wraps what went wrong in the address and a status of 0.
    text = str(exception).rpartition("original=")[2] or type(exception).__name__
    return text if len(text) <= 120 else text[:119] + "…"


class _Plain(locust.FastHttpUser):
    """Asks one address again and again."""

    abstract = True
    pace: Pace | None = None
    begun = 0
    asks: Callable[[_Plain], None]

    def on_start(self) -> None:
        _Plain.begun += 1
        self.due = time.monotonic() if _Plain.pace is None else _Plain.pace.first(time.monotonic(), _Plain.begun)
        self._wait()

    @locust.task
    def ask(self) -> None:
        type(self).asks(self)

    def wait_time(self) -> float:
        pace = _Plain.pace
        if pace is None:
            return 0.0
        now = time.monotonic()
        self.due = pace.after(self.due, now)
        return max(0.0, self.due - now)

    def _wait(self) -> None:
        gevent.sleep(max(0.0, self.due - time.monotonic()))


def _classes(order: Order, tally: Tally) -> list[type[locust.User]]:
    if order.script is not None:
        from locust.util.load_locustfile import load_locustfile

        loaded = load_locustfile(order.script)
        # The second of its values, or the first in newer versions: the one that is a mapping.
        found = next(part for part in loaded if isinstance(part, dict))
        return list(found.values())
    request, seconds = order.load.request, order.load.deadline / SECOND
    given = {key: request[key] for key in ("headers", "json") if request.get(key) is not None}
    method, url, status = request.get("method") or "GET", request["url"], request.get("status")

    def asks(user: _Plain) -> None:
        tally.sent()
        began = time.monotonic()
        with user.client.request(method, url, name="load", catch_response=True, **given) as answer:
            good = answer.status_code == status if status else 200 <= answer.status_code < 400
            if not answer.status_code:
                answer.failure(_named(answer.error) if answer.error else "no answer")
            elif not good:
                answer.failure(f"status {answer.status_code}")
            elif time.monotonic() - began > seconds:
                answer.failure(f"no answer within {seconds:g} s")
            else:
                answer.success()

    made = type(
        "Plain",
        (_Plain,),
        {
            "abstract": False,
            "asks": asks,
            "connection_timeout": seconds,
            "network_timeout": seconds,
            "max_retries": 0,
            "insecure": False,
        },
    )
    return [made]
