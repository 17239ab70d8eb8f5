"""Raw and streamed responses: headers as ever, no byte read before the program reads it, one span with usage."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from autotrace.testing.openai_server import Chunks, Cut, Gzip, Hang


def raw(api: Any) -> str:
    """The method that gives the raw response."""
    return api.method.replace(".create", ".with_raw_response.create")


def streaming(api: Any) -> str:
    """The method that gives the response whose body is still to be read."""
    return api.method.replace(".create", ".with_streaming_response.create")


@pytest.mark.both_roads
async def test_a_raw_response_is_parsed_by_the_program(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L09: of a raw response the headers can be read, `parse()` is lazy and idempotent; one span with usage."""
    spans.off()
    expected = await sdk.call(raw(api), **api.arguments)
    server.reset()
    spans.on()
    response = await sdk.call(raw(api), **api.arguments)
    assert type(response) is type(expected)
    assert vars(response).keys() == vars(expected).keys()
    assert response.headers["openai-organization"] == "autotrace-tests"
    assert not response._parsed_by_type if hasattr(response, "_parsed_by_type") else response._parsed is None
    first, second = response.parse(), response.parse()
    assert first is second
    assert first.to_dict() == expected.parse().to_dict()
    assert spans.one()["operation.name"] == api.operation
    assert spans.billed == server.billed
    assert server.billed.requests == 1


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_raw_stream_is_read_by_the_program(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L09: of a raw stream the headers can be read; the parsed stream gives every chunk; one span, ended at its end."""
    more = {} if "responses" in api.method else {"stream_options": {"include_usage": True}}
    response = await sdk.call(raw(api), **api.arguments, stream=True, **more)
    assert response.headers["openai-organization"] == "autotrace-tests"
    assert spans.all() == []
    stream = response.parse()
    assert type(stream) is sdk.stream_class
    assert response.parse() is stream
    assert len(await sdk.all(stream)) > 5
    span = spans.one()
    assert span.status == "ok"
    assert span.output[0]["parts"][0]["content"].startswith("You asked:")
    assert spans.billed == server.billed


@pytest.mark.streams
async def test_a_raw_stream_can_be_closed(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L09: closing the parsed stream of a raw response ends the span, with what had come."""
    server.script((Chunks(400), Hang(after=8)))
    response = await sdk.call(raw(api), **api.arguments, stream=True)
    stream = response.parse()
    for _ in range(7):
        await sdk.next(stream)
    await sdk.close(stream)
    span = spans.one()
    assert span.outcome == "closed"
    assert span.output[0]["parts"][0]["content"].startswith("word0 word1")


@pytest.mark.both_roads
async def test_a_body_is_not_read_for_the_program(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L10: `with_streaming_response`: the body is not read before the program reads it; usage is there if it did."""
    async with sdk.entered(sdk.method(streaming(api))(**api.arguments)) as response:
        assert response.headers["openai-organization"] == "autotrace-tests"
        assert response.http_response.is_stream_consumed is False
        assert spans.all() == []
        reply = await sdk.wait(response.parse())
    assert reply.to_dict()["model"]
    span = spans.one()
    assert span.status == "ok"
    assert spans.billed == server.billed


@pytest.mark.parametrize("way", ["read", "json", "text", "iter_bytes", "iter_lines", "iter_text"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.apis("chat")
async def test_every_way_of_reading_a_body(sdk: Any, spans: Any, server: Any, api: Any, way: str, packed: bool) -> None:
    """L10: however the program reads the body, it gets the same bytes, and the span has the usage."""
    bodies = []
    for switch in (spans.off, spans.on):
        switch()
        server.reset()
        server.script(*([Gzip()] if packed else []))
        async with sdk.entered(sdk.method(streaming(api))(**api.arguments)) as response:
            read = getattr(response, way)
            bodies.append(await sdk.all(read()) if way.startswith("iter") else await sdk.wait(read()))
    assert bodies[0] == bodies[1]
    assert spans.one().status == "ok"
    assert spans.billed == server.billed


async def test_a_body_that_nobody_reads(sdk: Any, spans: Any, api: Any) -> None:
    """L10: a body that was not read leaves a span that ends with the block, without content."""
    async with sdk.entered(sdk.method(streaming(api))(**api.arguments)):
        assert spans.all() == []
    span = spans.one()
    assert span.outcome == "closed"
    assert span["usage.input_tokens"] is None
    assert span["output.messages"] is None


@pytest.mark.streams
async def test_a_streamed_body_that_is_parsed(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L10: `with_streaming_response` of a stream gives the SDK's stream, chunk by chunk, and one span."""
    async with sdk.entered(sdk.method(streaming(api))(**api.arguments, stream=True)) as response:
        assert response.http_response.is_stream_consumed is False
        stream = await sdk.wait(response.parse())
        assert type(stream) is sdk.stream_class
        assert len(await sdk.all(stream)) > 5
    span = spans.one()
    assert span.status == "ok"
    assert span.output[0]["parts"][0]["content"].startswith("You asked:")


@pytest.mark.streams
async def test_lines_of_a_streamed_body(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L10: programs that read the lines of a stream themselves get them as sent, as they come."""
    lines = []
    for switch in (spans.off, spans.on):
        switch()
        async with sdk.entered(sdk.method(streaming(api))(**api.arguments, stream=True)) as response:
            lines.append(await sdk.all(response.iter_lines()))
    assert lines[0] == lines[1]
    span = spans.one()
    assert span.status == "ok"
    assert 0 < span["response.time_to_first_chunk"] <= span.seconds


async def test_leaving_a_streamed_body_early(sdk: Any, spans: Any, server: Any) -> None:
    """L10: leaving the block in the middle of a streamed body ends the span with what had come."""
    server.script((Chunks(400), Hang(after=6)))
    create = sdk.method("chat.completions.with_streaming_response.create")
    messages = [{"role": "user", "content": "x"}]
    async with sdk.entered(create(model="gpt-4o", messages=messages, stream=True)) as response:
        lines = aiter(response.iter_lines()) if sdk.is_async else iter(response.iter_lines())
        for _ in range(8):
            await sdk.next(lines)
        if sdk.is_async:
            await lines.aclose()
    span = spans.one()
    assert span.outcome == "closed"
    assert span.output[0]["parts"][0]["content"].startswith("word0")


async def test_a_body_that_breaks_off(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L20: a body that is cut off while the program reads it fails the span, and the error is the HTTP library's."""
    errors = []
    for switch in (spans.off, spans.on):
        switch()
        server.script(Cut())
        with pytest.raises(Exception) as error:
            async with sdk.entered(sdk.method(streaming(api))(**api.arguments)) as response:
                await sdk.wait(response.read())
        errors.append((type(error.value), str(error.value)))
    assert errors[0] == errors[1]
    assert spans.one().status == "error"


async def test_an_abandoned_raw_stream(sdk: Any, spans: Any) -> None:
    """L05: a raw stream that is dropped unread ends its span, which is no success."""
    create = sdk.method("chat.completions.with_raw_response.create")
    response = await sdk.wait(create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))
    http_response = response.http_response
    del response
    await sdk.wait(http_response.aclose() if sdk.is_async else http_response.close())
    del http_response
    gc.collect()
    assert spans.one().status != "ok"


async def test_a_cached_raw_method_is_silent_after_switching_off(sdk: Any, spans: Any, api: Any) -> None:
    """L27: a `with_raw_response` method kept from before switching off is silent after it, and traced again later."""
    kept = sdk.method(raw(api))
    await sdk.wait(kept(**api.arguments))
    spans.off()
    await sdk.wait(kept(**api.arguments))
    assert len(spans.all()) == 1
    spans.on()
    await sdk.wait(kept(**api.arguments))
    assert len(spans.all()) == 2
