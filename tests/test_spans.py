"""The manual API: spans of one's own around code of every kind, which stays what it is."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import pickle
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, get_current_span

import autotrace
from autotrace import activation
from autotrace.recording.guard import guard

from .conftest import Collected, Interpreter, LightCollected


@autotrace.trace
def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


@autotrace.trace(name="multiply", operation="execute_tool")
async def times(a: int, *more: int, factor: int = 1) -> int:
    """Multiplies."""
    await asyncio.sleep(0)
    for number in more:
        a *= number
    return a * factor


@autotrace.trace
def count(to: int) -> Generator[int, str | None, str]:
    """Counts."""
    for number in range(to):
        while (yield number) is not None:
            pass
    return "done"


@autotrace.trace
async def count_async(to: int) -> AsyncIterator[int]:
    """Counts, awaited."""
    for number in range(to):
        await asyncio.sleep(0)
        yield number


class Agent:
    """Has methods of every kind."""

    @autotrace.trace
    def method(self, x: int) -> Any:
        return self, x

    @autotrace.trace
    async def coroutine(self, x: int) -> Any:
        return self, x

    @autotrace.trace
    @classmethod
    def outer_class(cls, x: int) -> Any:
        return cls, x

    @classmethod
    @autotrace.trace
    def inner_class(cls, x: int) -> Any:
        return cls, x

    @autotrace.trace
    @staticmethod
    def outer_static(x: int) -> Any:
        return x

    @staticmethod
    @autotrace.trace
    def inner_static(x: int) -> Any:
        return x

    @property
    @autotrace.trace
    def value(self) -> int:
        return 7


def said(span: Any) -> tuple[Any, Any]:
    """Input and output, as values."""
    given, result = "input.value", "output.value"
    if span.attributes.get("gen_ai.operation.name") == "execute_tool":
        given, result = "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"
    return json.loads(span.attributes[given]), span.attributes.get(result)


def test_function(spans: Collected) -> None:
    """A call of a function is a span with its arguments by name and its result."""
    assert add(1, b=5) == 6
    assert add(1) == 3
    assert [said(span) for span in spans.finished] == [({"a": 1, "b": 5}, "6"), ({"a": 1}, "3")]
    assert spans.finished[0].name == "add"
    assert spans.finished[0].status.status_code is StatusCode.OK
    assert dict(spans.finished[0].attributes)["openinference.span.kind"] == "CHAIN"


def test_coroutine(spans: Collected) -> None:
    """A coroutine function stays one; name and operation are those that were given; spare arguments have a name."""
    assert inspect.iscoroutinefunction(times)
    assert asyncio.run(times(2, 3, 4, factor=2)) == 48
    assert spans.one().name == "execute_tool multiply"
    assert spans.one().attributes["gen_ai.operation.name"] == "execute_tool"
    assert said(spans.one()) == ({"a": 2, "more": [3, 4], "factor": 2}, "48")


def test_generator(spans: Collected) -> None:
    """A generator function stays one; its span ends with it and holds what it yielded; send and return work."""
    assert inspect.isgeneratorfunction(count)
    generator = count(2)
    assert spans.finished == []
    assert [next(generator), generator.send("again"), next(generator)] == [0, 0, 1]
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"
    assert said(spans.one()) == ({"to": 2}, "[0,0,1]")


def test_async_generator(spans: Collected) -> None:
    """An asynchronous generator function stays one; its span ends with it and holds what it yielded."""
    assert inspect.isasyncgenfunction(count_async)

    async def main() -> list[int]:
        return [number async for number in count_async(3)]

    assert asyncio.run(main()) == [0, 1, 2]
    assert said(spans.one()) == ({"to": 3}, "[0,1,2]")


@pytest.mark.parametrize("name", ["method", "outer_class", "inner_class", "outer_static", "inner_static"])
def test_methods(spans: Collected, name: str) -> None:
    """Methods, class methods and static methods get what they got; the instance is no argument of the span."""
    agent = Agent()
    result = getattr(agent, name)(5)
    assert result == {"method": (agent, 5), "class": (Agent, 5), "static": 5}[name.rpartition("_")[2]]
    assert said(spans.one())[0] == {"x": 5}
    assert spans.one().name == f"Agent.{name}"
    if name != "method":
        assert getattr(Agent, name)(5) == result


def test_other_methods(spans: Collected) -> None:
    """A coroutine method and a property are traced as well."""
    agent = Agent()
    assert asyncio.run(agent.coroutine(x=5)) == (agent, 5)
    assert agent.value == 7
    assert [span.name for span in spans.finished] == ["Agent.coroutine", "Agent.value"]


@pytest.mark.parametrize("function", [add, times, count, count_async, Agent.method])
def test_looks(function: Callable[..., Any]) -> None:
    """Name, signature and documentation are the function's own; it is pickled by name, and found again."""
    inner = inspect.unwrap(function)
    assert inner is not function
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(function, name) == getattr(inner, name)
    assert inspect.signature(function) == inspect.signature(inner)
    assert pickle.loads(pickle.dumps(function)) is function


