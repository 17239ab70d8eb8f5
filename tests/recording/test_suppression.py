"""Every way to switch tracing off works at once, everywhere in the stretch of code, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from opentelemetry.context import attach, detach, set_value
from opentelemetry.instrumentation.utils import suppress_instrumentation

import autotrace
from autotrace.recording.guard import Guard, guard

from ..conftest import Collected, SdkCollected


@contextmanager
def by_key(name: str) -> Iterator[None]:
    """Another tool's mark in the context."""
    token = attach(set_value(name, True))
    try:
        yield
    finally:
        detach(token)


@pytest.mark.parametrize(
    "suppressed",
    [
        lambda: autotrace.suppress("acme"),
        lambda: autotrace.suppress(),
        lambda: autotrace.suppress("other", "acme"),
        suppress_instrumentation,
        lambda: by_key("suppress_instrumentation"),
    ],
)
def test_suppressed(acme: Any, spans: Collected, suppressed: Any) -> None:
    """Inside no call of any shape leaves a span; afterwards they do again (laws L34, L35)."""
    client = acme.Client()
    manager: AbstractContextManager[None] = suppressed()
    with manager:
        assert client.complete("hi").text == "HI"
        assert list(client.words("a b")) == ["a", "b"]
        assert list(client.stream("a b")) == ["a", "b"]
        assert asyncio.run(client.complete_async("hi")).text == "HI"
        client.retry(1)
        thread = threading.Thread(target=client.complete, args=("hi",))
        thread.start()
        thread.join()
    assert spans.finished == []
    client.complete("hi")
    assert spans.one()


def test_another_tools_model_call(acme: Any, spans: Collected) -> None:
    """A call that another tool has a span for is left out where our spans lie beside its, nowhere else (law L18)."""
    with by_key("suppress_language_model_instrumentation"):
        acme.Client().complete("hi")
    is_beside = isinstance(spans, SdkCollected)
    assert len(spans.finished) == (0 if is_beside else 1)


def test_one_framework_only(acme: Any, spans: Collected) -> None:
    """What is suppressed for one framework is not for another, nor for the program's own spans; nested ones add up."""
    with autotrace.suppress("other"):
        acme.complete("one")
        with autotrace.suppress("acme"):
            acme.complete("two")
            with autotrace.suppress("third"), autotrace.span("mine"):
                acme.complete("three")
        with autotrace.suppress("autotrace"), autotrace.span("not mine"):
            pass
    assert [span.name for span in spans.finished] == ["chat acme-1", "mine"]


def test_after_an_error(acme: Any, spans: Collected) -> None:
    """The suppression ends with its block, also when that fails."""
    with pytest.raises(OSError, match="x"), autotrace.suppress():
        raise OSError("x")
    acme.complete("hi")
    assert spans.one()


def test_toggles(acme: Any, spans: Collected) -> None:
    """`autolog(name, disable=True)` and `autolog(disable=True)` stop spans at once, and back (law L34)."""
    seen = []
    for call in (
        lambda: None,
        lambda: autotrace.autolog("acme", disable=True),
        lambda: autotrace.autolog("acme", disable=False),
        lambda: autotrace.autolog(disable=True),
        lambda: autotrace.autolog(disable=False),
    ):
        call()
        before = len(spans.finished)
        acme.Client().complete("hi")
        with autotrace.span("mine"):
            pass
        seen.append(len(spans.finished) - before)
    assert seen == [2, 1, 2, 0, 2]


def test_own_spans(acme: Any, spans: Collected) -> None:
    """`autotrace` is the name of the program's own spans in every toggle."""
    autotrace.autolog("autotrace", disable=True)
    with autotrace.span("mine") as span:
        span.set(output=1)
    acme.complete("hi")
    autotrace.autolog("autotrace", disable=False)
    with autotrace.span("mine again"):
        pass
    assert [span.name for span in spans.finished] == ["chat acme-1", "mine again"]


@pytest.fixture
def barrier() -> Guard:
    """A barrier of its own."""
    return Guard()


def test_guard_counts(barrier: Guard, caplog: pytest.LogCaptureFixture) -> None:
    """Errors are counted by place, the first of each is logged with its position, none with its message."""
    caplog.set_level(logging.WARNING, "autotrace")
    for place in ("a", "a", "b"):
        with barrier(place):
            raise ValueError("the user's text")
    assert {place: failure.count for place, failure in barrier.failures.items()} == {"a": 2, "b": 1}
    assert barrier.failures["a"].last.startswith("ValueError at test_suppression.py:")
    assert len(caplog.messages) == 2
    assert "user's text" not in caplog.text
    barrier.reset()
    assert barrier.failures == {}


def test_guard_strict(barrier: Guard) -> None:
    """A strict barrier raises; and no barrier ever holds back what is no Exception."""
    with pytest.raises(KeyboardInterrupt), barrier("a"):
        raise KeyboardInterrupt
    barrier.strict = True
    with pytest.raises(ValueError, match="seen"), barrier("a"):
        raise ValueError("seen")
    assert barrier.failures == {}


def test_strict_setting(acme: Any, spans: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `strict` an error of a mapper reaches the caller; without, only the barrier's count."""
    monkeypatch.setattr(acme.client, "Reply", lambda text: None)
    autotrace.autolog(strict=True)
    with pytest.raises(AttributeError):
        acme.Client().complete("hi")
    autotrace.autolog(strict=False)
    assert acme.Client().complete("hi") is None
    assert len(guard.failures) == 1
    guard.reset()
