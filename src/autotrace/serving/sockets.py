"""A WebSocket connection: each message that leads to something is a request of its own, what is sent then its answer.

A turn begins when the application has received a message and ends when it asks for the next one. Which turn a task
works on is remembered beside OpenTelemetry's context, which is the program's: what it has made current while it waited
for a message stays so. Where messages are received in one task and worked on in another one, that works on the latest;
such a turn ends with its last answer. What comes before the first message is the connection's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from ..recording.current import enter, leave
from ..recording.guard import guard
from ..recording.held import Held
from ..recording.labels import TraceState
from ..recording.recorder import Recorder
from .exchange import Exchange, Request, is_disconnect
from .reading import FRAMES
from .service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Turns that may wait for something to happen in them; the oldest go first.
MAX_OPEN = 100
#: How an answer in frames is read.
_FRAMES = {"content-type": FRAMES}


class _Turn(Exchange):
    """A message and what is sent for it; or what comes before the first one.

    Attributes:
        connection: The same for all turns of one.
        is_shared: A task works on it that has not received it.
    """

    __slots__ = ("connection", "has_begun", "is_shared", "last_sent")

    def __init__(
        self,
        connection: object,
        recorder: Recorder,
        service: Service,
        request: Request,
        outer: Context,
        remote: SpanContext | None,
    ) -> None:
        super().__init__(recorder, service, request, outer, remote)
        self.connection = connection
        self.is_shared = self.has_begun = False
        self.last_sent: int | None = None

    def sent(self, frame: bytes, now: int) -> None:
        """A frame was sent."""
        if not self.has_begun:
            self.has_begun = True
            self.begins(101, _FRAMES)
        self.answered(frame)
        self.last_sent = now

    def end(self, outcome: str | None = None, error: BaseException | None = None) -> None:
        """Nothing more will come."""
        self.finish(None, outcome, error, self.last_sent)


#: The turn that a task has received, or the task that began it.
_received: ContextVar[_Turn | None] = ContextVar("autotrace.turn", default=None)


class _Whole(_Turn):
    """What a connection's tasks are found to work in: the turn at hand.

    Attributes:
        latest: The turn that was received last.
    """

    __slots__ = ("latest",)

    def __init__(self, *args: Any) -> None:
        super().__init__(object(), *args)
        self.latest: _Turn | None = None

    def part(self) -> Held:
        """The turn at hand; this itself before the first one."""
        received = self.received()
        if received is not None:
            return received
        if self.latest is None:
            return self
        self.latest.is_shared = True
        return self.latest

    def received(self) -> _Turn | None:
        """The turn that this task has received."""
        turn = _received.get()
        return turn if turn is not None and turn.connection is self.connection else None


class Connection:
    """One connection at the application.

    Args:
        recorder: Records the turns' spans.
        service: The settings that concern requests.
        request: The request that opened it.
        outer: The context in which that arrived.
        remote: The span of the caller, where it named one.
        receive: The server's.
        send: The server's.
    """

    def __init__(
        self,
        recorder: Recorder,
        service: Service,
        request: Request,
        outer: Context,
        remote: SpanContext | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self._recorder = recorder
        self._receive = receive
        self._send = send
        self._known = recorder, service, request, outer, remote
        self._whole = _Whole(*self._known)
        self._open: deque[_Turn] = deque()

    async def served(self, wrapped: Callable[..., Awaitable[Any]], scope: Any) -> Any:
        """Calls the application."""
        token = enter(self._whole.context)
        try:
            result = await wrapped(scope, self.receive, self.send)
        except BaseException as error:
            with guard("serving: end of a connection"):
                self._end(error)
            raise
        finally:
            leave(token)
        with guard("serving: end of a connection"):
            self._end(None)
        return result

    async def receive(self) -> Message:
        """The server's next message; the turn before is over."""
        with guard("serving: a message"):
            self._pause()
        message = await self._receive()
        with guard("serving: a message"):
            if message["type"] == "websocket.receive":
                self._begin(message)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Looks at what the application sends."""
        try:
            if message["type"] == "websocket.send":
                turn = self._whole.part()
                assert isinstance(turn, _Turn)
                turn.sent(_frame(message), self._recorder.now())
        except Exception as error:  # noqa: BLE001 (an application's own shapes)
            guard.report("serving: a message", error)
        return self._send(message)

    def _begin(self, message: Message) -> None:
        whole = self._whole
        before = whole.latest
        if before is not None and before.is_shared and before.is_recorded:
            self._over(before)
        turn = _Turn(whole.connection, *self._known)
        if turn.state is not whole.state:
            turn.state = TraceState(turn.state.root, whole.state.labels)  # what was said of the connection
        turn.asked(_frame(message))
        self._open.append(turn)
        if len(self._open) > MAX_OPEN:
            self._open.popleft().end()
        whole.latest = turn
        _received.set(turn)

    def _pause(self) -> None:
        """The application asks for the next message: the turn that it is in is over, if it has led to something.

        A task that has received none is one for this message alone, made by `asyncio.wait_for` say.
        """
        turn = self._whole.received()
        if turn is not None:
            _received.set(None)
        if turn is None or not turn.is_shared:
            turn = turn or self._whole.latest
            if turn is not None and turn.is_recorded:
                self._over(turn)

    def _over(self, turn: _Turn) -> None:
        turn.end()
        if turn in self._open:
            self._open.remove(turn)

    def _end(self, error: BaseException | None) -> None:
        """The connection is over, and with it what is open."""
        has_left = error is not None and is_disconnect(error)
        at_hand = self._whole.received()  # not so, had the application asked for the next message
        for turn in (*self._open, self._whole):
            if not has_left:
                turn.end(None, error)
            elif turn is at_hand or not (turn is self._whole or turn.has_begun):
                turn.end("disconnected")
            else:
                turn.end()
        self._open.clear()
        _received.set(None)


def _frame(message: Message) -> bytes:
    text = message.get("text")
    return text.encode("utf-8", "replace") if isinstance(text, str) else bytes(message.get("bytes") or b"")