def test_other_callables(spans: Collected) -> None:
    """Partials, built-in functions and objects that can be called are traced under a name that tells them."""
    assert autotrace.trace(functools.partial(divmod, 7))(2) == (3, 1)
    assert autotrace.trace(len)([1, 2]) == 2
    assert autotrace.trace(dict.get)({"a": 1}, "a") == 1

    class Callable_:
        def __call__(self, x: int) -> int:
            return x

    assert autotrace.trace(Callable_())(5) == 5
    assert [span.name for span in spans.finished] == ["partial", "len", "dict.get", "Callable_"]


def test_a_class_is_refused() -> None:
    """A decorated class would no longer be one: it is refused where it is decorated."""
    with pytest.raises(TypeError, match="not the class Agent"):
        autotrace.trace(Agent)


def boom() -> None:
    raise KeyError("lost")


@autotrace.trace
def failing(kind: type[BaseException]) -> None:
    """Fails."""
    raise kind("why")


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_errors(spans: Collected, kind: type[BaseException]) -> None:
    """An error passes through, from a decorated function and from a block; the span tells of it."""
    with pytest.raises(kind):
        failing(kind)
    error = kind("why")
    with pytest.raises(kind) as caught, autotrace.span("block"):
        raise error
    assert caught.value is error
    for span in spans.finished:
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == kind.__name__


def outcome(span: Any) -> Any:
    """How it ended, where it was neither well nor badly."""
    assert span.status.status_code is StatusCode.UNSET
    return span.attributes["autotrace.outcome"]


def test_break_in_a_generator(spans: Collected) -> None:
    """A `break` ends the span of a traced generator, not as OK."""
    for number in count(10):
        if number == 2:
            break
    gc.collect()
    assert outcome(spans.one()) == "closed"
    assert spans.one().attributes["output.value"] == "[0,1,2]"


def test_break_in_an_async_generator(spans: Collected) -> None:
    """A `break` ends the span of a traced asynchronous generator, not as OK."""

    async def main() -> None:
        async for _ in count_async(10):
            break
        for _ in range(5):  # asyncio closes it in a task of its own
            await asyncio.sleep(0)
        assert outcome(spans.one()) == "closed"

    asyncio.run(main())


def test_cancelled(spans: Collected) -> None:
    """A cancelled coroutine and a cancelled block end their spans, not as OK; the cancellation goes on."""
    waiting = asyncio.Event()

    @autotrace.trace
    async def wait() -> None:
        async with asyncio.timeout(60) if hasattr(asyncio, "timeout") else _nothing():
            with autotrace.span("block"):
                waiting.set()
                await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(wait())
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [outcome(span) for span in spans.finished] == ["cancelled", "cancelled"]


class _nothing:
    async def __aenter__(self) -> None:
        """Nothing."""

    async def __aexit__(self, *_: object) -> None:
        """Nothing."""


def test_never_awaited(spans: Collected) -> None:
    """A decorated coroutine that is never awaited keeps Python's warning, and leaves no span."""
    with pytest.warns(RuntimeWarning, match="coroutine 'times' was never awaited"):
        times(1)
    assert spans.finished == []


