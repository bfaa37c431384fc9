"""RabbitMQ: how many messages wait in a queue, or a ledger of ids, one persistent message each."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from drill.clock import SystemClock
from drill.errors import EnvironmentFault, Problem
from drill.model import SECOND, Delivery, Fate, Outcome, Probe
from drill.probes import Answer
from drill.probes.amqp import HEARTBEAT_S, PART_S, PORTS, WITHHELD_S, Link
from drill.probes.deliveries import Consumer, Deliveries
from drill.probes.failure import failed, said
from drill.spec.shape import Choice, Key, ListOf, OneOf, Table, boolean, integer, text

# The queue of a probe goes by itself when nobody has used it for a day. The odd number is also its signature:
# RabbitMQ refuses to declare a queue with other arguments than it has, so nobody else's is ever taken for ours.
_EXPIRES_MS = 86_413_577
# A quorum queue hands a consumer without a limit 2,000 messages and then waits; AMQP's largest limit is 65,535.
_UNACKED = 60_000
# Neither is measured: both may take as long as they need.
_OPEN_S = 10.0
_SURVIVORS_S = 20.0
_EMPTY_AGAIN_S = 0.1
_BACK_S = 5.0
# A pool that once grew must not keep a broker's connections from others.
_IDLE = 5
# What AMQP 0-9-1 and its Python libraries agree on.
_QUEUE = r"[A-Za-z0-9._:@#,/-]+"


class RabbitmqProbe:
    """
    Connects, counts the messages of a queue or publishes one id, and hangs up.

    Of several URLs each is tried in turn for an equal share of the deadline. The
    queue of a probe that writes is its own: declared once before the drill, never
    again, so that one that gets lost stays lost.
    """

    keys = Table(
        "rabbitmq probe",
        Key(
            "url",
            OneOf(text, ListOf(text, least=1), expected="a URL, or a list of them"),
            "amqp://user@host:port/vhost; of a list, the first that answers is used.",
            required=True,
        ),
        Key("queue", text, "For a probe that reads: the queue whose waiting messages are counted."),
        Key(
            "expect",
            Table(
                "expect",
                Key("at_least", integer, "The smallest number of waiting messages that is good."),
                Key("at_most", integer, "The largest number of waiting messages that is good."),
            ),
            "What a good answer is; without it, any.",
        ),
        Key("connection", Choice("fresh", "pooled"), "fresh (default): a new connection each time."),
        Key(
            "write",
            Table(
                "write",
                Key("queue", text, "The probe's own queue; drill.NAME unless said otherwise."),
                Key("type", Choice("quorum", "classic"), "quorum (default): replicated; classic: on one node."),
                Key(
                    "consume",
                    boolean,
                    "true: a consumer takes each message as it comes, as a worker would; longest redelivery is told.",
                ),
                Key("durable", boolean, "false: a classic queue that is gone with its node, and all that is in it."),
            ),
            "Ids are published to a durable queue, mandatory and with publisher confirms.",
        ),
    )

    @staticmethod
    def check(options: dict[str, Any]) -> list[Problem]:
        found = []
        if options.get("write") is not None and (options.get("queue") or options.get("expect")):
            found.append(Problem("a rabbitmq probe either writes or counts messages, not both"))
        write = options.get("write") or {}
        if write.get("durable") is False and write.get("type") != "classic":
            found.append(Problem("a quorum queue is always durable", hint="type: classic"))
        if options.get("expect") and not options.get("queue"):
            found.append(Problem("expect needs queue: whose messages are counted"))
        for queue in (options.get("queue"), (options.get("write") or {}).get("queue")):
            if queue and "${" not in queue and not re.fullmatch(_QUEUE, queue):
                found.append(Problem("the name of a queue has letters, digits and . _ - : @ # , / only"))
        urls = options.get("url") or []
        for url in [urls] if isinstance(urls, str) else urls:
            if "${" not in url and not url.startswith(("amqp://", "amqps://")):
                found.append(Problem("url must begin with amqp:// (amqps:// for TLS)"))
        return found

    def __init__(self, probe: Probe) -> None:
        options = probe.options
        urls = options["url"]
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._share = probe.deadline / SECOND / len(self._urls)
        self._queue = options.get("queue")
        self._expect = options.get("expect") or {}
        self._pooled = options.get("connection") == "pooled"
        self._write = options.get("write")
        if self._write is not None:
            self._queue = self._write.get("queue") or f"drill.{probe.name}"
        self._clock = SystemClock()
        self._held = Deliveries()
        self._consumer: Consumer | None = None
        self._consuming: asyncio.Task[None] | None = None
        self._idle: list[Link] = []
        self._parting: set[asyncio.Task[None]] = set()
        # When a reading failed that may still hold messages at the broker.
        self._unread: int | None = None

    async def open(self) -> None:
        """
        Raises:
            EnvironmentFault: A URL cannot be used, or the probe's queue cannot be declared.
        """
        import aiormq
        import pamqp.exceptions
        import yarl

        # It logs what a measurement of failures is full of, with URLs and frames.
        logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)
        self._aiormq = aiormq
        self._errors: tuple[type[Exception], ...] = (
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            aiormq.exceptions.AMQPError,
            pamqp.exceptions.PAMQPException,
        )
        try:
            self._servers = [yarl.URL(url) for url in self._urls]
            if not all(server.scheme in PORTS and server.host for server in self._servers):
                raise ValueError
        except ValueError as error:
            raise EnvironmentFault("a rabbitmq probe needs URLs such as amqp://host:5672/") from error
        if self._write is not None:
            await self._declare(self._write.get("type") or "quorum")
        if self._write is not None and self._write.get("consume"):
            self._consumer = Consumer(self._any, str(self._queue), self._errors, self._clock)
            self._consuming = asyncio.create_task(self._consumer.run(), name=f"consumer of {self._queue}")

    async def _any(self) -> Link:
        """A link for the consumer, which has no deadline of the drill's to keep."""
        return await self._connect(_OPEN_S / len(self._servers), heartbeat=HEARTBEAT_S)

    async def _declare(self, kind: str) -> None:
        link = None
        try:
            async with asyncio.timeout(_OPEN_S):
                link = await self._connect(_OPEN_S / len(self._servers))
                arguments = {"x-queue-type": kind, "x-expires": _EXPIRES_MS}
                if kind == "quorum" and link.version >= 4:
                    # From 4.0 on a message that was handed out twenty times is dropped; reading survivors hands out.
                    arguments["x-delivery-limit"] = -1
                durable = self._write is None or self._write.get("durable") is not False
                await link.channel.queue_declare(self._queue, durable=durable, arguments=arguments)
        except self._errors as error:
            words = self._said(error)
            if "PRECONDITION_FAILED" in words:
                words = "it exists and is not a probe's own"
            raise EnvironmentFault(f"the queue {self._queue} cannot be declared: {words}") from error
        finally:
            self._part(link)

    async def sample(self, id: int | None) -> Answer:
        link = None
        good = False
        try:
            try:
                link = await self._take()
            except self._errors as error:
                # Without a connection nothing was written.
                return self._failed(error, None if id is None else Fate.REFUSED)
            try:
                answer = await (self._count(link) if id is None else self._publish(link, id))
            except self._errors as error:
                return self._failed(error, None if id is None else Fate.UNKNOWN, link.address)
            good = True
            return answer
        finally:
            if link is not None:
                if not good:
                    link.drop()
                elif self._pooled and len(self._idle) < _IDLE:
                    self._idle.append(link)
                else:
                    self._part(link)

    async def _take(self) -> Link:
        while self._pooled and self._idle:
            link = self._idle.pop()
            if not link.closed:
                return link
        return await self._connect(self._share)

    async def _connect(self, share: float, *, heartbeat: int = 0) -> Link:
        last: Exception | None = None
        for server in self._servers:
            link = Link(server, self._aiormq, heartbeat=heartbeat)
            try:
                # The last one may use up what is left of the deadline.
                async with asyncio.timeout(None if server is self._servers[-1] else share):
                    await link.open()
                return link
            except self._errors as error:
                link.drop()
                last = error
            except BaseException:
                link.drop()
                raise
        assert last is not None
        raise last

    def _part(self, link: Link | None) -> None:
        """Hang up behind the measurement's back."""
        if link is not None:
            task = asyncio.ensure_future(link.part(self._errors))
            self._parting.add(task)
            task.add_done_callback(self._parting.discard)

    async def _count(self, link: Link) -> Answer:
        if self._queue is None:
            return Answer(Outcome.OK, served_by=link.address)
        declared = await link.wait(link.channel.queue_declare(self._queue, passive=True))
        waiting = int(declared.message_count)
        least, most = self._expect.get("at_least"), self._expect.get("at_most")
        good = (least is None or waiting >= least) and (most is None or waiting <= most)
        outcome, lacking = (Outcome.OK, "") if good else (Outcome.FAILED, f"{waiting} messages wait")
        return Answer(outcome, lacking, link.address, value=float(waiting))

    async def _publish(self, link: Link, id: int) -> Answer:
        properties = self._aiormq.spec.Basic.Properties(
            delivery_mode=2, message_id=str(id), content_type="text/plain", app_id="drill"
        )
        sending = link.channel.basic_publish(
            str(id).encode(), routing_key=self._queue, properties=properties, mandatory=True
        )
        try:
            await link.wait(sending)
        except self._aiormq.exceptions.PublishError:
            # It reached no queue: the one it was for is gone, or its node is.
            return Answer(Outcome.FAILED, "returned: no queue took it", link.address, Fate.REFUSED)
        except self._aiormq.exceptions.DeliveryError:
            # Some of the queue's replicas may hold it all the same.
            return Answer(Outcome.FAILED, "the broker answers nack", link.address, Fate.UNKNOWN)
        return Answer(Outcome.OK, served_by=link.address, fate=Fate.ACKNOWLEDGED)

    def _failed(self, error: Exception, fate: Fate | None, by: str | None = None) -> Answer:
        answer = failed(error, fate)
        words = answer.detail if answer.outcome is Outcome.UNKNOWN else self._said(error)
        return Answer(answer.outcome, words, by, fate)

    def _said(self, error: BaseException) -> str:
        """The broker's own words, or what kind of error it was."""
        if isinstance(error, self._aiormq.exceptions.AMQPError) and not isinstance(error.__cause__, OSError):
            words = [part for part in error.args if isinstance(part, str)]
            if words:
                return f"the broker answers {words[-1][:160]}"
        if isinstance(error, RuntimeError):
            return "connection lost"
        return said(error)

    async def survivors(self, first: int, last: int) -> tuple[list[int], str]:
        """
        Every message of the queue, handed out, noted and given back: nothing is taken away.

        Raises:
            EnvironmentFault: No broker could be read, or it did not take back what it had handed out.
        """
        if self._write is None:
            raise EnvironmentFault("this probe writes nothing, so there are no survivors to read")
        link = None
        try:
            async with asyncio.timeout(_SURVIVORS_S):
                link = await self._connect(_SURVIVORS_S / len(self._servers) / 2, heartbeat=HEARTBEAT_S)
                await (self._drained(link) if self._consumer else self._read(link))
        except self._aiormq.exceptions.ChannelNotFoundEntity as error:
            # "home node of durable queue is down" is the same error, and says nothing of the messages.
            if "no queue" not in str(error.args[-1:]):
                raise EnvironmentFault(f"the queue cannot be read: {self._said(error)}") from error
            self._held = Deliveries()
        except self._errors as error:
            raise EnvironmentFault(f"the queue cannot be read: {self._said(error)}") from error
        finally:
            self._part(link)
        assert link is not None
        return (self._held if self._consumer is None else self._consumer.seen).ids(first, last), link.address

    def deliveries(self, first: int, last: int) -> tuple[Delivery, ...] | None:
        return None if self._consumer is None else self._consumer.seen.noteworthy(first, last)

    async def _drained(self, link: Link) -> None:
        """Wait until the consumer has all: the queue is empty twice, and nothing is held for a lost link."""
        assert self._consumer is not None
        empty = 0
        while empty < 2:
            await asyncio.sleep(_EMPTY_AGAIN_S)
            waiting = (await link.wait(link.channel.queue_declare(self._queue, passive=True))).message_count
            empty = 0 if waiting or self._withheld(self._consumer.lost) else empty + 1

    def _withheld(self, lost: int | None) -> float:
        """For how many seconds a broker may yet hold what it had handed out on a link that was *lost* then."""
        return 0.0 if lost is None else max(0.0, WITHHELD_S - (self._clock.now() - lost) / SECOND)

    async def _read(self, link: Link) -> None:
        """What the queue holds; not before what an earlier reading was handed, and could not give back, is there."""
        await asyncio.sleep(self._withheld(self._unread))
        try:
            await self._hand_out(link)
        except self._aiormq.exceptions.ChannelNotFoundEntity:
            raise
        except BaseException:
            self._unread = self._clock.now()
            raise

    async def _hand_out(self, link: Link) -> None:
        """Consume without acknowledging until the queue is empty twice, then give back."""
        seen, held = Deliveries(), 0
        channels: list[Any] = []
        limit = 0

        async def handed(message: Any) -> None:
            nonlocal held
            held += 1
            seen.note(bytes(message.body), self._clock.now())

        empty = 0
        while empty < 2:
            if held >= limit:
                channels.append(await link.wait(link.connection.channel(publisher_confirms=False)))
                await link.wait(channels[-1].basic_qos(prefetch_count=_UNACKED))
                await link.wait(channels[-1].basic_consume(self._queue, handed, no_ack=False))
                limit += _UNACKED
            await asyncio.sleep(_EMPTY_AGAIN_S)
            waiting = (await link.wait(link.channel.queue_declare(self._queue, passive=True))).message_count
            empty = 0 if waiting else empty + 1
        # All of them first: what one gives back would be handed to the next.
        for channel in channels:
            for tag in list(channel.consumers):
                await link.wait(channel.basic_cancel(tag))
        for channel in channels if held else []:
            await link.wait(channel.basic_nack(0, multiple=True, requeue=True))
        await self._given_back(link, held)
        self._held = seen

    async def _given_back(self, link: Link, held: int) -> None:
        """Wait until the queue has what it had handed out; the next reading would miss it otherwise."""
        async with asyncio.timeout(_BACK_S):
            while True:
                declared = await link.wait(link.channel.queue_declare(self._queue, passive=True))
                if declared.message_count >= held:
                    return
                await asyncio.sleep(_EMPTY_AGAIN_S)

    async def close(self) -> None:
        if self._consuming is not None:
            self._consuming.cancel()
            await asyncio.wait([self._consuming], timeout=PART_S)
        while self._idle:
            self._part(self._idle.pop())
        if self._parting:
            await asyncio.wait(self._parting, timeout=PART_S)
