"""Whatever is called, and in whichever form: one root, the same tree, the tokens that were billed."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.context import get_current

from autotrace.recording import recorder
from autotrace.testing.openai_server import Chunks, Hang, OpenAIServer, Status

from .conftest import QUESTION, Models, Spans, input_text, open_runs, output_text, tokens, until
from .entries import ENTRIES, Entry


def invoke(thing: Any, given: Any) -> None:
    thing.invoke(given)


def stream(thing: Any, given: Any) -> None:
    assert list(thing.stream(given))


def batch(thing: Any, given: Any) -> None:
    (_,) = thing.batch([given])


def ainvoke(thing: Any, given: Any) -> None:
    asyncio.run(_within(thing.ainvoke(given)))


def astream(thing: Any, given: Any) -> None:
    async def main() -> None:
        assert [piece async for piece in thing.astream(given)]

    asyncio.run(_within(main()))


def abatch(thing: Any, given: Any) -> None:
    asyncio.run(_within(thing.abatch([given])))


def astream_events(thing: Any, given: Any) -> None:
    async def main() -> None:
        assert [event async for event in thing.astream_events(given, version="v2")]

    asyncio.run(_within(main()))


async def _within(work: Any) -> None:
    """Awaits `work`, and looks whether it has left something current in this task."""
    await work
    assert not get_current(), "something is still current"


FORMS = [invoke, stream, batch, ainvoke, astream, abatch, astream_events]
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*deprecated.*",
    "ignore::PendingDeprecationWarning",
    "ignore:unclosed:ResourceWarning",  # replies half read, which LangChain leaves to the garbage collector
)


@pytest.fixture(params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> Entry:
    """Each of the things to call."""
    return ENTRIES[request.param]


def branches(tree: str) -> list[str]:
    """The lines of a tree; what runs side by side comes in any order."""
    return sorted(tree.split("\n"))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_one_tree(
    spans: Spans, server: OpenAIServer, chat: Models, entry: Entry, form: Callable[[Any, Any], None]
) -> None:
    """One request is one tree, in which each model call stands once, with the tokens that were billed (law L17)."""
    thing = entry.make(chat)
    server.reset()
    form(thing, entry.given)
    if sys.version_info >= (3, 11) or not form.__name__.startswith("a"):
        assert branches(spans.tree()) == branches(entry.tree)
    else:  # no asynchronous step hears of its run there, unless it takes its config and hands it on
        assert sorted(map(str.strip, branches(spans.tree()))) == sorted(map(str.strip, branches(entry.tree)))
    assert spans.billed == tokens(server.billed) != (0, 0)
    root = spans.root()
    assert root.name == entry.tree.partition("\n")[0]
    assert output_text(root)
    assert QUESTION in input_text(root) or entry.given == {"words": []}
    assert {span.context.trace_id for span in spans.all()} == {root.context.trace_id}
    assert not get_current(), "something is still current"
    assert open_runs() == 0
    form(thing, entry.given)
    assert len({span.context.trace_id for span in spans.all()}) == 2, "a second request is a second trace"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ("fallback", "retrieval")])
def test_an_error(spans: Spans, server: OpenAIServer, chat: Models, name: str, is_async: bool) -> None:
    """A model that fails fails its step and the request, with the exception that comes without us (law L20)."""
    entry = ENTRIES[name]
    thing = entry.make(chat)
    server.script(*[Status(500)] * 3)
    with pytest.raises(Exception, match=r"(?s).") as caught:
        (ainvoke if is_async else invoke)(thing, entry.given)
    assert caught.value.__traceback__ is not None
    root = spans.root()
    assert root.status.status_code.name == "ERROR"
    assert root.attributes["error.type"].endswith(type(caught.value).__qualname__)
    failed = [span for span in spans.all() if span.name.startswith(("chat", "text_completion"))]
    assert failed
    assert {span.status.status_code.name for span in failed} <= {"ERROR", "UNSET"}
    assert spans.billed == tokens(server.billed) == (0, 0)
    assert not recorder._open
    assert not get_current()


STREAMED = ["model", "chain", "text", "parallel", "graph", "subgraph", "react agent", "agent"]


@pytest.mark.parametrize("name", STREAMED)
def test_leaving_a_stream(spans: Spans, server: OpenAIServer, chat: Models, name: str) -> None:
    """A stream that is left ends all its spans at once (law L38)."""
    entry = ENTRIES[name]
    thing = entry.make(chat)
    server.script(Chunks(60))
    for _ in thing.stream(entry.given):
        break
    assert not recorder._open
    assert spans.root().name == entry.tree.partition("\n")[0]
    assert not get_current()
    thing.invoke(entry.given)
    assert len(spans.roots()) == 2


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("events", [False, True], ids=["astream", "astream_events"])
def test_leaving_an_async_stream(spans: Spans, server: OpenAIServer, chat: Models, name: str, events: bool) -> None:
    """An asynchronous stream that is left ends all its spans at once, before the loop has turned (law L38)."""
    entry = ENTRIES[name]
    thing = entry.make(chat)
    server.script(Chunks(60))

    async def main() -> None:
        pieces = thing.astream_events(entry.given, version="v2") if events else thing.astream(entry.given)
        async for piece in pieces:
            if not events or piece["event"].endswith("_stream"):
                break
        del pieces
        assert not recorder._open
        assert spans.root().name == entry.tree.partition("\n")[0]
        assert spans.root().attributes["autotrace.outcome"] == "closed"
        assert not get_current()
        await thing.ainvoke(entry.given)
        assert len(spans.roots()) == 2

    asyncio.run(main())
    for span in spans.all():
        assert span.parent is None or span.parent.trace_id == span.context.trace_id
    assert len(spans.roots()) == 2, "nothing comes late"


@pytest.mark.parametrize("name", ["model", "chain", "graph", "agent"])
def test_closing_a_stream(spans: Spans, server: OpenAIServer, chat: Models, name: str) -> None:
    """`close` and `aclose` end all spans before they return (law L04)."""
    entry = ENTRIES[name]
    thing = entry.make(chat)
    server.script(Chunks(60), Chunks(60))
    pieces = thing.stream(entry.given)
    next(pieces)
    pieces.close()
    assert not recorder._open

    async def main() -> None:
        pieces = thing.astream(entry.given)
        await anext(pieces)
        await pieces.aclose()
        assert not recorder._open

    asyncio.run(main())
    assert len(spans.roots()) == 2


@pytest.mark.parametrize("name", ["model", "chain", "graph", "agent"])
def test_a_stream_that_is_never_read(spans: Spans, server: OpenAIServer, chat: Models, name: str) -> None:
    """A stream that nobody reads did nothing, and leaves nothing (law L05)."""
    entry = ENTRIES[name]
    thing = entry.make(chat)

    async def main() -> None:
        thing.astream(entry.given)

    thing.stream(entry.given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
    assert spans.all() == []
    assert server.requests == []


# Not graphs whose nodes are plain functions: they run in threads, which nobody can cancel.
@pytest.mark.parametrize("name", ["model", "chain", "lambda", "parallel", "react agent", "agent"])
@pytest.mark.parametrize("streams", [False, True], ids=["ainvoke", "astream"])
def test_cancellation(spans: Spans, server: OpenAIServer, chat: Models, name: str, streams: bool) -> None:
    """A task that is cancelled ends its spans, none of them as an error, and stays cancelled (law L06, L40)."""
    entry = ENTRIES[name]
    asyncio.run(entry.make(chat).ainvoke(entry.given))  # what is imported on the way is imported
    spans.clear()
    server.reset()
    server.script(*[Hang()] * 3)

    async def main() -> None:
        task = asyncio.create_task(_read(thing, entry.given) if streams else thing.ainvoke(entry.given))
        while not server.requests:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    thing = entry.make(chat)  # with a client of its own: connections belong to their loop
    asyncio.run(main())
    assert not recorder._open
    assert not [span.name for span in spans.all() if span.status.status_code.name == "ERROR"]
    assert spans.root().attributes["autotrace.outcome"] == "cancelled"


async def _read(thing: Any, given: Any) -> None:
    async for _ in thing.astream(given):
        pass


def test_a_batch_is_many_requests(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Each input of a batch is a request of its own: a tree of its own; one tree where the program says so."""
    import autotrace

    chain = ENTRIES["chain"].make(chat)
    questions = [{"question": str(number)} for number in range(5)]
    chain.batch(questions)
    asyncio.run(chain.abatch(questions))
    assert [root.name for root in spans.roots()] == ["invoke_workflow RunnableSequence"] * 10
    assert spans.billed == tokens(server.billed)
    spans.clear()
    with autotrace.span("all"):
        chain.batch(questions)
    assert spans.tree() == "\n".join(["all"] + ["  invoke_workflow RunnableSequence\n    chat gpt-4o"] * 5)


def test_stream_modes(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """Whatever of a graph is streamed, its tree is the same, and tokens are told once."""
    graph = ENTRIES["graph"].make(chat)
    for mode in ("values", "updates", "messages", "debug", "custom", ["messages", "updates"]):
        server.reset()
        list(graph.stream(ENTRIES["graph"].given, stream_mode=mode))
        assert spans.tree() == ENTRIES["graph"].tree
        assert spans.billed == tokens(server.billed)
        spans.clear()


def test_the_server_heard_of_it(spans: Spans, server: OpenAIServer, chat: Models) -> None:
    """A stream that is left is closed in fact: the connection goes back or is closed (law L04)."""
    model = chat()
    server.script(Hang(after=2))
    for _ in model.stream(QUESTION):
        break
    until(lambda: server.billed.requests == 1)
    assert spans.tree() == "chat gpt-4o (closed)"
