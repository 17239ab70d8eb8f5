"""Patches go on and come off to the letter, and what they cover looks as it did."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import wrapt

import autotrace
from autotrace import activation
from autotrace.host.patching import AppliedPatch, MissingTarget, resolve

from ..conftest import Collected

TARGETS = [
    "Client.complete",
    "Client.complete_async",
    "Client.later",
    "Client.words",
    "Client.words_async",
    "Client.stream",
    "Client.stream_async",
    "Client.measure",
    "Client.quick",
    "Client.search",
    "Client.retry",
    "Stream.close",
    "AsyncStream.close",
]


@pytest.fixture
def acme(clean: None, fakes_on_path: None) -> Any:
    """The framework, as it is without us."""
    import acme as framework

    return framework


@pytest.fixture
def on(acme: Any) -> Iterator[Callable[[], None]]:
    """Switches tracing of the framework on; its spans are kept nowhere."""
    from autotrace.recording.tracer import LeanTracerProvider

    class Nowhere:
        def started(self, span: object) -> None:
            """Nothing."""

        def ended(self, span: object) -> None:
            """Nothing."""

    provider = LeanTracerProvider(Nowhere())
    yield lambda: autotrace.autolog(tracer_provider=provider)
    autotrace.autolog("acme", disable=True)


def off() -> None:
    autotrace.autolog("acme", disable=True)


def contents(acme: Any) -> list[tuple[str, str, int]]:
    """Every name in the framework's modules and classes, in order, with the identity of what it stands for."""
    import acme.client

    holders = [acme, acme.client, acme.Client, acme.Loud, acme.Stream, acme.AsyncStream]
    skipped = ("__dict__", "__weakref__")
    return [(str(h), name, id(value)) for h in holders for name, value in vars(h).items() if name not in skipped]


def test_to_the_letter(acme: Any, on: Callable[[], None]) -> None:
    """Switched off, every class and module holds the very objects that it held, in their order (law L26)."""
    before = contents(acme)
    on()
    assert contents(acme) != before
    off()
    assert contents(acme) == before


def test_no_layers(acme: Any, on: Callable[[], None]) -> None:
    """A hundred times on and off, and on several times over, leave one layer, and then none (law L26)."""
    before = contents(acme)
    original = vars(acme.Client)["complete"]
    for _ in range(100):
        on()
        autotrace.autolog("acme", disable=False)
        on()
        assert vars(acme.Client)["complete"].__wrapped__ is original
        off()
    assert contents(acme) == before


class Base:
    def method(self, x: int) -> int:
        """Returns x."""
        return x


class Child(Base):
    pass