def test_long_generators(spans: Collected) -> None:
    """Of a generator that yields much the first hundred pieces are kept."""
    assert len(list(count(1000))) == 1000
    assert json.loads(spans.one().attributes["output.value"]) == list(range(100))


def test_nesting(spans: Collected) -> None:
    """Blocks and functions nest; inside a block its span is the current one, and gives the trace its id."""
    assert autotrace.current_trace_id() is None
    with autotrace.span("outer", operation="invoke_agent"):
        trace_id = autotrace.current_trace_id()
        add(1)
        assert autotrace.current_trace_id() == trace_id
    assert autotrace.current_trace_id() is None
    assert not get_current_span().is_recording()
    inner, outer = spans.finished
    assert outer.name == "invoke_agent outer"
    assert outer.attributes["openinference.span.kind"] == "AGENT"
    assert inner.parent.span_id == outer.get_span_context().span_id
    assert f"{outer.get_span_context().trace_id:032x}" == trace_id


def test_what_a_block_is_told(spans: Collected) -> None:
    """Input, output and attributes of any shape; what is set later adds to what was set before."""
    with autotrace.span("block", input={"q": object()}, attributes={"a": 1, "b": [1, "x"]}) as span:
        span.set(attributes={"c": 3})
        span.set(output="first")
        span.set(output="second", attributes={"d": None, "a": 2})
    found = spans.one().attributes
    assert found["input.value"] == '{"q":"<object>"}'
    assert (found["output.value"], found["output.mime_type"]) == ("second", "text/plain")
    assert (found["a"], found["b"], found["c"]) == (2, '[1,"x"]', 3)
    assert "d" not in found


def test_no_output_and_none(spans: Collected) -> None:
    """What was not said is not on the span; None that was said is."""
    with autotrace.span("silent"):
        pass
    with autotrace.span("none", input=None) as span:
        span.set(output=None)
    silent, none = spans.finished
    assert not {"input.value", "output.value"} & set(silent.attributes)
    assert (none.attributes["input.value"], none.attributes["output.value"]) == ("null", "null")


