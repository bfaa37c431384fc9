"""Valkey and Redis: a command, or a ledger of ids written one item each."""

from __future__ import annotations

import asyncio
from typing import Any

from drill.errors import EnvironmentFault, Problem
from drill.model import MILLISECOND, SECOND, Fate, Outcome, Probe
from drill.probes import Answer
from drill.probes.expectation import number, shown
from drill.probes.failure import failed
from drill.spec.shape import Choice, Key, ListOf, Number, OneOf, Table, anything, duration, integer, text
from drill.spec.shape import number as a_number

# Error replies that come before anything is written.
_REFUSED = ("READONLY", "LOADING", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "OOM", "MOVED", "NOAUTH")
# The client cuts the code off some replies and gives them a class instead.
_CODES = {
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "OutOfMemoryError": "OOM",
    "AuthenticationError": "NOAUTH",
    "NoPermissionError": "NOPERM",
}
# A pool that once grew must not keep a server's connections from others.
_IDLE = 5
# Reading survivors is not measured; it may take as long as a big set needs.
_SURVIVORS_S = 20.0
_SCAN = 1000


class ValkeyProbe:
    """
    Connects, sends one command or writes one id, and hangs up.

    Of several URLs the first server that says it is the primary is used, each
    asked in turn for an equal share of the deadline.
    """

    keys = Table(
        "valkey probe",
        Key(
            "url",
            OneOf(text, ListOf(text, least=1), expected="a URL, or a list of them"),
            "valkey://host:port/0; of a list, the server that says it is the primary is used.",
            required=True,
        ),
        Key(
            "command",
            ListOf(OneOf(text, integer, expected="a word or a number"), least=1),
            "What is asked, for a probe that reads, such as [GET, greeting]; without it, [PING].",
        ),
        Key(
            "expect",
            Table(
                "expect",
                Key("value", anything, "What the answer is."),
                Key(
                    "text", OneOf(text, ListOf(text), expected="text, or a list of it"), "What it contains, all of it."
                ),
                Key("at_least", a_number, "The smallest number that is good."),
                Key("at_most", a_number, "The largest number that is good."),
            ),
            "What a good answer is; without it, any answer that is no error.",
        ),
        Key("connection", Choice("fresh", "pooled"), "fresh (default): a new connection each time."),
        Key(
            "write",
            Table(
                "write",
                Key("key", text, "The set, or the prefix of the keys, that holds the ids.", required=True),
                Key("as", Choice("set", "keys"), "set (default): SADD key id; keys: SET key:id id, one key per id."),
                Key(
                    "wait",
                    Table(
                        "wait",
                        Key("replicas", Number("a whole number, 1 or more", least=1), "How many.", required=True),
                        Key("within", duration, "How long WAIT waits.", required=True),
                    ),
                    "Only what so many replicas have confirmed counts as acknowledged.",
                ),
            ),
            "How the probe writes ids; the survivors are read from the same place.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        found = []
        if options.get("write") and (options.get("command") or options.get("expect")):
            found.append(Problem("a valkey probe either writes or sends a command, not both"))
        urls = options.get("url") or []
        for url in [urls] if isinstance(urls, str) else urls:
            if "${" not in url and not url.startswith(("valkey://", "valkeys://", "redis://", "rediss://")):
                found.append(Problem("url must begin with valkey:// or redis:// (valkeys:// or rediss:// for TLS)"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        urls = options["url"]
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._share = probe.deadline / SECOND / len(self._urls)
        self._command = options.get("command") or ["PING"]
        self._expect = options.get("expect") or {}
        self._pooled = options.get("connection") == "pooled"
        self._write = options.get("write")
        self._idle: list[Any] = []

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: A URL cannot be used.
        """
        import valkey.exceptions
        from valkey.asyncio.connection import Connection, parse_url

        self._error = valkey.exceptions.ValkeyError
        self._reply_error = valkey.exceptions.ResponseError
        self._servers = []
        for url in self._urls:
            try:
                settings = dict(parse_url(url))
            except ValueError as error:
                raise EnvironmentFault("a valkey probe needs URLs such as valkey://host:6379/0") from error
            make = settings.pop("connection_class", Connection)
            # Without a library name, connecting takes no round trip that an ordinary client would not need.
            self._servers.append((make, {**settings, "lib_name": None, "lib_version": None, "decode_responses": True}))

    async def sample(self, id: int | None) -> Answer:
        connection = None
        good = False
        try:
            try:
                connection = await self._take()
            except (OSError, self._error) as error:
                # Without a connection nothing was written.
                return self._failed(error, None if id is None else Fate.REFUSED)
            try:
                answer = await (self._ask(connection) if id is None else self._add(connection, id))
            except (OSError, self._error) as error:
                fate = None if id is None else Fate.REFUSED if _code(error) in _REFUSED else Fate.UNKNOWN
                return self._failed(error, fate, _address(connection))
            good = True
            return answer
        finally:
            if connection is not None:
                if self._pooled and good and len(self._idle) < _IDLE:
                    self._idle.append(connection)
                else:
                    await connection.disconnect(nowait=True)

    async def _take(self) -> Any:
        if self._pooled and self._idle:
            return self._idle.pop()
        if len(self._servers) == 1:
            return await self._connect(*self._servers[0])
        return await self._primary()

    async def _connect(self, make: Any, settings: dict[str, Any]) -> Any:
        connection = make(**settings)
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _primary(self) -> Any:
        """
        A connection to the first server that says it is the primary.

        Raises:
            ConnectionError: None does; the last error met says why.
        """
        last: Exception = ConnectionError("no server says it is the primary")
        for server in self._servers:
            connection = None
            primary = False
            try:
                # The last one may use up what is left of the deadline.
                async with asyncio.timeout(None if server is self._servers[-1] else self._share):
                    connection = await self._connect(*server)
                    primary = (await self._call(connection, "ROLE"))[0] == "master"
                if primary:
                    return connection
            except (OSError, self._error) as error:
                last = error
            finally:
                if connection is not None and not primary:
                    await connection.disconnect(nowait=True)
        raise last

    async def _call(self, connection: Any, *words: Any) -> Any:
        await connection.send_command(*words, check_health=False)
        return await connection.read_response()

    async def _ask(self, connection: Any) -> Answer:
        reply = await self._call(connection, *self._command)
        lacking = _lacking(self._expect, reply)
        outcome = Outcome.FAILED if lacking else Outcome.OK
        return Answer(outcome, lacking, _address(connection), value=number(reply))

    async def _add(self, connection: Any, id: int) -> Answer:
        assert self._write is not None
        key = self._write["key"]
        words = ("SET", f"{key}:{id}", id) if self._write.get("as") == "keys" else ("SADD", key, id)
        await self._call(connection, *words)
        by = _address(connection)
        wait = self._write.get("wait")
        if wait:
            confirmed = await self._call(connection, "WAIT", wait["replicas"], wait["within"] // MILLISECOND)
            if confirmed < wait["replicas"]:
                return Answer(Outcome.FAILED, f"confirmed by {confirmed} replicas", by, Fate.UNKNOWN)
        return Answer(Outcome.OK, served_by=by, fate=Fate.ACKNOWLEDGED)

    def _failed(self, error: Exception, fate: Fate | None, by: str | None = None) -> Answer:
        answer = failed(error, fate)
        words = answer.detail
        if code := _code(error):
            words = f"the server answers {code}"
        return Answer(answer.outcome, words, by, fate)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        if not self._write:
            raise EnvironmentFault("this probe writes nothing, so there are no survivors to read")
        reads = await asyncio.gather(*(self._survivors_of(server) for server in self._servers))
        found = [read for read in reads if not isinstance(read, str)]
        if not found:
            raise EnvironmentFault(f"no primary could be read: {'; '.join(map(str, reads))}")
        if len(found) > 1:
            # Valkey keeps no epoch by which to tell the old from the new.
            raise EnvironmentFault(f"two servers say they are the primary: {', '.join(by for _, by in found)}")
        ids, by = found[0]
        return sorted(id for id in ids if first <= id <= last), by

    async def _survivors_of(self, server: tuple[Any, dict[str, Any]]) -> tuple[list[int], str] | str:
        """The ids a primary holds and its address; or in words why there are none."""
        connection = None
        try:
            async with asyncio.timeout(_SURVIVORS_S):
                connection = await self._connect(*server)
                if (await self._call(connection, "ROLE"))[0] != "master":
                    return f"{_address(connection)} is a replica"
                return await self._ids(connection), _address(connection)
        except (OSError, self._error) as error:
            return self._failed(error, None).detail
        except ValueError:
            return "the key holds something that is no id"
        finally:
            if connection is not None:
                await connection.disconnect(nowait=True)

    async def _ids(self, connection: Any) -> list[int]:
        assert self._write is not None
        key = self._write["key"]
        if self._write.get("as") != "keys":
            return [int(member) for member in await self._call(connection, "SMEMBERS", key)]
        pattern = "".join(f"\\{letter}" if letter in "*?[]\\^" else letter for letter in key)
        names: set[str] = set()
        cursor = "0"
        while True:
            # SCAN may name a key twice; keys themselves are unique.
            cursor, found = await self._call(connection, "SCAN", cursor, "MATCH", f"{pattern}:*", "COUNT", _SCAN)
            names.update(found)
            if str(cursor) == "0":
                return [int(name.rpartition(":")[2]) for name in names]

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().disconnect(nowait=True)


def _code(error: BaseException) -> str | None:
    """The error code that the server answered with, such as READONLY; None when it did not answer."""
    import valkey.exceptions

    name = type(error).__name__
    if name in _CODES:
        return _CODES[name]
    if not isinstance(error, valkey.exceptions.ResponseError):
        return None
    first = str(error).partition(" ")[0]
    return first if first.isupper() and first.isalpha() else "an error"


def _address(connection: Any) -> str:
    return f"{connection.host}:{connection.port}" if hasattr(connection, "host") else "a local socket"


def _lacking(expect: dict[str, Any], reply: Any) -> str:
    """Why a reply is not a good one, in words; "" when it is."""
    wanted = expect.get("value")
    if wanted is not None and str(reply) != str(wanted):
        return f"answer {shown(reply)}"
    texts = expect.get("text") or []
    for part in [texts] if isinstance(texts, str) else texts:
        if part not in str(reply):
            return f'the answer lacks "{part}"'
    least, most = expect.get("at_least"), expect.get("at_most")
    if least is None and most is None:
        return ""
    size = number(reply)
    if size is None:
        return f"answer {shown(reply)} is not a number"
    good = (least is None or size >= least) and (most is None or size <= most)
    return "" if good else f"answer {size:g}"
