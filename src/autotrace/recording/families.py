"""A framework's stream: the runs that begin inside it, what has come out of it, and what becomes of both if it is left.

An asynchronous stream that is left cancels its work some time: its runs end at once. A plain one ends its own work
while it is closed, waits for what runs in other threads, and may even begin something new: there only the run of the
stream itself, and what ends well just because the stream is closed, is `closed`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context

from .contributions import Contribution
from .guard import guard
from .messages import ResponseValues
from .recorder import Operation, next_number

if TYPE_CHECKING:
    from .runs import Runs

#: In OpenTelemetry's context: the stream that all runs of it end with.
FAMILY = "autotrace.family"

#: The stream whose steps are being taken, where nothing is to be made current: the context is the program's own there.
_surrounding: ContextVar[Family | None] = ContextVar("autotrace.surrounding", default=None)
#: While a stream is closed: operations with lower numbers were open before.
_closing: ContextVar[int | None] = ContextVar("autotrace.closing", default=None)

#: How much of a stream is kept, should it be left, in characters; and for how many each piece counts besides.
_ROOM, _PIECE = 100_000, 10

Digest = Callable[[Any], Any]
Partial = Callable[[Sequence[Any]], ResponseValues | None]


class Waiting:
    """A boundary that waits for the run that begins inside it.

    Attributes:
        runs: Whose runs it waits for.
        values: What it knows of that run.
        operation: That run's, once it has begun.
        context: Where the rest of the boundary belongs, once the run has begun.
    """

    __slots__ = ("context", "operation", "runs", "values")

    def __init__(self, runs: Runs, values: Mapping[str, Any] | None) -> None:
        self.runs = runs
        self.values = values
        self.operation: Operation | Contribution | None = None
        self.context: Context | None = None


class Family:
    """The runs that began inside one stream.

    Args:
        digest: From a piece of the stream to what `partial` needs of it, None for nothing: pieces are not kept alive.
        partial: From those to what the run of the stream itself is told, should the stream be left.

    Attributes:
        stream: A weak reference to an asynchronous stream; its callback ends the family.
        waiting: Where the run of the stream itself is found.
        is_active: The stream has neither ended nor been left.
        is_resting: No step of it is being taken.
    """

    __slots__ = (
        *("__weakref__", "_around", "_digest", "_inner", "_is_over", "_operations", "_partial", "_pieces", "_room"),
        *("is_active", "is_resting", "stream", "waiting"),
    )

    def __init__(self, digest: Digest | None = None, partial: Partial | None = None) -> None:
        # By number: other threads add to them while they are gone through.
        self._operations: weakref.WeakValueDictionary[int, Operation] = weakref.WeakValueDictionary()
        self._inner: weakref.WeakValueDictionary[int, Family] = weakref.WeakValueDictionary()
        self._around: Family | None = None
        self._digest = digest
        self._partial = partial
        self._pieces: list[Any] = []
        self._room = _ROOM
        self._is_over = False
        self.is_active = True
        self.is_resting = False
        self.stream: weakref.ref[Any] | None = None
        self.waiting: Waiting | None = None

    def enter(self, around: object) -> None:
        """Says which family the stream itself lies in, if any."""
        if isinstance(around, Family):
            self._around = around
            around._inner[id(self)] = self

    def piece(self, piece: object) -> None:
        """Something has come out of the stream."""
        if self._digest is None or self._room <= 0:
            return
        try:
            kept = self._digest(piece)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            self._digest = None
            guard.report("a piece of a stream", error)
            return
        if kept is not None:
            self._pieces.append(kept)
            text = kept[0] if isinstance(kept, tuple) and kept else kept
            self._room -= _PIECE + (len(text) if isinstance(text, str) else 0)

    def add(self, operation: Operation) -> None:
        """Takes in a run. One that begins although the stream was left (its task is not cancelled yet) ends at once."""
        if self._is_over:
            operation.abandon("closed")
            return
        self._operations[operation.number] = operation
        if self._around is not None:
            self._around.add(operation)

    def release(self) -> None:
        """The stream is over: what still runs (a task that a step began) goes on without it."""
        self.is_active = False
        self.stream = self.waiting = None
        self._pieces = []

    def end(self, _: object = None) -> None:
        """The asynchronous stream was left: ends what is open, the innermost first."""
        self._is_over = True
        self._tell_all()
        found = [reference() for reference in self._operations.valuerefs()]
        open_ones = [operation for operation in found if operation is not None]
        for operation in sorted(open_ones, key=lambda operation: operation.number, reverse=True):
            operation.abandon("closed")
        self.release()

    def closing(self) -> Token[int | None]:
        """The plain stream is about to be closed. Give the result to `closed`."""
        self.tell()
        return _closing.set(next_number())

    def closed(self, token: Token[int | None]) -> None:
        """It has been closed, or refuses to be."""
        _closing.reset(token)
        self._leave()

    def _leave(self) -> None:
        """Ends the run of the stream, and those of streams inside that rest: nobody will go on with them."""
        for reference in self._inner.valuerefs():
            family = reference()
            if family is not None and family.is_active and family.is_resting:
                family.tell()
                family._leave()
        operation = self.waiting.operation if self.waiting is not None else None
        if operation is not None and operation.is_open:
            operation.abandon("closed")

    def tell(self) -> None:
        """Tells the run of the stream what had come of it."""
        operation = self.waiting.operation if self.waiting is not None else None
        if self._partial is None or not self._pieces or operation is None or not operation.is_open:
            return
        try:
            values = self._partial(self._pieces)
            if values is not None:
                operation.set(values)
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report("a stream that was left", error)

    def _tell_all(self) -> None:
        for reference in self._inner.valuerefs():
            family = reference()
            if family is not None:
                family._tell_all()
        self.tell()


def surrounding() -> Family | None:
    """The stream whose step is being taken here."""
    family = _surrounding.get()
    return family if family is not None and family.is_active else None


def surround(family: Family) -> Token[Family | None]:
    """A step of the stream is about to be taken. Give the result to `unsurround`."""
    return _surrounding.set(family)


def unsurround(token: Token[Family | None]) -> None:
    """It has been taken."""
    try:
        _surrounding.reset(token)
    except ValueError:  # a generator that the garbage collector closes elsewhere
        pass


def is_closing(operation: Operation) -> bool:
    """Whether an operation that ends here does so because its stream is being closed."""
    before = _closing.get()
    return before is not None and operation.number < before
