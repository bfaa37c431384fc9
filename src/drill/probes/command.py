"""A program of one's own: its exit status and what it prints decide."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from contextlib import suppress
from typing import Any

from drill.errors import EnvironmentFault, Problem, Severity
from drill.model import Fate, Outcome, Probe
from drill.probes import Answer
from drill.probes.expectation import number
from drill.spec.shape import Key, ListOf, MapOf, OneOf, Table, Text, boolean, integer, text

# What a program prints beyond this is read and forgotten.
_MOST = 1 << 20
# Reading survivors is not measured, and there may be millions.
_SURVIVORS_S = 30.0
_SURVIVORS_MOST = 1 << 27
# Whoever was killed is gone by then.
_END_S = 0.9

_words = ListOf(text, least=1, expected="a list of words; no shell takes part")
_status = OneOf(integer, ListOf(integer, least=1), expected="an exit status such as 0, or a list of them")


class CommandProbe:
    """
    Runs a program without a shell; when the deadline has passed it is killed with all its children.

    A program that cannot be started says nothing of the service: unknown.
    """

    keys = Table(
        "command probe",
        Key("command", _words, "Program and arguments, for a probe that reads."),
        Key("environment", MapOf(text), "More environment variables."),
        Key(
            "expect",
            Table(
                "expect",
                Key("status", _status, "Exit status of a good answer; 0 unless said otherwise."),
                Key("output", text, "Text that its standard output contains."),
                Key("matches", Text("a regular expression"), "Regular expression found in its standard output."),
            ),
            "What a good answer is; without it, exit status 0.",
        ),
        Key("served_by", Text("a regular expression"), "Its first group, in the standard output, tells who answered."),
        Key("value", boolean, "true: its standard output is a number, recorded with each sample."),
        Key(
            "write",
            Table(
                "write",
                Key("command", _words, "Writes the id in the environment variable DRILL_ID.", required=True),
                Key("acknowledged", _status, "Exit status that acknowledges the write; 0 unless said otherwise."),
                Key("refused", _status, "Exit status that says that nothing was written; any other leaves it unknown."),
            ),
            "How the probe writes ids.",
        ),
        Key(
            "survivors",
            Table(
                "survivors",
                Key("command", _words, "Prints the ids from DRILL_FIRST_ID to DRILL_LAST_ID.", required=True),
            ),
            "How the ids that the store holds are read back.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        write, survivors = options.get("write"), options.get("survivors")
        found = []
        if not write and not options.get("command"):
            found.append(Problem("a command probe needs the key command, or write"))
        if write and any(options.get(key) for key in ("command", "expect")):
            found.append(Problem("a probe that writes has its command under write, and acknowledged for expect"))
        if write and not survivors:
            found.append(
                Problem(
                    "without survivors, nobody can tell which acknowledged writes were lost", severity=Severity.WARNING
                )
            )
        if survivors and not write:
            found.append(Problem("survivors needs write: there is nothing to read back"))
        patterns = {"matches": (options.get("expect") or {}).get("matches"), "served_by": options.get("served_by")}
        for key, pattern in patterns.items():
            try:
                re.compile(pattern or "")
            except re.error as error:
                found.append(Problem(f"{key} must be a regular expression: {error}"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        self._write = options.get("write")
        self._command = (self._write or options)["command"]
        self._environment = options.get("environment") or {}
        self._expect = options.get("expect") or {}
        self._served_by = options.get("served_by")
        self._numeric = bool(options.get("value"))
        self._survivors = options.get("survivors")
        self._ending: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: There is no such program.
        """
        for command in (self._command, (self._survivors or {}).get("command")):
            if command and shutil.which(command[0]) is None:
                raise EnvironmentFault(f"there is no program {command[0]} here")

    async def sample(self, id: int | None) -> Answer:
        try:
            status, output = await self._run(self._command, {} if id is None else {"DRILL_ID": str(id)})
        except OSError as error:
            why = f"this machine: the program cannot be started: {os.strerror(error.errno or 0).lower()}"
            return Answer(Outcome.UNKNOWN, why, fate=None if id is None else Fate.REFUSED)
        value = number(output.decode(errors="replace").strip()) if self._numeric else None
        lacking = self._lacking(status, output)
        if self._numeric and value is None and not lacking:
            lacking = "its output is not a number"
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, self._server(output), self._fate(status, lacking, id), value)

    def _server(self, output: bytes) -> str | None:
        found = re.search(self._served_by, output.decode(errors="replace")) if self._served_by else None
        return found.group(min(1, found.re.groups))[:200] if found else None

    def _lacking(self, status: int, output: bytes) -> str:
        """Why it is not a good answer, in words; "" when it is."""
        wanted = self._write.get("acknowledged") if self._write else self._expect.get("status")
        if status not in _statuses(wanted, 0):
            return f"ended by signal {-status}" if status < 0 else f"exit status {status}"
        printed = output.decode(errors="replace")
        part, pattern = self._expect.get("output"), self._expect.get("matches")
        if (part and part not in printed) or (pattern and not re.search(pattern, printed)):
            return "its output is not as expected"
        return ""

    def _fate(self, status: int, lacking: str, id: int | None) -> Fate | None:
        if id is None:
            return None
        if not lacking:
            return Fate.ACKNOWLEDGED
        refused = self._write.get("refused") if self._write else None
        return Fate.REFUSED if refused is not None and status in _statuses(refused, None) else Fate.UNKNOWN

    async def _run(self, command: list[str], environment: dict[str, str], most: int = _MOST) -> tuple[int, bytes]:
        """
        Exit status (negative: the signal that ended it) and standard output.

        Raises OSError when it cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self._environment, **environment},
            start_new_session=True,
        )
        assert process.stdout is not None
        output = bytearray()
        ended = False
        try:
            while part := await process.stdout.read(65536):
                if len(output) < most:
                    output += part
            status = await process.wait()
            ended = True
        finally:
            if not ended:
                # A program that has ended may have left children that hold its output open: they go, too.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                # Nobody waits for its end but `close`.
                ending = asyncio.ensure_future(process.communicate())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        return status, bytes(output)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        if self._survivors is None:
            raise EnvironmentFault("this probe does not say how survivors are read")
        command = self._survivors["command"]
        try:
            async with asyncio.timeout(_SURVIVORS_S):
                asked = {"DRILL_FIRST_ID": str(first), "DRILL_LAST_ID": str(last)}
                status, output = await self._run(command, asked, _SURVIVORS_MOST)
        except OSError as error:
            why = f"took over {_SURVIVORS_S:g} s" if isinstance(error, TimeoutError) else "cannot be started"
            raise EnvironmentFault(f"the survivors cannot be read: {command[0]} {why}") from error
        if status != 0:
            raise EnvironmentFault(f"the survivors cannot be read: {command[0]} ended with {status}")
        if len(output) >= _SURVIVORS_MOST:
            raise EnvironmentFault(f"the survivors cannot be read: {command[0]} printed over {_SURVIVORS_MOST} bytes")
        try:
            ids = sorted(int(word) for word in output.split())
        except ValueError as error:
            raise EnvironmentFault(f"{command[0]} must print ids separated by blanks or newlines") from error
        return [id for id in ids if first <= id <= last], command[0]

    async def close(self) -> None:
        if self._ending:
            await asyncio.wait(self._ending, timeout=_END_S)


def _statuses(given: int | list[int] | None, otherwise: int | None) -> list[int]:
    if given is None:
        return [] if otherwise is None else [otherwise]
    return [given] if isinstance(given, int) else given
