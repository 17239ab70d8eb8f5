"""WebSocket connections: each message that leads to something is a request of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as context_api

import autotrace
from autotrace.recording.guard import guard
from autotrace.testing import Spans

from .servers import CALLER, AsgiServer, Message, scope, think

Ask = Callable[[], Awaitable[str]]
Say = Callable[[str], Awaitable[None]]


class SocketServer(AsgiServer):
    """A connection whose client sends these messages, one when the one before has been answered, then leaves."""

    def __init__(self, *texts: str, waits: bool = False) -> None:
        super().__init__([{"type": "websocket.connect"}])
        self.texts = list(texts)
        self.waits = waits
        self.answered: asyncio.Event | None = None

    async def receive(self) -> Message:
        if self.incoming:
            return self.incoming.pop(0)
        if self.waits:  # for the answer to what it has sent before
            if self.answered is not None:
                await self.answered.wait()
            self.answered = asyncio.Event()
        if self.texts:
            return {"type": "websocket.receive", "text": self.texts.pop(0)}
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(self, message: Message) -> None:
        await super().send(message)
        if self.answered is not None and message["type"] == "websocket.send":
            self.answered.set()

    @property
    def said(self) -> list[str]:
        """What the client has been sent."""
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]


class Left(Exception):
    """Raised into the application when the client has left."""


class WebSocketDisconnect(Exception):
    """Under the name that frameworks give it."""


async def accepted(receive: Any, send: Any) -> tuple[Ask, Say]:
    """Takes the connection; how to receive a text and how to send one."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})

    async def ask() -> str:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            raise Left
        return str(message["text"])

    async def say(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    return ask, say


def connect(web: ModuleType, app: Any, *texts: str, waits: bool = False, **more: Any) -> SocketServer:
    """Serves one connection."""
    server = SocketServer(*texts, waits=waits)
    known = {**scope(path="/ws", **more), "type": "websocket", "subprotocols": []}
    del known["method"]
    asyncio.run(server.serve(web.Asgi(app), known))
    return server


def answers(ask: Ask, say: Say) -> Awaitable[None]:
    """Answers each message until the client leaves."""

    async def loop() -> None:
        while True:
            try:
                text = await ask()
            except Left:
                return
            with autotrace.span(f"think {text}"):
                await say(text.upper())
            await say("!")

    return loop()


def summary(traced: Spans) -> list[tuple[Any, ...]]:
    """Of each root: what was asked and answered, and its steps."""
    steps = {root.span_id: [one.name for one in traced.all() if one.parent_id == root.span_id] for root in traced.all()}
    roots = [span for span in traced.all() if span.parent_id is None]
    return [(root["input.value"], root["output.value"], *steps[root.span_id]) for root in roots]


def test_a_conversation(web: ModuleType, traced: Spans) -> None:
    """Each message is a trace of its own, with what was sent until the next one as its answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        await answers(ask, say)

    server = connect(web, app, "one", "two", "three", headers=[("x-session-id", "chat-7")])
    assert server.said == ["ONE", "!", "TWO", "!", "THREE", "!"]
    assert summary(traced) == [(text, text.upper() + "!", f"think {text}") for text in ("one", "two", "three")]
    roots = [span for span in traced.all() if span.parent_id is None]
    assert {(root.name, root.kind, root.status) for root in roots} == {("WEBSOCKET /ws", "server", "ok")}
    assert len({root.trace_id for root in roots}) == 3
    assert {span["session.id"] for span in traced.all()} == {"chat-7"}


def test_messages_that_lead_to_nothing(web: ModuleType, traced: Spans) -> None:
    """They leave nothing, nor does the connection."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        for _ in range(3):
            await say(await ask())

    assert connect(web, app, "a", "b", "c").said == ["a", "b", "c"]
    assert traced.all() == []


def test_what_comes_before_the_first_message(web: ModuleType, traced: Spans) -> None:
    """A greeting belongs to the connection."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        with autotrace.span("greet"):
            await say("hello")
        await answers(ask, say)

    connect(web, app, "one")
    assert summary(traced) == [(None, "hello", "greet"), ("one", "ONE!", "think one")]


def test_a_wait_with_a_limit(web: ModuleType, traced: Spans) -> None:
    """`asyncio.wait_for` receives in a task of its own (before Python 3.12): messages are told apart all the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        await answers(lambda: asyncio.wait_for(ask(), 10), say)

    connect(web, app, "one", "two")
    assert summary(traced) == [("one", "ONE!", "think one"), ("two", "TWO!", "think two")]


def test_a_wait_for_one_of_several_things(web: ModuleType, traced: Spans) -> None:
    """So does `asyncio.wait`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)

        async def either() -> str:
            done, _ = await asyncio.wait([asyncio.ensure_future(ask())], return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()

        await answers(either, say)

    connect(web, app, "one", "two")
    assert summary(traced) == [("one", "ONE!", "think one"), ("two", "TWO!", "think two")]


def test_a_task_for_each_message(web: ModuleType, traced: Spans) -> None:
    """Messages that are worked on at once: what each task says is the answer to its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        tasks = []

        async def work(text: str) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                with autotrace.span(f"think {text}"):
                    await asyncio.sleep(0)
                await say(text)

        try:
            while True:
                tasks.append(asyncio.create_task(work(await ask())))
        except Left:
            await asyncio.gather(*tasks)

    connect(web, app, "a", "b", "c")
    assert summary(traced) == [(text, text * 3, *[f"think {text}"] * 3) for text in "abc"]


@pytest.mark.parametrize("reader_first", [True, False])
def test_a_reader_and_a_worker(web: ModuleType, traced: Spans, reader_first: bool) -> None:
    """One task receives, another one works on what it finds in a queue: on the latest message."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        queue: asyncio.Queue[str] = asyncio.Queue()

        async def read() -> None:
            try:
                while True:
                    await queue.put(await ask())
            except Left:
                await queue.put("")

        worker = answers(queue_or_left(queue), say)
        first, second = (read(), worker) if reader_first else (worker, read())
        await asyncio.gather(first, second)

    connect(web, app, "one", "two", "three", waits=True)
    assert [(asked, steps) for asked, _, *steps in summary(traced)] == [
        (text, [f"think {text}"]) for text in ("one", "two", "three")
    ]
    assert all(output.startswith(asked.upper()) for asked, output, *_ in summary(traced))


def queue_or_left(queue: asyncio.Queue[str]) -> Ask:
    """The next text of a queue; the empty one says that the client has left."""

    async def ask() -> str:
        text = await queue.get()
        if not text:
            raise Left
        return text

    return ask


def test_a_thread_and_a_task(web: ModuleType, traced: Spans) -> None:
    """What a message leads to in other threads and tasks is part of it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        for _ in range(2):
            text = await ask()
            await asyncio.to_thread(think)
            await asyncio.create_task(asyncio.to_thread(think))
            await say(text)

    connect(web, app, "a", "b")
    assert summary(traced) == [("a", "a", "think", "think"), ("b", "b", "think", "think")]


def test_what_the_program_has_made_current(web: ModuleType, traced: Spans) -> None:
    """Its own context is what it is without us, whatever it does between two messages."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        with autotrace.context(session="own", tags={"plan": "pro"}):
            await say(await ask())
            token = context_api.attach(baggage.set_baggage("key", "value"))
            await ask()
            seen.append(baggage.get_baggage("key"))
            think()
            await ask()
            seen.append(baggage.get_baggage("key"))
            think()
            context_api.detach(token)
            seen.append(baggage.get_baggage("key"))
            think()
            await ask()
            seen.append(baggage.get_baggage("key"))
            think()

    connect(web, app, "a", "b", "c", "d")
    assert seen == ["value", "value", None, None]
    assert [one[0] for one in summary(traced)] == ["b", "c", "d"]
    assert {span["session.id"] for span in traced.all()} == {"own"}


def test_whose_it_is(web: ModuleType, traced: Spans) -> None:
    """What is said before the first message goes for all; what is said of one, for that."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, _ = await accepted(receive, send)
        autotrace.update_trace(session="chat-7")
        await ask()
        autotrace.update_trace(user="alice")
        think()
        await ask()
        think()

    connect(web, app, "a", "b")
    assert [(span["session.id"], span["user.id"]) for span in traced.all()] == [
        *[("chat-7", "alice")] * 2,
        *[("chat-7", None)] * 2,
    ]


def test_the_trace_of_a_message(web: ModuleType, traced: Spans) -> None:
    """`current_trace_id` is the message's, before and after its first traced call."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, _ = await accepted(receive, send)
        for _ in range(2):
            await ask()
            seen.append(autotrace.current_trace_id())
            think()
            seen.append(autotrace.current_trace_id())

    connect(web, app, "a", "b")
    first, second = (f"{span.trace_id:032x}" for span in traced.all() if span.parent_id is None)
    assert seen == [first, first, second, second]
    assert first != second


def test_a_caller_that_names_its_trace(web: ModuleType, traced: Spans) -> None:
    """All messages of the connection belong to it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        await answers(ask, say)

    connect(web, app, "a", "b", headers=[("traceparent", CALLER)])
    roots = [span for span in traced.all() if span.name == "WEBSOCKET /ws"]
    assert {(f"{root.trace_id:032x}", f"{root.parent_id:016x}") for root in roots} == {("ab" * 16, "cd" * 8)}
    assert len(roots) == 2


def test_an_exception(web: ModuleType, traced: Spans) -> None:
    """It ends the message that it was raised in, and reaches the server."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        await ask()
        think()
        await say("a")
        await ask()
        think()
        raise LookupError("no such model")

    with pytest.raises(LookupError):
        connect(web, app, "a", "b")
    assert traced.outline() == "WEBSOCKET /ws\n  think\nWEBSOCKET /ws !\n  think"


@pytest.mark.parametrize("answered", [False, True])
def test_a_client_that_leaves_in_the_midst(web: ModuleType, traced: Spans, answered: bool) -> None:
    """The server's `send` tells of it; or another task reads that it has left, while one is at work."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        await ask()
        think()
        if answered:
            await say("half of")
        raise WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect):
        connect(web, app, "a")
    assert traced.outline() == "WEBSOCKET /ws (disconnected)\n  think"


