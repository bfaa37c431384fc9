"""What an exception says of the service, in words that hold no secret."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Iterator

from drill.model import Fate, Outcome
from drill.probes import Answer

# Errors of this machine, not of the service: they prove nothing.
OURS = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOMEM}


class Broken(Exception):
    """What came is no answer; the text says why, is ours, and holds nothing that came."""


def failed(error: BaseException, fate: Fate | None = None, *, during: str = "") -> Answer:
    """
    The answer for a request that ended in *error*: failed, or unknown when this machine is to blame.

    *fate* is what is known of the write; *during* names what was being done.
    """
    words = f"{during}: {said(error)}" if during else said(error)
    ours = next((number for number in _numbers(error) if number in OURS), None)
    if ours is not None:
        return Answer(Outcome.UNKNOWN, f"this machine: {os.strerror(ours).lower()}", fate=fate)
    return Answer(Outcome.FAILED, words, fate=fate)


def said(error: BaseException) -> str:
    """
    *error* in words.

    The text of a foreign exception is not used, only its type and number:
    clients put addresses with passwords, and what servers sent, into their texts.
    """
    for cause in _causes(error):
        if isinstance(cause, Broken):
            return str(cause)
        # A client's own subclasses of these may have neither message nor reason; those they wrap do.
        if isinstance(cause, ssl.SSLCertVerificationError) and getattr(cause, "verify_message", None):
            return f"certificate refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return f"TLS failed: {cause.reason.replace('_', ' ').lower()}"
        if isinstance(cause, socket.gaierror):
            return f"name lookup failed: {os.fsdecode(cause.strerror or '').lower()}"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, ConnectionResetError):
            return "connection reset"
        if isinstance(cause, (asyncio.IncompleteReadError, EOFError)):
            return "connection closed before the answer"
        if isinstance(cause, TimeoutError):
            return "timed out"
    number = next(_numbers(error), None)
    return os.strerror(number).lower() if number is not None else _spaced(type(error).__name__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, outermost first."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        cause = todo.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [getattr(cause, name, None) for name in ("os_error", "certificate_error")]
        todo += [found for found in inner if isinstance(found, BaseException)]
        todo += [*getattr(cause, "exceptions", ()), cause.__cause__, cause.__context__]


def _numbers(error: BaseException) -> Iterator[int]:
    for cause in _causes(error):
        if isinstance(cause, OSError) and isinstance(cause.errno, int) and cause.errno in errno.errorcode:
            yield cause.errno


def _spaced(name: str) -> str:
    """ServerDisconnectedError → server disconnected error"""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