@pytest.mark.parametrize(
    "misuse",
    [
        {"name": 5},
        {"name": None, "input": float("nan")},
        {"name": "x", "operation": None},
        {"name": "x", "attributes": {1: 2}},
        {"name": "x", "attributes": 5},
        {"name": "\ud800", "attributes": {"\ud800": "\ud800"}},
    ],
)
def test_misuse(spans: Collected, misuse: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of any shape raise nothing: the block runs."""
    from autotrace.recording.guard import guard

    ran = False
    with autotrace.span(**misuse) as span:
        span.set(attributes=7)  # type: ignore[arg-type]
        ran = True
    assert ran
    guard.reset()


def test_a_decorator_of_ours_never_fails(spans: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """When tracing itself cannot be set up, the function runs all the same."""
    from autotrace.recording.guard import guard

    def fail() -> None:
        raise OSError("no")

    monkeypatch.setattr(activation.active(), "recorder", fail)
    assert add(1) == 3
    assert list(count(2)) == [0, 1]
    assert asyncio.run(times(2)) == 2
    with autotrace.span("block") as span:
        span.set(output=1)
    assert len(guard.failures) >= 1
    guard.reset()


def test_without_activation(python: Interpreter) -> None:
    """The manual API needs no `import autotrace.auto`; spans are delivered by `flush`."""
    found = python.json("""
        import json, autotrace, sqlite3, os
        with autotrace.span("mine"):
            trace_id = autotrace.current_trace_id()
        print(json.dumps([autotrace.flush(), trace_id]))
        connection = sqlite3.connect(os.environ["AUTOTRACE_HOME"] + "/traces.db")
        print(json.dumps(connection.execute("SELECT name FROM spans").fetchall()))
        connection.close()
    """)
    assert found == [["mine"]]


def test_flush_with_nothing_recorded(clean: None) -> None:
    """Where nothing was recorded there is nothing to deliver."""
    assert autotrace.flush() is True


def iterator_of(values: list[int]) -> Iterator[int]:
    """An iterator that must not be consumed."""
    return iter(values)


def test_arguments_are_not_consumed(spans: Collected) -> None:
    """Iterators that are passed to a traced function are the function's alone."""

    @autotrace.trace
    def total(numbers: Iterator[int]) -> int:
        return sum(numbers)

    assert total(iterator_of([1, 2, 3])) == 6
    assert said(spans.one())[0] == {"numbers": "<list_iterator>"}


def test_recursion_and_wrapped_twice(spans: Collected) -> None:
    """A recursive function gives a span a call, each inside the one before."""

    @autotrace.trace
    def down(number: int) -> int:
        return number if number == 0 else down(number - 1)

    assert down(3) == 0
    assert len(spans.finished) == 4
    for child, parent in zip(spans.finished, spans.finished[1:], strict=False):
        assert child.parent.span_id == parent.get_span_context().span_id


def test_toggled_while_running(spans: Collected) -> None:
    """A decorated function follows the toggles at once."""
    add(1)
    autotrace.autolog("autotrace", disable=True)
    add(2)
    autotrace.autolog("autotrace", disable=False)
    add(3)
    assert [said(span)[1] for span in spans.finished] == ["3", "5"]


def test_pickled_by_value(spans: Collected) -> None:
    """A function that a pickler takes by value (as joblib, dask and ray do) can be sent off after a call too."""
    cloudpickle = pytest.importorskip("cloudpickle")

    @autotrace.trace(name="there", operation="execute_tool")
    def twice(number: int) -> int:
        return 2 * number

    assert twice(1) == 2
    again = cloudpickle.loads(cloudpickle.dumps(twice))
    assert again(2) == 4
    first, second = spans.finished
    assert first.attributes["gen_ai.operation.name"] == second.attributes["gen_ai.operation.name"] == "execute_tool"
    assert first.name == second.name


def test_partial_of_a_coroutine_function(spans: Collected) -> None:
    """A functools.partial of a coroutine function has no name, and is traced all the same."""

    async def minus(a: int, b: int) -> int:
        return a - b

    assert asyncio.run(autotrace.trace(functools.partial(minus, 5), name="from five")(3)) == 2
    assert said(spans.one())[1] == "2"


def test_tags_of_any_shape(clean: None, caplog: pytest.LogCaptureFixture) -> None:
    """Tags that are no mapping are left out and reported; the rest of what is said counts, and the program goes on."""
    collected = LightCollected()
    autotrace.autolog(tracer_provider=collected.provider)  # type: ignore[arg-type]
    with autotrace.context(session="chat-1", tags=["a"]), autotrace.span("work"):  # type: ignore[arg-type]
        autotrace.update_trace(user="alice", tags=5)  # type: ignore[arg-type]
    attributes = collected.one().attributes
    assert (attributes["session.id"], attributes["user.id"]) == ("chat-1", "alice")
    assert set(guard.failures) == {"autotrace.context: tags", "autotrace.update_trace: tags"}


def test_nothing_to_update(clean: None) -> None:
    """`update_trace` outside of any trace does nothing, whatever it is given."""
    autotrace.update_trace(session="chat-1", tags=[1])  # type: ignore[arg-type]
    assert guard.failures == {}


def test_a_provider_of_no_use(clean: None) -> None:
    """What cannot make a tracer is refused as a provider; traced functions run as before."""
    with pytest.raises(autotrace.ConfigError, match="get_tracer"):
        autotrace.autolog(tracer_provider=object())  # type: ignore[arg-type]
    assert add(1) == 3


def test_a_provider_that_fails(clean: None) -> None:
    """When the app's provider gives no tracer, functions and blocks run untraced."""

    class Broken:
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("not today")

    autotrace.autolog(tracer_provider=Broken())  # type: ignore[arg-type]
    with autotrace.span("work"):
        assert add(1) == 3
    assert list(count(1)) == list(count.__wrapped__(1))  # type: ignore[attr-defined]
    assert asyncio.run(times(2, 3)) == 6
    assert {"autotrace.span", "autotrace.trace"} <= set(guard.failures)  # and plugins, where a framework is imported
