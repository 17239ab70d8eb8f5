"""A stream's span ends exactly once, whichever way the stream ends, and never leaks into the code around it."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import baggage, context, trace

from autotrace.testing.openai_server import BrokenEvent, Chunks, Cut, ErrorEvent, Hang, RunningUsage


def until(condition: Any, seconds: float = 5) -> bool:
    """Waits for `condition`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


@pytest.mark.both_roads
@pytest.mark.streams
async def test_leaving_the_block_ends_the_span(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L03: breaking out of `with stream:` ends the span before the block returns."""
    server.script(Chunks(30))
    async with sdk.entered(await sdk.create(api, stream=True)) as stream:
        assert type(stream) is sdk.stream_class
        await sdk.next(stream)
        assert spans.all() == []
    span = spans.one()
    assert (span.outcome, span.status) == ("closed", "unset")
    assert stream.response.is_closed


@pytest.mark.streams
async def test_an_exception_in_the_block_passes(sdk: Any, spans: Any, api: Any) -> None:
    """L03: what is raised inside `with stream:` passes; the span ends as closed, for the call did not fail."""
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with sdk.entered(await sdk.create(api, stream=True)) as stream:
            await sdk.next(stream)
            raise ZeroDivisionError
    assert spans.one().outcome == "closed"


@pytest.mark.streams
async def test_reading_to_the_end_inside_a_block(sdk: Any, spans: Any, api: Any) -> None:
    """L03: a stream that was read to its end inside `with stream:` is a success, told once."""
    async with sdk.entered(await sdk.create(api, stream=True)) as stream:
        await sdk.all(stream)
    span = spans.one()
    assert (span.outcome, span.status) == (None, "ok")


@pytest.mark.streams
async def test_close_ends_the_span_and_the_response(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L04: `close()` after some chunks ends the span then and there, and hangs up on the server."""
    server.script((Chunks(400), Hang(after=3)))
    stream = await sdk.create(api, stream=True)
    await sdk.next(stream)
    assert spans.all() == []
    await sdk.close(stream)
    assert spans.one().outcome == "closed"
    assert stream.response.is_closed
    (request,) = server.requests
    if sdk.is_async:
        await asyncio.to_thread(until, request.disconnected.is_set)
    assert until(request.disconnected.is_set)
    await sdk.close(stream)
    assert len(spans.all()) == 1


@pytest.mark.streams
async def test_streams_leave_no_connection_open(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L04: streams that were read to their end, and streams that were closed, leave one idle connection at most."""
    for number in range(6):
        stream = await sdk.create(api, stream=True)
        await (sdk.all(stream) if number % 2 else sdk.next(stream))
        await sdk.close(stream)
        assert stream.response.is_closed
    assert len(spans.all()) == 6
    if sdk.is_async:
        assert await asyncio.to_thread(until, lambda: server.open_connections <= 1)
    else:
        assert until(lambda: server.open_connections <= 1)


@pytest.mark.both_roads
@pytest.mark.streams
@pytest.mark.parametrize("read", [0, 1])
async def test_an_abandoned_stream_ends_its_span(sdk: Any, spans: Any, api: Any, read: int) -> None:
    """L05: a stream that nobody holds any more ends its span, which is no success; no warning is raised."""
    stream = await sdk.create(api, stream=True)
    for _ in range(read):
        await sdk.next(stream)
    assert spans.all() == []
    response = stream.response
    del stream
    gc.collect()
    span = spans.one()
    assert span.status != "ok"
    assert span.outcome == "abandoned"
    await sdk.wait(response.aclose() if sdk.is_async else response.close())


@pytest.mark.streams
async def test_a_generator_over_a_stream_can_be_closed(sdk: Any, spans: Any, api: Any) -> None:
    """L06: closing a generator of the program's that reads a stream ends the span (GeneratorExit)."""
    stream = await sdk.create(api, stream=True)
    if sdk.is_async:

        async def read_async() -> Any:
            async with stream:
                async for chunk in stream:
                    yield chunk

        chunks = read_async()
        await chunks.__anext__()
        await chunks.aclose()
    else:

        def read() -> Iterator[Any]:
            with stream:
                yield from stream

        generator = read()
        next(generator)
        generator.close()
    assert spans.one().outcome == "closed"


@pytest.mark.streams
@pytest.mark.parametrize("sdk", ["sync"], indirect=True)
@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), SystemExit(3)], ids=["interrupt", "exit"])
async def test_an_interrupt_in_a_stream_passes(sdk: Any, spans: Any, api: Any, error: BaseException) -> None:
    """L06: KeyboardInterrupt and SystemExit in the middle of a stream end the span and are the very same object."""
    stream = await sdk.create(api, client=sdk.elsewhere(body_error=error), stream=True)
    with pytest.raises(type(error)) as caught:
        await sdk.all(stream)
    assert caught.value is error
    span = spans.one()
    if isinstance(error, KeyboardInterrupt):
        assert (span.status, span["error.type"]) == ("error", "KeyboardInterrupt")
    else:
        assert (span.status, span.outcome) == ("unset", "exited")