def passing(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


def test_inherited() -> None:
    """A patch of an inherited method leaves the base class alone, and no key behind."""
    before = dict(vars(Child))
    patch = AppliedPatch(__name__, "Child.method", passing)
    assert "method" in vars(Child)
    assert "method" in vars(Base)
    assert type(vars(Base)["method"]) is types.FunctionType
    assert Child().method(5) == 5
    patch.take_off()
    patch.take_off()
    assert dict(vars(Child)) == before
    patch.put_on()
    assert "method" in vars(Child)
    patch.take_off()
    assert list(vars(Child)) == list(before)


@pytest.mark.parametrize("target", ["Nothing", "Child.nothing", "Nothing.method", "method.nothing.at.all"])
def test_missing(target: str) -> None:
    """A target that is not there is named."""
    with pytest.raises(MissingTarget, match=target):
        resolve(__name__, target)


def test_cached_methods_emit_nothing(spans: Collected) -> None:
    """What took hold of a patched method before it was switched off is silent afterwards (law L27)."""
    import acme

    autotrace.autolog()
    client = acme.Client()
    held = [client.complete, acme.Client.complete, functools.partial(client.complete, "hi"), acme.complete]
    off()
    assert held[0]("hi").text == held[1](client, "hi").text == held[2]().text == held[3]("hi").text == "HI"
    assert spans.finished == []
    autotrace.autolog("acme", disable=False)
    held[0]("hi")
    assert len(spans.finished) == 1


def test_another_tool_on_top(spans: Collected) -> None:
    """Another tool's wrapper around ours stays where it is; ours beneath it goes silent, and comes back once (L29)."""
    import acme

    autotrace.autolog()
    original = vars(acme.Client)["complete"].__wrapped__
    ours = vars(acme.Client)["complete"]
    seen: list[str] = []

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append("theirs")
        return wrapped(*args, **kwargs)

    wrapt.wrap_function_wrapper("acme.client", "Client.complete", theirs)
    on_top = vars(acme.Client)["complete"]
    try:
        acme.Client().complete("hi")
        assert len(spans.finished) == 1
        (status,) = (status for status in activation.active().host.statuses() if status.name == "acme")
        assert status.warnings == [f"also wrapped by {__name__}"]
        for _ in range(3):
            off()
            assert vars(acme.Client)["complete"] is on_top
            acme.Client().complete("hi")
            assert len(spans.finished) == 1
            autotrace.autolog("acme", disable=False)
        assert vars(acme.Client)["complete"] is on_top
        assert on_top.__wrapped__ is ours
        acme.Client().complete("hi")
        assert len(spans.finished) == 2
        assert len(seen) == 5
    finally:
        acme.Client.complete = original
    activation.active().reset()
    assert vars(acme.Client)["complete"] is original


def test_another_tool_beneath(spans: Collected) -> None:
    """A wrapper that was there before ours is there afterwards."""
    import acme

    activation.active().reset()
    original = acme.Client.complete

    @functools.wraps(original)
    def theirs(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    acme.Client.complete = theirs
    try:
        autotrace.autolog(tracer_provider=spans.provider)
        acme.Client().complete("hi")
        off()
        assert vars(acme.Client)["complete"] is theirs
    finally:
        acme.Client.complete = original
    assert len(spans.finished) == 1


def looks(function: Any) -> dict[str, Any]:
    """What introspection says of a function."""
    return {
        "signature": inspect.signature(function),
        "coroutine": inspect.iscoroutinefunction(function),
        "generator": inspect.isgeneratorfunction(function),
        "async generator": inspect.isasyncgenfunction(function),
        "hints": typing.get_type_hints(function),
        "source": inspect.getsource(function),
        "callable": callable(function),
        "class": function.__class__,
        **{
            name: getattr(function, name)
            for name in (
                "__name__",
                "__qualname__",
                "__module__",
                "__doc__",
                "__annotations__",
                "__defaults__",
                "__code__",
            )
        },
    }


@pytest.mark.parametrize("target", TARGETS)
def test_introspection(acme: Any, on: Callable[[], None], target: str) -> None:
    """What can be asked of a function and of a bound method has the same answer as without us (law L24)."""
    kind, name = target.split(".")
    instance = object.__new__(getattr(acme, kind))

    def both() -> list[dict[str, Any]]:
        return [looks(getattr(getattr(acme, kind), name)), looks(getattr(instance, name))]

    before = both()
    on()
    assert both() == before


def test_members(acme: Any, on: Callable[[], None]) -> None:
    """`inspect.getmembers` and `inspect.isfunction`-like questions find what they found."""

    def found() -> list[tuple[str, bool, bool, bool]]:
        return [
            (name, inspect.isfunction(member), inspect.ismethod(member), inspect.isroutine(member))
            for name, member in inspect.getmembers(acme.Client)
        ]

    before = found()
    on()
    assert found() == before


def test_pickle_and_copy(acme: Any, on: Callable[[], None]) -> None:
    """Patched functions and methods are copied and pickled as ever, and what was pickled may be loaded without us."""
    client = acme.Client()
    client.label = ["a"]
    on()
    client.held = client.complete  # a cycle, as SDKs make them
    for value in (acme.complete, acme.Client.complete, acme.Client.measure):
        assert copy.copy(value) == copy.deepcopy(value) == value
        assert pickle.loads(pickle.dumps(value)) == value
        assert b"autotrace" not in pickle.dumps(value)
    assert pickle.loads(pickle.dumps(client.complete))("hi").text == "HI"
    assert pickle.loads(pickle.dumps(acme.Loud.quick))("hi").text == "Loud hi"
    assert copy.copy(client.complete)("hi").text == "HI"
    deep = copy.deepcopy(client)
    assert deep.label == ["a"]
    assert deep.label is not client.label
    assert deep.held.__self__ is deep
    assert pickle.loads(pickle.dumps(client)).held("hi").text == "HI"
    assert b"autotrace" not in pickle.dumps([client, acme.Loud.quick])


def test_subclass_that_calls_its_base(spans: Collected) -> None:
    """A user's subclass that overrides a patched method and calls its base is traced once, and off again not at all."""
    import acme

    class Mine(acme.Client):  # type: ignore[misc,name-defined]
        def search(self, prompt: str) -> Any:  # type: ignore[override]
            return super().search(prompt + "!")

    autotrace.autolog()
    assert Mine().search("hi") == ["hi!"]
    assert spans.one().attributes["input.value"] == "hi!"


def test_a_class_of_two_names(spans: Collected) -> None:
    """A class that two modules hold is patched once (law L28)."""
    import acme
    import acme.client

    from autotrace import Instrumentation, Patch
    from autotrace.config import Config
    from autotrace.host.tracing import TracedFramework

    activation.active().reset()
    patches = tuple(
        Patch(module, "Client.search", operation="retrieval", request=lambda call: {})
        for module in ("acme", "acme.client")
    )
    traced = TracedFramework(Instrumentation("twice", patches=patches), "1", [])
    traced.switch_on(Config(), spans.provider)
    try:
        assert acme.Client().search("hi") == ["hi"]
    finally:
        traced.switch_off()
    assert len(spans.finished) == 1
    assert not isinstance(vars(acme.client.Client)["search"], wrapt.FunctionWrapper)


def test_a_wrapper_made_by_hand_from_the_class(spans: Collected) -> None:
    """A plain function that another tool puts around the method of the class does not hide ours (L28, L29)."""
    import acme.client

    held = acme.client.Client.search

    @functools.wraps(held)
    def search(*args: Any, **kwargs: Any) -> Any:
        return held(*args, **kwargs)

    ours = vars(acme.client.Client)["search"]
    acme.client.Client.search = search
    try:
        autotrace.autolog("acme", disable=True)
        autotrace.autolog("acme", disable=False)
        assert vars(acme.client.Client)["search"] is search
        acme.client.Client().search("hi")
        assert spans.one().name == "retrieval"
    finally:
        acme.client.Client.search = ours


def test_looking_for_other_names_executes_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported lazily stays so when a function of its package is looked for (law L31)."""
    import importlib.util
    import sys

    from autotrace.host.patching import aliases

    (tmp_path / "lazy.py").write_text("raise RuntimeError('executed')")
    package = types.ModuleType("handed")
    spec = importlib.util.spec_from_file_location("handed.lazy", tmp_path / "lazy.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "handed", package)
    monkeypatch.setitem(sys.modules, "handed.lazy", module)
    package.ask = package.again = lambda: None  # type: ignore[attr-defined]
    assert aliases(package, "ask", package.ask) == [("handed", "again")]
