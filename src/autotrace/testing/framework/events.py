"""Callbacks: a pipeline that tells those who listen of its own steps, and asks the client on its way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .client import Client, Reply


class Bus:
    """Tells the listeners when a step begins and ends. A step is known by its id."""

    def __init__(self, listeners: Sequence[Callable[[str, int], None]] = ()) -> None:
        self._listeners = listeners
        self._steps = 0

    def begin(self) -> int:
        """The id of the next step."""
        self._steps += 1
        return self._steps

    def started(self, step: int, name: str, parent: int | None, given: str) -> None:
        """A step has begun."""
        self._tell("started", step)

    def ended(self, step: int, result: Any) -> None:
        """A step has ended."""
        self._tell("ended", step)

    def failed(self, step: int, error: BaseException) -> None:
        """A step has failed."""
        self._tell("failed", step)

    def _tell(self, what: str, step: int) -> None:
        for listener in self._listeners:
            listener(what, step)


class Pipeline:
    """Looks something up, then asks the client."""

    def __init__(self, bus: Bus | None = None, client: Client | None = None) -> None:
        self.bus = bus if bus is not None else Bus()
        self.client = client if client is not None else Client()

    def run(self, question: str) -> Reply:
        """Answers, step by step."""
        answer: Reply = self._step("pipeline", None, question, lambda own: self._steps(own, question))
        return answer

    def look_up(self, text: str) -> str:
        """The second step's work.

        Raises:
            LookupError: There is nothing to look for.
        """
        if not text:
            raise LookupError("nothing to look for")
        return f"{text}?"

    def _steps(self, own: int, question: str) -> Reply:
        found = self._step("look_up", own, question, lambda _: self.look_up(question))
        return self.client.complete(found)

    def _step(self, name: str, parent: int | None, given: str, work: Callable[[int], Any]) -> Any:
        step = self.bus.begin()
        self.bus.started(step, name, parent, given)
        try:
            result = work(step)
        except BaseException as error:
            self.bus.failed(step, error)
            raise
        self.bus.ended(step, result)
        return result