@pytest.mark.both_roads
@pytest.mark.streams
@pytest.mark.parametrize("sdk", ["async"], indirect=True)
async def test_a_cancelled_task_ends_the_span(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L06: a task cancelled in the middle of a stream ends the span, and the CancelledError propagates."""
    hang = Hang(after=3)
    server.script((Chunks(30), hang))

    async def read() -> None:
        async with await sdk.create(api, stream=True) as stream:
            async for _ in stream:
                pass

    task = asyncio.create_task(read())
    assert await asyncio.to_thread(hang.reached.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    span = spans.one()
    assert (span.outcome, span.status) == ("cancelled", "unset")


@pytest.mark.both_roads
@pytest.mark.parametrize("sdk", ["async"], indirect=True)
async def test_a_call_cancelled_before_its_reply_ends_the_span(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L06: so does a task cancelled while it waits for the reply; a timeout around it is a cancellation too."""
    hang = Hang()
    server.script(hang)
    task = asyncio.create_task(sdk.create(api))
    assert await asyncio.to_thread(hang.reached.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    span = spans.one()
    assert (span.outcome, span.status) == ("cancelled", "unset")
    assert span.events == []


@pytest.mark.both_roads
@pytest.mark.streams
async def test_between_chunks_the_context_is_the_callers(sdk: Any, spans: Any, api: Any) -> None:
    """L07: between chunks span and baggage are the caller's; a span opened there is no child of the model's span."""
    tracer = spans.provider.get_tracer("program")
    with tracer.start_as_current_span("program") as outer:
        token = context.attach(baggage.set_baggage("shop", "7"))
        here = context.get_current()
        stream = await sdk.create(api, stream=True)
        assert context.get_current() is here
        for _ in range(2):
            await sdk.next(stream)
            assert context.get_current() is here
            assert trace.get_current_span() is outer
            assert baggage.get_baggage("shop") == "7"
            with tracer.start_as_current_span("between") as between:
                assert between.parent.span_id == outer.get_span_context().span_id
        await sdk.all(stream)
        assert context.get_current() is here
        context.detach(token)
    model = next(span for span in spans.all() if span["operation.name"])
    assert model.parent_id == f"{outer.get_span_context().span_id:016x}"


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_stream_can_be_read_elsewhere(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L08: a stream created in one thread or task and read in another gives one whole span."""
    if sdk.is_async:
        stream = await asyncio.create_task(sdk.create(api, stream=True))
        first = await asyncio.create_task(sdk.next(stream))
        rest = await asyncio.create_task(sdk.all(stream))
    else:
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            stream = one.submit(lambda: sdk.method(api.method)(**api.arguments, stream=True)).result()
            first = one.submit(next, stream).result()
            rest = other.submit(list, stream).result()
    assert first
    assert rest
    span = spans.one()
    assert span.status == "ok"
    assert len(span.output) == 1


@pytest.mark.streams
async def test_a_stream_can_be_closed_elsewhere(sdk: Any, spans: Any, api: Any) -> None:
    """L08: a stream that another thread or task closes ends its span."""
    stream = await sdk.create(api, stream=True)
    await sdk.next(stream)
    if sdk.is_async:
        await asyncio.create_task(stream.close())
    else:
        thread = threading.Thread(target=stream.close)
        thread.start()
        thread.join()
    assert spans.one().outcome == "closed"


@pytest.mark.both_roads
@pytest.mark.streams
async def test_the_time_to_the_first_chunk(sdk: Any, spans: Any, api: Any) -> None:
    """A stream tells the time to its first chunk, which lies within the span; a plain call tells none."""
    await sdk.create(api)
    stream = await sdk.create(api, stream=True)
    await sdk.all(stream)
    plain, streamed = spans.all()
    assert plain["response.time_to_first_chunk"] is None
    assert 0 < streamed["response.time_to_first_chunk"] <= streamed.seconds
    assert streamed["request.stream"] is True
    assert plain["request.stream"] is None


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_stream_is_rebuilt_whole(sdk: Any, spans: Any, api: Any) -> None:
    """What a stream leaves on its span is what the same call leaves that is not streamed."""
    await sdk.create(api)
    await sdk.all(await sdk.create(api, stream=True))
    plain, streamed = spans.all()
    assert streamed.output == plain.output
    assert plain.output[0]["parts"][0]["content"].startswith(f'You asked: "{QUESTION}"')
    for name in ("response.id", "response.model", "response.finish_reasons", "openai.response.service_tier"):
        assert streamed[name] == plain[name]


QUESTION = "Where does the heron nest?"
TOOL = {
    "type": "function",
    "function": {
        "name": "find_nest",
        "parameters": {"type": "object", "properties": {"bird": {"type": "string"}, "count": {"type": "integer"}}},
    },
}
CHATS: dict[str, dict[str, Any]] = {
    "one call": {"messages": [{"role": "user", "content": "find it"}], "tools": [TOOL]},
    "two calls": {"messages": [{"role": "user", "content": "find both"}], "tools": [TOOL]},
    "three choices": {"messages": [{"role": "user", "content": "hello"}], "n": 3},
    "calls in two choices": {"messages": [{"role": "user", "content": "both"}], "tools": [TOOL], "n": 2},
    "a refusal": {"messages": [{"role": "user", "content": "refuse this"}]},
    "a filter": {"messages": [{"role": "user", "content": "content filter"}]},
    "a limit": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3},
    "logprobs": {"messages": [{"role": "user", "content": "hello"}], "logprobs": True, "top_logprobs": 2},
}


@pytest.mark.parametrize("case", CHATS)
async def test_every_kind_of_chat_is_rebuilt_whole(sdk: Any, spans: Any, case: str) -> None:
    """Tool calls in pieces, several choices, refusals and limits: a streamed chat is told like a plain one."""
    for stream in (False, True):
        reply = await sdk.call("chat.completions.create", model="gpt-4o", stream=stream, **CHATS[case])
        if stream:
            await sdk.all(reply)
    plain, streamed = spans.all()
    assert streamed.output == plain.output
    assert streamed["response.finish_reasons"] == plain["response.finish_reasons"]
    assert len(plain["response.finish_reasons"]) == CHATS[case].get("n", 1)


RESPONSES: dict[str, dict[str, Any]] = {
    "two calls": {"input": "find both", "tools": [{"type": "function", "strict": False, **TOOL["function"]}]},
    "a refusal": {"input": "refuse this"},
    "reasoning": {"input": "hello", "reasoning": {"effort": "low", "summary": "auto"}},
    "a limit": {"input": "hello", "max_output_tokens": 3},
    "a filter": {"input": "content filter"},
}


@pytest.mark.parametrize("case", RESPONSES)
async def test_every_kind_of_response_is_rebuilt_whole(sdk: Any, spans: Any, case: str) -> None:
    """The same for the responses API, reasoning included."""
    for stream in (False, True):
        reply = await sdk.call("responses.create", model="gpt-5", stream=stream, **RESPONSES[case])
        if stream:
            await sdk.all(reply)
    plain, streamed = spans.all()
    assert streamed.output == plain.output
    assert streamed["response.finish_reasons"] == plain["response.finish_reasons"]
    assert streamed.billed == plain.billed


async def test_a_spoken_answer_is_rebuilt_whole(sdk: Any, spans: Any) -> None:
    """A spoken answer leaves its transcript, and its sound by size and hash, streamed or not."""
    spoken = {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}
    asked = {"model": "gpt-4o-audio-preview", "messages": [{"role": "user", "content": "sing"}]}
    for stream in (False, True):
        reply = await sdk.call("chat.completions.create", stream=stream, extra_body=spoken, **asked)
        if stream:
            await sdk.all(reply)
    plain, streamed = spans.all()
    text, sound = plain.output[0]["parts"]
    assert text["type"] == "text"
    assert sound["type"] == "blob"
    assert sound["size"] == 2058
    assert len(sound["sha256"]) == 64
    assert streamed.output[0]["parts"][0] == text


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_stream_that_breaks_off_keeps_what_came(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L20: a connection cut in the middle fails the span with the SDK's own error; what had come stays."""
    server.script((Chunks(20), Cut(after=8)))
    spans.off()
    with pytest.raises(Exception) as expected:
        await sdk.all(await sdk.create(api, stream=True))
    spans.on()
    server.script((Chunks(20), Cut(after=8)))
    with pytest.raises(Exception) as error:
        await sdk.all(await sdk.create(api, stream=True))
    assert type(error.value) is type(expected.value)
    span = spans.one()
    assert span.status == "error"
    assert span["error.type"].rpartition(".")[2] == type(error.value).__name__
    assert span.output[0]["parts"][0]["content"].startswith("word0 word1")
    assert [name for name, _ in span.events] == ["exception"]


@pytest.mark.both_roads
@pytest.mark.streams
async def test_an_error_event_fails_the_span(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L20: an error event in the middle of a stream reaches program and span as it would without autotrace."""
    outcomes = []
    for switch in (spans.off, spans.on):
        switch()
        server.script((Chunks(20), ErrorEvent(after=8, message="The nest is empty.")))
        try:
            outcomes.append([chunk.to_dict() for chunk in await sdk.all(await sdk.create(api, stream=True))])
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]
    span = spans.one()
    assert span.status == "error"
    assert span["error.type"]
    assert "The nest is empty." in (span.message or "")
    assert span.output[0]["parts"][0]["content"].startswith("word0 word1")


@pytest.mark.streams
async def test_a_broken_event_fails_as_ever(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L20: an event that is no JSON raises the SDK's own error, and the span has it."""
    errors = []
    for switch in (spans.off, spans.on):
        switch()
        server.script((Chunks(20), BrokenEvent(after=4)))
        with pytest.raises(ValueError) as error:
            await sdk.all(await sdk.create(api, stream=True))
        errors.append((type(error.value), str(error.value)))
    assert errors[0] == errors[1]
    assert spans.one().status == "error"


@pytest.mark.apis("chat", "completions")
@pytest.mark.both_roads
async def test_running_totals_are_no_sums(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L15: usage repeated in every chunk is a running total: the last one counts."""
    server.script((Chunks(9), RunningUsage()))
    await sdk.all(await sdk.create(api, stream=True))
    assert spans.billed == server.billed


@pytest.mark.apis("chat", "completions")
async def test_running_totals_of_a_stream_that_was_left(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L15: of a stream that was left early the usage so far is told, not the sum of what was said."""
    server.script((Chunks(9), RunningUsage()))
    async with sdk.entered(await sdk.create(api, stream=True)) as stream:
        for _ in range(4):
            chunk = await sdk.next(stream)
    span = spans.one()
    assert span["usage.output_tokens"] == chunk.usage.completion_tokens
    assert span["usage.input_tokens"] == chunk.usage.prompt_tokens
