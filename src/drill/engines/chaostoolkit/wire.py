"""
The lines that drill and the process of one experiment exchange: JSON, one value per line. Pure.

    drill       Task (once), Go
    experiment  Next, Ask, Done, Hypothesis, Trouble, End
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from drill.model import SECOND, Fence
from drill.scrub import Scrubber

# Bytes of JSON of one activity's output; more would make a journal out of a web page.
LARGEST_OUTPUT = 64 * 1024
# Bytes of one line; outputs are bounded, so only an experiment as large as the largest file comes near.
LARGEST_LINE = 32 * 1024 * 1024

# Nanoseconds that the process may go without an activity: for imports, secrets and controls, not for pauses.
BETWEEN = 120 * SECOND


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="say"):
    """One line."""


class Task(Message, frozen=True, kw_only=True, omit_defaults=True, tag="task"):
    """
    What the process is to do.

    Attributes:
        document: The experiment, with only what is to be run.

        undoing: Run the rollbacks instead of the method.

        start: The rollback to begin with, from 0.

        arguments: Values that override the configuration.

        environment: Variables as they were when the fault was prepared.

        file: The experiment's file, where secrets written into it are read from.

        folder: Where its modules are looked for.

        memory: Where what probes found out for the configuration is kept for the undo; "" when none do.

        deadline: Nanoseconds that an activity without a timeout of its own may take.

        fence: The number under which drill acts; under an old one, no activity is carried out.
    """

    document: dict[str, Any]
    undoing: bool
    start: int = 0
    arguments: dict[str, Any] = {}
    environment: dict[str, str] = {}
    file: str = ""
    folder: str = ""
    memory: str = ""
    deadline: int
    fence: Fence | None = None


class Go(Message, frozen=True, kw_only=True, omit_defaults=True, tag="go"):
    """The intent of call *call* is on disk."""

    call: int


class Next(Message, frozen=True, kw_only=True, omit_defaults=True, tag="next"):
    """
    The process goes on to something.

    Attributes:
        what: In words.

        within: Nanoseconds in which it asks or says the next thing, pauses included; None: when others are done.

        index: Which rollback, from 0, when undoing.
    """

    what: str
    within: int | None
    index: int | None = None


class Ask(Message, frozen=True, kw_only=True, omit_defaults=True, tag="ask"):
    """
    May this call touch the world?

    Attributes:
        call: Its number in this process.

        activity: Its name.

        kind: probe, action or control.

        stage: configuration, control, before, during, method, after or rollback.

        breaks: It breaks something.

        deadline: Nanoseconds that it may take.

        background: Others go on beside it.
    """

    call: int
    activity: str
    kind: str
    stage: str
    breaks: bool
    deadline: int
    background: bool = False


class Done(Message, frozen=True, kw_only=True, omit_defaults=True, tag="done"):
    """Call *call* returned."""

    call: int
    ok: bool
    output: Any = None
    error: str = ""


class Hypothesis(Message, frozen=True, kw_only=True, omit_defaults=True, tag="hypothesis"):
    """
    The steady state was looked at.

    Attributes:
        when: before, during or after the method.

        met: False when it is not met, None when that could not be found out.

        why: The probe and what it said.
    """

    when: str
    met: bool | None
    why: str = ""


class Trouble(Message, frozen=True, kw_only=True, omit_defaults=True, tag="trouble"):
    """
    Something did not go as written.

    Attributes:
        text: A sentence.

        fails: It fails the fault (or the undo); otherwise people should read it.
    """

    text: str
    fails: bool = True


class End(Message, frozen=True, kw_only=True, omit_defaults=True, tag="end"):
    """All was walked through."""


AnyMessage = Task | Go | Next | Ask | Done | Hypothesis | Trouble | End
_decoder = msgspec.json.Decoder(AnyMessage)


def line(message: AnyMessage) -> bytes:
    """One message as one line."""
    return msgspec.json.encode(message) + b"\n"


def read(text: bytes) -> AnyMessage:
    """
    Read one line.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    message: AnyMessage = _decoder.decode(text)
    return message


def presentable(output: Any, scrubber: Scrubber) -> Any:
    """Any activity's output as JSON data of bounded size, without secrets."""
    scrubbed = scrubber.data(plain(output))
    text = json.dumps(scrubbed)
    if len(text) <= LARGEST_OUTPUT:
        return scrubbed
    return {"truncated": True, "bytes": len(text), "begins": text[: LARGEST_OUTPUT // 8]}


def plain(value: Any, depth: int = 0) -> Any:
    """Any Python value as JSON data; what has no JSON form becomes text."""
    if value is None or isinstance(value, (bool, str)):
        # Half a surrogate pair has no UTF-8 and would break the line.
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if depth < 40:
        if isinstance(value, dict):
            return {str(plain(key, depth + 1)): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [plain(item, depth + 1) for item in value]
    try:
        return plain(str(value), depth)
    except Exception as error:  # noqa: BLE001 - a stranger's __str__ may do anything
        return f"({type(value).__name__}, which cannot be shown: {type(error).__name__})"
