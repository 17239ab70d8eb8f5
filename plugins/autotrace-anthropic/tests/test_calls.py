"""Whichever way a message is asked for, it is one span with what the recorded reply says."""

from __future__ import annotations

import importlib.util
import inspect
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from autotrace import Usage

from .conftest import ANSWER, ASK, QUESTION, text

#: What `message.json` and `stream.json` bill: 21 tokens past the cache, 2086 from it, 188 into it.
BILLED = Usage(2295, 43, cache_read=2086, cache_write=188, reasoning=17)
MESSAGES = pytest.mark.parametrize("resource", ["messages", "beta.messages"])


class Nests(BaseModel):
    """A structured answer."""

    tree: str
    nests: int


def check(span: Any, stream: bool) -> None:
    """The span says what was asked and what the recording answers."""
    assert span.name == "chat claude-opus-5"
    assert span.status != "error"
    assert span["response.model"] == "claude-sonnet-4-5-20250929"
    assert span["response.id"] == "msg_01XFDUDYJgAACzvnptvVoYEL"
    assert span["response.finish_reasons"] == ["stop"]
    assert span["anthropic.response.service_tier"] == "standard"
    assert span["request.stream"] is (True if stream else None)
    assert span["input.messages"] == [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]
    assert text(span) == ANSWER
    assert span.usage == BILLED


@MESSAGES
async def test_create(sdk: Any, spans: Any, resource: str) -> None:
    """L14: a message is one span, with the tokens that the reply says."""
    sdk.play("message")
    reply = await sdk.call(f"{resource}.create")
    assert reply.content[0].text == ANSWER
    check(spans.one(), stream=False)


@MESSAGES
async def test_raw_stream(sdk: Any, spans: Any, resource: str) -> None:
    """L15: a stream has the last running total of its usage, and what the last total leaves out from its start."""
    sdk.play("stream")
    stream = await sdk.call(f"{resource}.create", stream=True)
    assert type(stream) is (anthropic.AsyncStream if sdk.is_async else anthropic.Stream)
    events = await sdk.all(stream)
    assert [event.type for event in events][-1] == "message_stop"
    check(spans.one(), stream=True)


@MESSAGES
async def test_stream_helper(sdk: Any, spans: Any, resource: str) -> None:
    """L11: the stream helper, which is no coroutine function before or after, gives one span."""
    sdk.play("stream")
    helper = sdk.method(f"{resource}.stream")
    assert not inspect.iscoroutinefunction(helper)
    async with sdk.entered(helper(**ASK)) as stream:
        assert "".join(await sdk.all(stream.text_stream)) == ANSWER
        message = await sdk.wait(stream.get_final_message())
    assert message.usage.output_tokens == 43
    check(spans.one(), stream=True)


@MESSAGES
async def test_stream_helper_is_left(sdk: Any, spans: Any, resource: str) -> None:
    """L03: a helper that is left early ends its span before the block returns, with what has come."""
    sdk.play("stream")
    async with sdk.entered(sdk.method(f"{resource}.stream")(**ASK)) as stream:
        assert (await sdk.next(stream)).type == "message_start"
    span = spans.one()
    assert span.outcome == "closed"
    assert span.usage.input_tokens == 2295


@MESSAGES
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_with_raw_response(sdk: Any, spans: Any, resource: str, stream: bool) -> None:
    """L09: a raw response has its headers, parses lazily and twice the same, and gives one span."""
    sdk.play("stream" if stream else "message")
    raw = await sdk.call(f"{resource}.with_raw_response.create", stream=stream)
    assert raw.headers["request-id"] == "req_011CXq"
    parsed = await sdk.wait(raw.parse())
    assert await sdk.wait(raw.parse()) is parsed
    if stream:
        await sdk.all(parsed)
    check(spans.one(), stream=stream)


@MESSAGES
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_with_streaming_response(sdk: Any, spans: Any, resource: str, stream: bool) -> None:
    """L10: a body that the program reads itself is not read before, and its span has what was read."""
    sdk.play("stream" if stream else "message")
    create = sdk.method(f"{resource}.with_streaming_response.create")
    async with sdk.entered(create(**ASK, stream=stream)) as response:
        assert not response.http_response.is_stream_consumed
        assert spans.all() == []
        lines = await sdk.all(response.iter_lines())
    assert any("weir" in line for line in lines)
    check(spans.one(), stream=stream)


