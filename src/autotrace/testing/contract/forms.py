"""What an author says of a framework: how a call is made in each form. And how the laws make one."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest

from autotrace import Usage
from autotrace.activation import active

from ..recorded import RecordedSpan, Spans, isolated
from .snapshots import Held, restore

T = TypeVar("T")

WHOLE = ("call", "acall")
STREAMED = ("stream", "astream")
ALL = WHOLE + STREAMED

every_form = pytest.mark.parametrize("form", ALL)
whole_forms = pytest.mark.parametrize("form", WHOLE)
streamed_forms = pytest.mark.parametrize("form", STREAMED)


class Forms:
    """How a framework is called. `call` is needed; each of the others brings the laws about its form."""

    plugin: ClassVar[str]
    framework: ClassVar[str]
    usage: ClassVar[Usage | None] = None
    stream_usage: ClassVar[Usage | None] = None
    answer: ClassVar[str | None] = None
    prompt: ClassVar[str] = "where does the grey heron nest"
    operation: ClassVar[str] = "chat"
    spans_per_call: ClassVar[int] = 1
    told: ClassVar[bool] = True
    closes_late: ClassVar[bool] = False
    _before: ClassVar[Held]

    @pytest.fixture
    def spans(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
        """The fixture of that name; a project may have another one."""
        with isolated(tmp_path, monkeypatch) as found:
            self.configure()
            yield found

    def configure(self) -> None:
        """Chooses settings of the plugin's own, by `autotrace.autolog(name, ...)`, before each law is tried."""

    def call(self, prompt: str) -> Any:
        """Asks `prompt` and returns the reply."""
        self._lacks("call")

    async def acall(self, prompt: str) -> Any:
        """The same, to be awaited."""
        self._lacks("acall")

    def stream(self, prompt: str) -> Iterable[Any]:
        """Asks `prompt` and returns the stream that the framework returns, unread; it has three pieces or more."""
        self._lacks("stream")

    async def astream(self, prompt: str) -> AsyncIterator[Any]:
        """The same, to be iterated by `async for`."""
        self._lacks("astream")

    def fail(self, prompt: str) -> Any:
        """Asks in such a way that the framework raises."""
        self._lacks("fail")

    async def afail(self, prompt: str) -> Any:
        """The same, to be awaited."""
        self._lacks("afail")

    def broken_stream(self, prompt: str) -> Iterable[Any]:
        """Returns a stream that gives a piece or more and then raises."""
        self._lacks("broken_stream")

    async def broken_astream(self, prompt: str) -> AsyncIterator[Any]:
        """The same, to be iterated by `async for`."""
        self._lacks("broken_astream")

    def call_with_iterator(self, prompt: str) -> Any:
        """Asks with messages that come from a generator, where the framework takes one."""
        self._lacks("call_with_iterator")

    async def aclose(self) -> None:
        """Closes what `acall` and `astream` have opened, clients above all, in the event loop that it belongs to."""

    def messages(self, prompt: str) -> list[Any]:
        """`prompt` as a list of the framework's own messages, for `call_with_messages`."""
        self._lacks("messages")

    def call_with_messages(self, messages: list[Any]) -> Any:
        """Asks with such a list, and returns the reply."""
        self._lacks("call_with_messages")

    def objects(self) -> Iterable[Any]:
        """Objects of the framework that a program may copy or pickle: a client, a reply."""
        self._lacks("objects")

    def value(self, result: Any) -> Any:
        """What of a reply, or of a piece of a stream, must be the same with and without tracing."""
        dump = getattr(result, "model_dump", None)
        if callable(dump):
            return dump()
        if dataclasses.is_dataclass(result) and not isinstance(result, type):
            return dataclasses.asdict(result)
        is_plain = "__eq__" not in {name for kind in type(result).__mro__[:-1] for name in vars(kind)}
        is_plain = is_plain and hasattr(result, "__dict__")
        return vars(result) if is_plain else result

    def _lacks(self, method: str) -> NoReturn:
        pytest.skip(f"{type(self).__name__} does not define {method}(), so this law cannot be tried in that form")

    def _needs(self, *methods: str) -> None:
        """Skips a law whose form the framework does not have."""
        for method in methods:
            if getattr(type(self), method) is getattr(Forms, method):
                self._lacks(method)

    def _untraced(self, spans: Spans) -> None:
        """Switches tracing off for good: the framework is as it was before the plugin woke."""
        spans.off()
        restore(self._before)

    def _complete(self, form: str) -> list[Any]:
        """Makes one call to its end: the reply, or the pieces of its stream."""
        self._needs(form)
        if form == "call":
            return [self.call(self.prompt)]
        if form == "stream":
            return list(self.stream(self.prompt))
        return self._in_loop(lambda: self._complete_async(form))

    async def _complete_async(self, form: str) -> list[Any]:
        if form == "acall":
            return [await self.acall(self.prompt)]
        return [piece async for piece in await self.astream(self.prompt)]

    def _failure(self, form: str) -> BaseException:
        """What `fail` or `afail` raises."""
        method = {"call": "fail", "acall": "afail"}[form]
        self._needs(method)
        try:
            if form == "call":
                self.fail(self.prompt)
            else:
                self._in_loop(lambda: self.afail(self.prompt))
        except Exception as error:  # noqa: BLE001 (the framework's own)
            return error
        raise AssertionError(f"{method}() raised nothing: the framework's error was lost")

    def _in_loop(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs a coroutine in a loop of its own, after which what was current before is current again."""
        from opentelemetry.context import get_current

        async def whole() -> T:
            before = get_current()
            try:
                return await work()
            finally:
                after = get_current()
                await self.aclose()
                assert after is before, "the call left something current that was not current before it"

        return asyncio.run(whole())

    def _calls(self, spans: Spans, count: int = 1) -> list[RecordedSpan]:
        """The spans of `count` calls.

        Raises:
            AssertionError: There are more, or fewer.
        """
        expected = count * self.spans_per_call
        found = spans.all()
        names = [span.name for span in found]
        hint = f": {self._hint()}" if not found else ""
        if len(found) > expected:
            hint = ": two patches meet in one call, or a model call is made of another (Instrumentation.is_layered)"
        assert len(found) == expected, f"{count} call(s) should leave {expected} span(s), there are {names}{hint}"
        return found

    def _hint(self) -> str:
        """Why there may be no span."""
        plugins = [plugin for plugin in active().host.discover() if plugin.entry.value == self.plugin]
        if not plugins:
            return f"no plugin {self.plugin} is installed, nor named in the setting `plugins`"
        plugin = plugins[0]
        missing = [problem for traced in plugin.frameworks for problem in traced.missing]
        if plugin.state != "active" or missing:
            return f"{self.plugin} is {plugin.state} {plugin.reason} {'; '.join(missing)}".rstrip()
        return "the function that was called is none that the plugin patches, or `request` returned None"

    def _call(self, spans: Spans) -> RecordedSpan:
        """The model call among the spans of one call."""
        found = [span for span in self._calls(spans) if span["operation.name"] == self.operation]
        assert found, f"no span of the call has the operation {self.operation!r}"
        return found[-1]


async def turns(most: int = 100) -> None:
    """Lets an event loop go round until it is idle: streams within streams are closed one after the other."""
    idle = 0
    for _ in range(most):
        if idle < 2:
            gc.collect()
        await asyncio.sleep(0)
        idle = idle + 1 if len(asyncio.all_tasks()) == 1 else 0
        if idle == 5:
            return
