"""Parents: in threads, in tasks, in loops that come and go, under asyncio and trio."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import openai
import pytest
from opentelemetry.context import get_current

import autotrace

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.both_roads
@pytest.mark.parametrize("sdk", ["sync"], indirect=True)
@pytest.mark.parametrize("way", ["submit", "map", "thread", "to_thread", "run_in_executor"])
async def test_calls_in_threads_nest(sdk: Any, spans: Any, way: str) -> None:
    """L36: a call in a worker thread nests under the span that submitted it."""

    def call(_: Any = None) -> None:
        sdk.client.chat.completions.create(model="gpt-4o", messages=HELLO)

    async def elsewhere() -> None:
        if way == "to_thread":
            await asyncio.to_thread(call)
        else:
            await asyncio.get_running_loop().run_in_executor(None, call)

    with ThreadPoolExecutor(2) as pool, autotrace.span("agent"):
        if way == "submit":
            pool.submit(call).result()
        elif way == "map":
            list(pool.map(call, [1]))
        elif way == "thread":
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        else:
            asyncio.run(elsewhere())
    agent, model = spans.all()
    assert agent.name == "agent"
    assert model.parent_id == agent.span_id
    assert model.trace_id == agent.trace_id


@pytest.mark.both_roads
@pytest.mark.parametrize("sdk", ["async"], indirect=True)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_concurrent_traces_never_mix(sdk: Any, spans: Any, server: Any, stream: bool) -> None:
    """L37: of a hundred agents at once in one loop each has its own calls as children, and nobody else's."""

    async def agent(number: int) -> None:
        with autotrace.span(f"agent {number}"):
            for turn in range(2):
                messages = [{"role": "user", "content": f"agent {number} turn {turn}"}]
                reply = await sdk.call("chat.completions.create", model="gpt-4o", messages=messages, stream=stream)
                if stream:
                    async for _ in reply:
                        await asyncio.sleep(0)

    gate = asyncio.Semaphore(25)

    async def gated(number: int) -> None:
        async with gate:
            await agent(number)

    await asyncio.gather(*(gated(number) for number in range(100)))
    found = spans.all()
    agents = {span.span_id: span for span in found if span.name.startswith("agent")}
    models = [span for span in found if span["operation.name"] == "chat"]
    assert (len(agents), len(models)) == (100, 200)
    for model in models:
        parent = agents[model.parent_id or ""]
        assert model.trace_id == parent.trace_id
        assert model.input[0]["parts"][0]["content"].startswith(parent.name + " turn")


@pytest.mark.parametrize("sdk", ["async"], indirect=True)
async def test_nested_tasks_nest(sdk: Any, spans: Any) -> None:
    """L37: a task started inside a span makes its calls under that span, also after the span's block was left."""
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        await sdk.call("chat.completions.create", model="gpt-4o", messages=HELLO)

    with autotrace.span("agent"):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    go.set()
    await task
    agent, model = spans.all()
    assert model.parent_id == agent.span_id


def test_one_client_in_two_loops(server: Any, spans: Any) -> None:
    """L47: `asyncio.run` twice, a stream each: nothing of ours clings to the first loop."""

    async def call() -> int:
        http = openai.DefaultAsyncHttpxClient(verify=False)
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", http_client=http) as client:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]
            stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)  # type: ignore[arg-type]
            return len([chunk async for chunk in stream])

    assert asyncio.run(call()) == asyncio.run(call())
    assert [span.status for span in spans.all()] == ["ok"] * 4
    assert not get_current()


def test_a_stream_that_outlives_its_loop(server: Any, spans: Any, nothing_logged: Any) -> None:
    """L47: a stream that was left open when its loop closed ends its span, without an error of ours."""

    async def call() -> Any:
        http = openai.DefaultAsyncHttpxClient(verify=False)
        client = openai.AsyncOpenAI(base_url=server.url, api_key="k", http_client=http)
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)  # type: ignore[arg-type]
        await stream.__anext__()
        await client.close()
        return stream

    stream = asyncio.run(call())
    del stream
    gc.collect()
    assert spans.one().status != "ok"
    # Without autotrace, too: the HTTP library's generators close one another when the loop shuts down.
    own = "asyncio: an error occurred during closing of asynchronous generator <async_generator object "
    assert all(line.startswith(own) for line in nothing_logged.lines)
    nothing_logged.lines.clear()


# Without autotrace, too: the SDK leaves its generators to the garbage collector, and trio says so.
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.both_roads
def test_every_backend(server: Any, spans: Any, backend: str) -> None:
    """L47: under asyncio and trio alike calls are traced, streams end, and a cancelled one is told as cancelled."""

    async def calls() -> None:
        http = openai.DefaultAsyncHttpxClient(verify=False)
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", http_client=http, max_retries=0) as client:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]
            async with await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True) as stream:  # type: ignore[arg-type]
                await stream.__anext__()
            stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)  # type: ignore[arg-type]
            async for _ in stream:
                pass
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.chat.completions.create(model="gpt-4o", messages=HELLO)  # type: ignore[arg-type]

    anyio.run(calls, backend=backend)
    first, left, whole, cancelled = spans.all()
    assert (first.status, whole.status) == ("ok", "ok")
    assert left.outcome == "closed"
    assert cancelled.outcome == "cancelled"
    assert not get_current()


@pytest.mark.both_roads
async def test_a_session_reaches_the_call(sdk: Any, spans: Any, api: Any) -> None:
    """L07: session, user and tags of the surroundings are on the model's span."""
    with autotrace.context(session="chat-7", user="alice", tags={"plan": "pro"}):
        await sdk.create(api)
    span = spans.one()
    assert (span["session.id"], span["user.id"]) == ("chat-7", "alice")
    assert span["autotrace.tags"] == '{"plan":"pro"}'