@MESSAGES
async def test_parse(sdk: Any, spans: Any, resource: str) -> None:
    """L11: a structured answer is parsed as without tracing, and is one span whose output is JSON."""
    sdk.play("structured")
    reply = await sdk.call(f"{resource}.parse", output_format=Nests)
    assert reply.parsed_output == Nests(tree="alder", nests=2)
    span = spans.one()
    assert span["output.type"] == "json"
    assert span.usage == Usage(180, 14)


async def test_post(sdk: Any, spans: Any) -> None:
    """A request made by hand is a call like any other."""
    client = sdk.play("message")
    reply = await sdk.wait(client.post("/v1/messages", body=dict(ASK), cast_to=object))
    assert reply["content"][0]["text"] == ANSWER
    check(spans.one(), stream=False)


async def test_parameters(sdk: Any, spans: Any) -> None:
    """What the conventions have a name for stands under it; whose the user is stays with the provider."""
    sdk.play("message")
    await sdk.call(
        "messages.create",
        stop_sequences=["END"],
        metadata={"user_id": "13803d75-b4b5-4c3e-b2a2-6f21399b021b"},
        # Not all are arguments in every version.
        extra_body={
            "temperature": 0.5,
            "top_k": 5,
            "top_p": 0.9,
            "service_tier": "auto",
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
        },
        tools=[{"name": "find_nest", "description": "Finds a nest.", "input_schema": {"type": "object"}}],
        system=[{"type": "text", "text": "Be short."}, {"type": "text", "text": "Be exact."}],
    )
    span = spans.one()
    request = ("temperature", "top_k", "top_p", "max_tokens", "stop_sequences", "reasoning.level")
    assert [span["request." + name] for name in request] == [0.5, 5, 0.9, 100, ["END"], "low"]
    assert span["output.type"] == "json"
    assert span["anthropic.request.service_tier"] == "auto"
    assert (span["anthropic.thinking.type"], span["anthropic.thinking.budget_tokens"]) == ("enabled", 1024)
    assert span["tool.definitions"][0]["name"] == "find_nest"
    assert span["system_instructions"] == [{"type": "text", "content": "Be short.\n\nBe exact."}]
    assert span["conversation.id"] is None
    assert "13803d75" not in span.everything


async def test_retry(sdk: Any, spans: Any) -> None:
    """L19: what the SDK sends again is one span, each retry an event that tells why, whatever the program handles."""
    sdk.play("message")
    sdk.server.fail(529, headers={"retry-after-ms": "1"})
    client = sdk.new(max_retries=2)
    try:
        raise KeyError("the program's own")
    except KeyError:
        await sdk.wait(client.messages.create(**ASK))
    span = spans.one()
    check(span, stream=False)
    ((name, told),) = span.events
    assert (name, told["http.response.status_code"]) == ("retry", 529)
    assert told["error.type"] in ("529", "HTTPStatusError")


async def test_retry_after_lost_connection(sdk: Any, spans: Any) -> None:
    """L19: a retry after a connection that failed tells of the error."""
    sdk.play("message")
    client = sdk.new(max_retries=1, base_url="http://127.0.0.1:1")
    with pytest.raises(anthropic.APIConnectionError):
        await sdk.wait(client.messages.create(**ASK))
    span = spans.one()
    name, told = span.events[0]
    assert name == "retry"
    assert "Connect" in told["error.type"]
    assert span["error.type"] == "anthropic.APIConnectionError"


async def test_failed_call(sdk: Any, spans: Any) -> None:
    """L20: an answer that is an error raises what it would, and is the span's."""
    sdk.play("message")
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
    sdk.server.fail(429, error)
    with pytest.raises(anthropic.RateLimitError):
        await sdk.call("messages.create")
    assert spans.one().status == "error"
    assert spans.one().usage == Usage()


async def test_error_in_stream(sdk: Any, spans: Any) -> None:
    """An error event raises in the program's hands; the span has it, and what had come before."""
    sdk.play("stream_error")
    stream = await sdk.call("messages.create", stream=True)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        await sdk.all(stream)
    span = spans.one()
    assert (span.status, text(span), span.usage.input_tokens) == ("error", "The heron", 21)


async def test_error_in_stream_read_as_text(sdk: Any, spans: Any) -> None:
    """An error event that only the program itself reads is the span's all the same."""
    sdk.play("stream_error")
    create = sdk.method("messages.with_streaming_response.create")
    async with sdk.entered(create(**ASK, stream=True)) as response:
        await sdk.all(response.iter_lines())
    span = spans.one()
    assert (span.status, span["error.type"], text(span)) == ("error", "overloaded_error", "The heron")