def test_a_connection_that_is_cancelled(web: ModuleType, traced: Spans) -> None:
    """The server shuts down."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, _ = await accepted(receive, send)
        await ask()
        think()
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(SocketServer("a").serve(web.Asgi(app), {**scope("/ws"), "type": "websocket"}), 0.01)

    asyncio.run(main())
    assert traced.outline() == "WEBSOCKET /ws (cancelled)\n  think"


def test_frames_of_bytes(web: ModuleType, traced: Spans) -> None:
    """JSON and bytes are read as what they say."""
    frames = [b'{"question": "why?"}', b"\xff\xfe"]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await accepted(receive, send)
        for _ in frames:
            message = await receive()
            think()
            await send({"type": "websocket.send", "bytes": message["bytes"], "text": None})

    server = SocketServer()
    server.incoming += [{"type": "websocket.receive", "bytes": frame, "text": None} for frame in frames]
    asyncio.run(server.serve(web.Asgi(app), {**scope("/ws"), "type": "websocket"}))
    assert [message["bytes"] for message in server.sent[1:]] == frames
    assert traced.all()[0]["input.value"] == "why?"
    assert traced.outline() == "WEBSOCKET /ws\n  think\nWEBSOCKET /ws\n  think"


def test_messages_as_they_are(web: ModuleType, traced: Spans) -> None:
    """What passes is the server's and the application's own, to the object; also what is out of shape."""
    traced.on(strict=False)
    odd: list[Message] = [
        {"type": "websocket.receive"},
        {"type": "websocket.receive", "text": 7, "bytes": "text"},
        {"type": "acme"},
        {},
    ]
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in odd:
            seen.append(await receive())
            think()
            await send({**seen[-1], "type": "websocket.send"})

    server = SocketServer()
    server.incoming = list(odd)
    asyncio.run(server.serve(web.Asgi(app), {**scope("/ws"), "type": "websocket", "headers": None}))
    assert all(one is message for one, message in zip(seen, odd, strict=True))
    assert server.sent == [{**message, "type": "websocket.send"} for message in odd]
    guard.failures.clear()


def test_many_messages(web: ModuleType, traced: Spans) -> None:
    """10,000 messages on one connection, every tenth of which leads to something, leave nothing behind."""
    import gc

    from autotrace.recording import recorder
    from autotrace.serving import sockets

    def alive() -> int:
        gc.collect()
        return sum(isinstance(one, sockets.Exchange) for one in gc.get_objects())

    counts = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ask, say = await accepted(receive, send)
        for number in range(10_000):
            await ask()
            if number % 10 == 0:
                think()
                await say("x")
            if number in (2_000, 9_999):
                counts.append((alive(), len(recorder._open)))

    connect(web, app, *["message"] * 10_000)
    assert len(traced.all()) == 2_000
    (early, open_early), (late, open_late) = counts
    assert late <= early
    assert open_late <= open_early
    assert alive() == 0
