"""Tokens: what the spans tell adds up to what the server bills."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import openai
import pytest

import autotrace
from autotrace.testing.openai_server import Chunks, Hang, Literal, Status

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.both_roads
async def test_a_call_is_billed_as_it_is_told(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L14: input, output, cache read and written, reasoning and audio tokens are those that the server bills."""
    await sdk.create(api)
    assert spans.billed == server.billed
    assert server.billed.input_tokens > 0
    span = spans.one()
    assert span["usage.cache_write.input_tokens"] == span["usage.cache_creation.input_tokens"]


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_stream_is_billed_as_it_is_told(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L14: the same of a stream that reports its usage."""
    asked = {} if "responses" in api.method else {"stream_options": {"include_usage": True}}
    await sdk.all(await sdk.create(api, stream=True, **asked))
    assert spans.billed == server.billed
    assert server.billed.output_tokens > 0


async def test_many_calls_are_billed_as_they_are_told(sdk: Any, spans: Any, server: Any) -> None:
    """L14: over chats, responses, embeddings and completions, plain and streamed, the sum is the bill."""
    autotrace.autolog("openai", stream_usage="always")
    for number in range(3):
        messages = [{"role": "user", "content": f"question {number}"}]
        await sdk.call("chat.completions.create", model="gpt-4o", messages=messages)
        await sdk.all(await sdk.call("chat.completions.create", model="gpt-4o", messages=messages, stream=True))
        await sdk.call("embeddings.create", model="text-embedding-3-small", input=f"text {number}")
        await sdk.all(await sdk.call("completions.create", model="m", prompt=f"prompt {number}", stream=True))
    assert spans.billed == server.billed
    assert server.billed.requests == 12


@pytest.mark.both_roads
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_nested_calls_are_billed_once(sdk: Any, spans: Any, server: Any, stream: bool) -> None:
    """L17: a framework's own model span around a call takes over its tokens: they are told once."""
    from autotrace.activation import active
    from autotrace.recording.current import enter, leave
    from autotrace.recording.privacy import Policy
    from autotrace.recording.recorder import Recorder

    autotrace.autolog("openai", stream_usage="always")
    recorder = Recorder("framework", active().provider().get_tracer("autotrace.plugins.framework"), Policy())
    operation = recorder.start("chat", {"model": "gpt-4o"})
    token = enter(operation.context)
    try:
        for _ in range(2):
            reply = await sdk.call("chat.completions.create", model="gpt-4o", messages=HELLO, stream=stream)
            if stream:
                await sdk.all(reply)
    finally:
        leave(token)
    operation.finish()
    span = spans.one()
    assert dataclasses.replace(span.billed, requests=2) == server.billed
    assert span["response.model"] == "gpt-4o-2026-08-06"
    assert span["response.finish_reasons"] == ["stop"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_retries_are_one_span(sdk: Any, spans: Any, server: Any, api: Any, stream: bool) -> None:
    """L19: a call that succeeds at the third attempt is one span, with the failures as events and tokens once."""
    if stream and not api.streams:
        pytest.skip("embeddings do not stream")
    server.script(Status(429, retry_after=0), Status(500, retry_after=0))
    client = sdk.new(max_retries=2)
    more: dict[str, Any] = {"stream": True} if stream else {}
    if stream and "responses" not in api.method:
        more["stream_options"] = {"include_usage": True}
    reply = await sdk.create(api, client=client, **more)
    if stream:
        await sdk.all(reply)
    assert len(server.requests) == 3
    span = spans.one()
    assert span.status == "ok"
    assert span.billed == server.billed
    assert [name for name, _ in span.events] == ["retry", "retry"]
    told = [attributes for _, attributes in span.events]
    assert [event["http.response.status_code"] for event in told] == [429, 500]
    assert [event["error.type"] for event in told] == ["HTTPStatusError", "HTTPStatusError"]
    # Some versions count the attempt that is about to be made, some do not.
    first, second = (event["autotrace.retry.left"] for event in told)
    assert first - second == 1


async def test_retries_that_fail_are_one_span(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L19: a call that fails at every attempt is one failed span without tokens."""
    server.script(*[Status(500, retry_after=0)] * 3)
    with pytest.raises(openai.InternalServerError):
        await sdk.create(api, client=sdk.new(max_retries=2))
    span = spans.one()
    assert span.status == "error"
    assert span["error.type"] == "openai.InternalServerError"
    assert [name for name, _ in span.events] == ["retry", "retry", "exception"]
    assert span.billed.requests == 0


@pytest.mark.both_roads
async def test_retrieving_and_polling_bill_nothing(sdk: Any, spans: Any, server: Any) -> None:
    """L16: `responses.retrieve`, however often, adds no tokens; neither does a background response that is polled."""
    created = await sdk.call("responses.create", model="gpt-4o", input="hello", background=True)
    assert spans.billed == server.billed.__class__()
    for _ in range(3):
        reply = await sdk.call("responses.retrieve", response_id=created.id)
        assert reply.usage.input_tokens == server.billed.input_tokens
    assert [span["operation.name"] for span in spans.all()] == ["chat"] + ["fetch_response"] * 3
    assert [span.name for span in spans.all()][1:] == [f"fetch_response {created.id}"] * 3
    assert all(span["usage.input_tokens"] is None for span in spans.all())


async def test_a_plain_response_that_is_retrieved(sdk: Any, spans: Any, server: Any) -> None:
    """L16: a response that was billed at once is not billed again when it is retrieved, also as a stream."""
    created = await sdk.call("responses.create", model="gpt-4o", input="hello")
    await sdk.call("responses.retrieve", response_id=created.id)
    assert spans.billed == server.billed
    assert server.billed.requests == 1


async def test_a_response_that_is_retrieved_as_a_stream(sdk: Any, spans: Any, server: Any) -> None:
    """L16: a response that is retrieved as a stream of its events bills nothing either."""
    if openai.__version__.startswith("1.40"):
        pytest.skip("openai 1.40.0 has no responses")
    created = await sdk.call("responses.create", model="gpt-4o", input="hello", background=True)
    events = await sdk.all(await sdk.call("responses.retrieve", response_id=created.id, stream=True))
    assert events[-1].response.usage.input_tokens == server.billed.input_tokens
    fetched = spans.last()
    assert (fetched["operation.name"], fetched.status) == ("fetch_response", "ok")
    assert spans.billed.requests == 0


async def test_deleting_and_cancelling_leave_no_span(sdk: Any, spans: Any) -> None:
    """L16: what asks no model (deleting, cancelling, listing models) leaves no span."""
    created = await sdk.call("responses.create", model="gpt-4o", input="hello", background=True)
    await sdk.call("responses.cancel", response_id=created.id)
    await sdk.call("responses.delete", response_id=created.id)
    await sdk.call("models.retrieve", model="gpt-4o")
    await sdk.wait(sdk.client.models.list())
    assert len(spans.all()) == 1


STREAMS = pytest.mark.apis("chat", "completions")
WAYS = {
    "no options": {},
    "other options": {"stream_options": {"include_obfuscation": False}},
    "extra body": {"extra_body": {"seed": 7}},
}


@STREAMS
@pytest.mark.both_roads
@pytest.mark.parametrize("way", WAYS)
async def test_usage_is_asked_for_unseen(sdk: Any, spans: Any, server: Any, api: Any, way: str) -> None:
    """L12: a stream is asked for its usage; the program sees the very chunks that it would have seen."""
    more = copy.deepcopy(WAYS[way])
    spans.off()
    expected = await sdk.all(await sdk.create(api, stream=True, **more))
    spans.on()
    autotrace.autolog("openai", stream_usage="always")
    server.reset()
    chunks = await sdk.all(await sdk.create(api, stream=True, **more))
    assert [chunk.model_dump() for chunk in chunks] == [chunk.model_dump() for chunk in expected]
    assert [chunk.to_dict() for chunk in chunks] == [chunk.to_dict() for chunk in expected]
    assert [chunk.to_json() for chunk in chunks] == [chunk.to_json() for chunk in expected]
    assert [chunk.model_fields_set for chunk in chunks] == [chunk.model_fields_set for chunk in expected]
    assert [repr(chunk) for chunk in chunks] == [repr(chunk) for chunk in expected]
    assert chunks == expected
    assert all(chunk.choices for chunk in chunks)
    assert more == WAYS[way]
    (request,) = server.requests
    assert request.body["stream_options"] == {**more.get("stream_options", {}), "include_usage": True}
    assert spans.billed == server.billed
    assert server.billed.output_tokens > 0


@STREAMS
async def test_openai_itself_is_asked_for_usage(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L12: by default OpenAI's own host is asked for the usage of a stream."""
    await sdk.all(await sdk.create(api, client=sdk.elsewhere(), stream=True))
    assert spans.billed == server.billed
    assert server.requests[0].body["stream_options"] == {"include_usage": True}


@STREAMS
async def test_other_hosts_are_not_asked_for_usage(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L13: a host that is not known to support it never gets the extra field."""
    clients = [sdk.client, sdk.elsewhere("https://llm.example.com/v1"), sdk.elsewhere("http://api.openai.com.evil/v1")]
    for client in clients:
        await sdk.all(await sdk.create(api, client=client, stream=True))
    assert ["stream_options" in request.body for request in server.requests] == [False] * 3
    assert spans.billed.requests == 0


@STREAMS
@pytest.mark.parametrize("asked", [False, True, None])
async def test_what_the_program_says_of_usage_counts(sdk: Any, spans: Any, server: Any, api: Any, asked: Any) -> None:
    """L13: what the program says of `include_usage` reaches the server as it stands, and nothing is hidden."""
    spans.off()
    given = {"include_usage": asked}
    expected = await sdk.all(await sdk.create(api, stream=True, stream_options=given))
    spans.on()
    autotrace.autolog("openai", stream_usage="always")
    chunks = await sdk.all(await sdk.create(api, stream=True, stream_options=given))
    assert [chunk.to_dict() for chunk in chunks] == [chunk.to_dict() for chunk in expected]
    assert given == {"include_usage": asked}
    before, after = server.requests
    assert after.body == before.body


@STREAMS
async def test_usage_asked_for_in_the_extra_body(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L13: `stream_options` in `extra_body` are the program's word too."""
    autotrace.autolog("openai", stream_usage="always")
    extra = {"stream_options": {"include_usage": False}}
    await sdk.all(await sdk.create(api, stream=True, extra_body=extra))
    assert server.requests[0].body["stream_options"] == {"include_usage": False}
    assert extra == {"stream_options": {"include_usage": False}}


@STREAMS
async def test_usage_is_never_asked_for_when_told_so(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L12: the setting `stream_usage = "never"` leaves every request as it is."""
    autotrace.autolog("openai", stream_usage="never")
    await sdk.all(await sdk.create(api, client=sdk.elsewhere(), stream=True))
    assert "stream_options" not in server.requests[0].body
    assert spans.one().status == "ok"


@STREAMS
async def test_usage_is_not_asked_for_where_bytes_are_read(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L12: where the program reads the raw bytes nothing could be hidden: nothing is asked for."""
    autotrace.autolog("openai", stream_usage="always")
    method = api.method.replace(".create", ".with_streaming_response.create")
    async with sdk.entered(sdk.method(method)(**api.arguments, stream=True)) as response:
        lines = await sdk.all(response.iter_lines())
    assert "data: [DONE]" in lines
    response = await sdk.call(api.method.replace(".create", ".with_raw_response.create"), **api.arguments, stream=True)
    await sdk.all(response.parse())
    assert ["stream_options" in request.body for request in server.requests] == [False, False]
    assert len(spans.all()) == 2


@STREAMS
async def test_plain_calls_are_sent_as_they_are(sdk: Any, spans: Any, server: Any) -> None:
    """L12: a call that is not streamed is sent byte for byte as without autotrace."""
    spans.off()
    await sdk.call("chat.completions.create", model="gpt-4o", messages=HELLO)
    spans.on()
    autotrace.autolog("openai", stream_usage="always")
    await sdk.call("chat.completions.create", model="gpt-4o", messages=HELLO)
    before, after = server.requests
    assert after.body == before.body
    assert after.headers == before.headers


@STREAMS
async def test_leaving_a_stream_whose_usage_was_asked_for(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L12: leaving such a stream early is leaving any stream: the span ends at once."""
    autotrace.autolog("openai", stream_usage="always")
    server.script((Chunks(400), Hang(after=5)))
    async with sdk.entered(await sdk.create(api, stream=True)) as stream:
        await sdk.next(stream)
    assert spans.one().outcome == "closed"


async def test_the_caller_s_dicts_are_left_alone(sdk: Any, spans: Any) -> None:
    """L12: nothing that the program passes is changed: messages, tools, options, headers."""
    autotrace.autolog("openai", stream_usage="always")
    given = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "stream_options": {},
        "extra_headers": {"X-Shop": "7"},
        "extra_body": {"seed": 1},
        "logit_bias": {"50256": -100},
    }
    before = copy.deepcopy(given)
    await sdk.all(await sdk.call("chat.completions.create", model="gpt-4o", stream=True, **given))
    assert given == before


async def test_no_usage_is_invented(sdk: Any, spans: Any, server: Any) -> None:
    """L14: a reply without usage, or with nonsense in its place, leaves no figures."""
    head = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"finish_reason":"stop",'
    body = head + b'"message":{"role":"assistant","content":"hi"}}]%s}'
    nonsense = [b"", b',"usage":null', b',"usage":{"prompt_tokens":"many","completion_tokens":-4}', b',"usage":[]']
    for usage in nonsense:
        server.script(Literal(body=body % usage, headers={"content-type": "application/json"}))
        await sdk.call("chat.completions.create", model="m", messages=HELLO)
    assert [span.billed.requests for span in spans.all()] == [0] * len(nonsense)
    assert all(span.output for span in spans.all())