async def test_stream_is_cut_off(sdk: Any, spans: Any) -> None:
    """A connection that breaks in the middle ends the span with the error and with what had come."""
    sdk.play("stream")
    sdk.server.cut(after=4)
    stream = await sdk.call("messages.create", stream=True)
    with pytest.raises(Exception, match=r"peer closed|incomplete|closed"):
        await sdk.all(stream)
    span = spans.one()
    assert (span.status, text(span)) == ("error", "The heron nests")


async def test_count_tokens(sdk: Any, spans: Any) -> None:
    """Counting tokens asks no model: it leaves no span."""
    sdk.play("count_tokens")
    arguments = {name: ASK[name] for name in ("model", "messages")}
    for resource in ("messages", "beta.messages"):
        counted = await sdk.wait(sdk.method(f"{resource}.count_tokens")(**arguments))
        assert counted.input_tokens == 2095
    assert spans.all() == []


async def test_batch(sdk: Any, spans: Any) -> None:
    """A batch is no call, and its results, which may be read any number of times, bill nothing (again)."""
    client = sdk.play("batch")
    made = await sdk.wait(client.messages.batches.create(requests=[{"custom_id": "first", "params": dict(ASK)}]))
    for _ in range(2):
        results = await sdk.all(await sdk.wait(client.messages.batches.results(made.id)))
        assert results[0].result.message.usage.output_tokens == 43
    assert sdk.server.unmatched == []
    assert spans.all() == []


async def test_completion(sdk: Any, spans: Any) -> None:
    """A legacy completion is a text completion, whose reply says no tokens."""
    client = sdk.play("completion")
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": f"\n\nHuman: {QUESTION}\n\nAssistant:"}
    await sdk.wait(client.post("/v1/complete", body=body, cast_to=object))
    span = spans.one()
    assert span.name == "text_completion claude-2.1"
    assert span["request.max_tokens"] == 20
    assert QUESTION in span["input.messages"][0]["parts"][0]["content"]
    assert (text(span), span["response.finish_reasons"], span.usage) == (" In the old alder.", ["stop"], Usage())


async def test_completion_stream(sdk: Any, spans: Any) -> None:
    """A legacy completion's stream adds up to its text."""
    client = sdk.play("completion_stream")
    body = {"model": "claude-2.1", "max_tokens_to_sample": 20, "prompt": QUESTION, "stream": True}
    kind: Any = anthropic.AsyncStream if sdk.is_async else anthropic.Stream
    posted = client.post("/v1/complete", body=body, cast_to=object, stream=True, stream_cls=kind[object])
    pieces = await sdk.all(await sdk.wait(posted))
    assert "".join(piece["completion"] for piece in pieces) == " In the old alder."
    assert text(spans.one()) == " In the old alder."


#: What a client of another cloud is made with, its provider's name, and what it needs to sign a request.
CLOUDS = {
    "AnthropicBedrock": (
        {"aws_region": "eu-west-1", "aws_access_key": "a", "aws_secret_key": "b"},
        "aws.bedrock",
        "boto3",
    ),
    "AnthropicVertex": (
        {"region": "us-east5", "project_id": "birds", "access_token": "t"},
        "gcp.vertex_ai",
        "google.auth",
    ),
    "AnthropicFoundry": ({"api_key": "k"}, "azure.ai.inference", "json"),
}


@pytest.mark.parametrize("kind", CLOUDS)
async def test_cloud(sdk: Any, spans: Any, kind: str) -> None:
    """A client of another cloud, whose addresses are others, is traced alike, with that provider's name."""
    sdk.play("clouds")
    if not hasattr(anthropic, kind):
        pytest.skip(f"anthropic {anthropic.__version__} has no {kind}")
    options, provider, needed = CLOUDS[kind]
    client = sdk.new(kind, **options)
    try:
        await sdk.wait(client.messages.create(**ASK))
    except (ImportError, RuntimeError):
        assert importlib.util.find_spec(needed.partition(".")[0]) is None  # without it no request can be signed
        assert spans.one().status == "error"
    else:
        assert spans.one().usage == BILLED
    assert sdk.server.unmatched == []
    span = spans.one()
    assert (span["provider.name"], span["request.model"]) == (provider, ASK["model"])
