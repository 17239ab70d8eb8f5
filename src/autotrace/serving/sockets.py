"""A WebSocket connection: each message that leads to something is a request of its own, what is sent then its answer.

A turn begins when the application has received a message and ends when it asks for the next one. Where that happens in
a task of its own, while another one does the work, a turn ends with its last answer, when the connection does. What
belongs to no message is the connection's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from ..recording.current import Entered, current_context, enter, leave
from ..recording.guard import guard
from ..recording.held import held_in
from ..recording.recorder import Recorder
from .exchange import Exchange, Request
from .reading import FRAMES
from .service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Turns that may wait for something to happen in them; the oldest go first.
MAX_OPEN = 100
#: How an answer in frames is read.
_FRAMES = {"content-type": FRAMES}


class _Turn:
    """A message and what is sent for it."""

    __slots__ = ("exchange", "has_begun", "last_sent")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.has_begun = False
        self.last_sent: int | None = None

    def sent(self, frame: bytes, now: int) -> None:
        """A frame was sent."""
        if not self.has_begun:
            self.has_begun = True
            self.exchange.begins(101, _FRAMES)
        self.exchange.answered(frame)
        self.last_sent = now

    def end(self, outcome: str | None = None, error: BaseException | None = None) -> None:
        """Nothing more will come."""
        self.exchange.finish(outcome, error, self.last_sent)


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
        self._service = service
        self._request = request
        self._outer = outer
        self._remote = remote
        self._receive = receive
        self._send = send
        #: What belongs to no message.
        self._whole = self._turn()
        self._open: deque[_Turn] = deque()
        self._current: tuple[_Turn, Entered] | None = None

    async def served(self, wrapped: Callable[..., Awaitable[Any]], scope: Any) -> Any:
        """Calls the application."""
        token = enter(self._whole.exchange.held.context)
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
                self._sending().sent(_frame(message), self._recorder.now())
        except Exception as error:  # noqa: BLE001 (an application's own shapes)
            guard.report("serving: a message", error)
        return self._send(message)

    def _turn(self) -> _Turn:
        return _Turn(Exchange(self._recorder, self._service, self._request, self._outer, self._remote))

    def _begin(self, message: Message) -> None:
        turn = self._turn()
        turn.exchange.asked(_frame(message))
        self._open.append(turn)
        if len(self._open) > MAX_OPEN:
            self._open.popleft().end()
        # Current in the application's own task, which is where this coroutine runs.
        self._current = turn, enter(turn.exchange.held.context)

    def _pause(self) -> None:
        """The application asks for the next message: the turn that it is in is over, if it has led to something."""
        if self._current is None:
            return
        turn, token = self._current
        self._current = None
        leave(token)
        if turn.exchange.held.is_recorded:
            turn.end()
            self._open.remove(turn)

    def _sending(self) -> _Turn:
        """The turn that the sending task works on."""
        held = held_in(current_context())
        return next((turn for turn in self._open if turn.exchange.held is held), self._whole)

    def _end(self, error: BaseException | None) -> None:
        turns = [*self._open, self._whole]
        self._open.clear()
        self._current = None
        for turn in turns:
            turn.end(None, error)


def _frame(message: Message) -> bytes:
    text = message.get("text")
    return text.encode("utf-8", "replace") if isinstance(text, str) else bytes(message.get("bytes") or b"")
