"""The test server answers the real SDK, bills what it reports, and misbehaves as scripted."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import autotrace.testing.openai_server as served
from autotrace.testing.openai_server import (
    Behaviour,
    Billed,
    BrokenEvent,
    Chunks,
    Cut,
    Drop,
    Empty,
    ErrorEvent,
    Gzip,
    Hang,
    Huge,
    Literal,
    LoneSurrogate,
    Malformed,
    OpenAIServer,
    Request,
    RunningUsage,
    Status,
    Surprise,
    Text,
)

openai: Any = pytest.importorskip("openai")

SECONDS = 10.0
ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
WEATHER = {"name": "weather", "parameters": PARAMETERS}
NEWS = {"name": "news", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": WEATHER}, {"type": "function", "function": NEWS}]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[Any]:
    # The SDK checks every reply against its types, which it does not by default.
    strict = {"max_retries": 0, "_strict_response_validation": True}
    with openai.OpenAI(base_url=server.url, api_key="sk-test", **strict) as connected:
        yield connected


@pytest.fixture
def lenient_client(server: OpenAIServer) -> Iterator[Any]:
    """A client as users have it, for what the provider sends although the SDK's types do not say so."""
    with openai.OpenAI(base_url=server.url, api_key="sk-test", max_retries=0) as connected:
        yield connected


def ask(text: str, **more: Any) -> dict[str, Any]:
    """The arguments of a chat about this text."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def endpoint(client: Any, path: str) -> Any:
    """The SDK's resource at this dotted path; skips where this SDK is too old to have it."""
    resource = client
    for name in path.split("."):
        resource = getattr(resource, name, None)
        if resource is None:
            pytest.skip(f"openai {openai.__version__} has no {path}")
    return resource


def await_true(condition: Callable[[], bool]) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.002)


def completion_figures(usage: Any) -> Billed:
    """Reported chat usage, in the terms of the bill."""
    value = usage.model_dump()
    assert value["total_tokens"] == value["prompt_tokens"] + value["completion_tokens"]
    read, wrote = value["prompt_tokens_details"], value["completion_tokens_details"]
    return Billed(
        requests=1,
        input_tokens=value["prompt_tokens"],
        output_tokens=value["completion_tokens"],
        cached_tokens=read["cached_tokens"],
        cache_write_tokens=read["cache_write_tokens"],
        input_audio_tokens=read["audio_tokens"],
        reasoning_tokens=wrote["reasoning_tokens"],
        output_audio_tokens=wrote["audio_tokens"],
    )


def response_figures(usage: Any) -> Billed:
    """Reported usage of a response, in the terms of the bill."""
    value = usage.model_dump()
    assert value["total_tokens"] == value["input_tokens"] + value["output_tokens"]
    return Billed(
        requests=1,
        input_tokens=value["input_tokens"],
        output_tokens=value["output_tokens"],
        cached_tokens=value["input_tokens_details"]["cached_tokens"],
        cache_write_tokens=value["input_tokens_details"]["cache_write_tokens"],
        reasoning_tokens=value["output_tokens_details"]["reasoning_tokens"],
    )


def plain_figures(usage: Any) -> tuple[int, int]:
    """Input and output tokens of the endpoints without details."""
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    return usage.input_tokens, usage.output_tokens


def last(server: OpenAIServer) -> Request:
    """The last request, once the server is done with it."""
    request = server.requests[-1]
    assert request.finished.wait(SECONDS)
    return request


def content(chunks: list[Any], choice: int = 0) -> str:
    """The text that the chunks of one choice add up to."""
    found = (c for chunk in chunks for c in chunk.choices if c.index == choice)
    return "".join(c.delta.content or "" for c in found)


# Chat


def test_chat_bills_what_it_reports(server: OpenAIServer, client: Any) -> None:
    """A chat's usage, details included, is what is billed, and every figure is distinct and non-zero."""
    reply = client.chat.completions.create(**ASK)
    assert completion_figures(reply.usage) == server.billed == last(server).billed
    figures = [getattr(server.billed, name) for name in Billed.__slots__]
    assert 0 not in figures
    assert len(set(figures)) == len(figures)
    assert (reply.choices[0].finish_reason, reply.service_tier) == ("stop", "default")
    assert "capital of France" in reply.choices[0].message.content
    assert reply.system_fingerprint.startswith("fp_")


def test_chat_is_deterministic(client: Any) -> None:
    """The same question gets the same reply to the letter, another one other figures."""
    first, second = (client.chat.completions.create(**ASK).model_dump() for _ in range(2))
    other = client.chat.completions.create(**ask("And of Italy?")).model_dump()
    assert first == second
    assert other["id"] != first["id"]
    assert other["usage"] != first["usage"]


def test_request_is_recorded(server: OpenAIServer, client: Any) -> None:
    """A request shows method, path, lower-case headers, parsed body and status."""
    client.chat.completions.create(**ASK)
    request = last(server)
    assert (request.method, request.path, request.status) == ("POST", "/v1/chat/completions", 200)
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.body == ASK
    assert not request.aborted


def test_headers_are_the_providers(client: Any) -> None:
    """Replies carry request id, organisation, duration and rate limits."""
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["x-request-id"].startswith("req_")
    names = "openai-organization openai-processing-ms x-ratelimit-remaining-tokens x-ratelimit-limit-requests"
    assert all(raw.headers[name] for name in names.split())
    assert raw.parse().choices


def test_stream_with_usage(server: OpenAIServer, client: Any) -> None:
    """With include_usage a last chunk without choices has the usage, and all others say null."""
    whole = client.chat.completions.create(**ASK)
    *chunks, final = client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)
    assert final.choices == []
    assert final.usage == whole.usage
    assert content(chunks) == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks][-1] == "stop"
    assert last(server).billed == completion_figures(final.usage)


def test_stream_without_usage(server: OpenAIServer, client: Any) -> None:
    """Without include_usage no chunk has usage, yet the same is billed."""
    client.chat.completions.create(**ASK)
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert all("usage" not in chunk.model_fields_set and chunk.choices for chunk in chunks)
    last(server)
    first, second = server.requests
    assert first.billed == second.billed
    assert server.billed.requests == 2


def test_choices_are_interleaved(client: Any) -> None:
    """With n=2 the deltas of both choices take turns, and each choice ends by itself."""
    chunks = list(client.chat.completions.create(**ASK, n=2, stream=True))
    assert [chunk.choices[0].index for chunk in chunks][:4] == [0, 1, 0, 1]
    assert content(chunks, 1) == content(chunks, 0) + " (choice 1)"
    assert sum(chunk.choices[0].finish_reason == "stop" for chunk in chunks) == 2
    whole = client.chat.completions.create(**ASK, n=2)
    assert [choice.message.content for choice in whole.choices] == [content(chunks, 0), content(chunks, 1)]


@pytest.mark.parametrize(("text", "names"), [("weather?", ["weather"]), ("both?", ["weather", "news"])])
def test_tools_are_called(client: Any, text: str, names: list[str]) -> None:
    """The model calls the first tool, or two, with arguments that fit, streamed in pieces or not."""
    whole = client.chat.completions.create(**ask(text, tools=TOOLS)).choices[0]
    assert (whole.finish_reason, whole.message.content) == ("tool_calls", None)
    assert [call.function.name for call in whole.message.tool_calls] == names
    arguments = json.loads(whole.message.tool_calls[0].function.arguments)
    assert isinstance(arguments["city"], str)
    assert isinstance(arguments["days"], int)
    chunks = list(client.chat.completions.create(**ask(text, tools=TOOLS, stream=True)))
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    for index, call in enumerate(whole.message.tool_calls):
        own = [delta for delta in deltas if delta.index == index]
        assert len(own) > 2
        assert own[0].id == call.id
        assert "".join(delta.function.arguments for delta in own) == call.function.arguments


def test_tool_result_is_answered_in_words(client: Any) -> None:
    """After a tool's message the model answers with text."""
    turns = [*ask("weather?")["messages"], {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    reply = client.chat.completions.create(model="gpt-4o", messages=turns, tools=TOOLS)
    assert reply.choices[0].finish_reason == "stop"


def test_json_schema_is_met(client: Any) -> None:
    """A structured output fits its schema, through references, lists, enumerations and unions."""
    properties = {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "score": {"type": "number"},
        "ok": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["b", "a"]},
        "maybe": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}]},
    }
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}}
    schema = {"type": "object", "properties": properties, "$defs": {"Inner": inner}}
    wish = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    reply = client.chat.completions.create(**ASK, response_format=wish)
    value = json.loads(reply.choices[0].message.content)
    kinds = {name: type(member) for name, member in value.items()}
    plain = {"name": str, "age": int, "score": float, "ok": bool, "tags": list, "kind": str, "maybe": dict}
    assert kinds == plain
    assert value["kind"] == "b"
    assert value["maybe"] == {"x": 7}
    assert all(isinstance(tag, str) for tag in value["tags"])


def test_refusal(client: Any) -> None:
    """A refusal is a member of its own, in the message and in the deltas."""
    message = client.chat.completions.create(**ask("please refuse")).choices[0].message
    chunks = list(client.chat.completions.create(**ask("please refuse", stream=True)))
    assert message.content is None
    assert "".join(getattr(c.choices[0].delta, "refusal", None) or "" for c in chunks) == message.refusal


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(ask("long", max_tokens=2), "length"), (ask("a content filter case"), "content_filter")],
)
def test_finish_reasons(client: Any, arguments: dict[str, Any], reason: str) -> None:
    """A limit and a filter end the answer early, and say so, streamed or not."""
    assert client.chat.completions.create(**arguments).choices[0].finish_reason == reason
    assert [*client.chat.completions.create(**arguments, stream=True)][-1].choices[0].finish_reason == reason


def test_logprobs(client: Any) -> None:
    """Log probabilities come for each token when asked for, and not otherwise."""
    asked = {**ASK, "logprobs": True, "top_logprobs": 2}
    choice = client.chat.completions.create(**asked).choices[0]
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert len(choice.logprobs.content[0].top_logprobs) == 2
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert chunks[1].choices[0].logprobs.content[0].token == chunks[1].choices[0].delta.content
    assert client.chat.completions.create(**ASK).choices[0].logprobs is None


def test_spoken_answer(client: Any) -> None:
    """With the audio modality the answer is audio and transcript, whole or in deltas."""
    spoken = {**ASK, "extra_body": {"modalities": ["text", "audio"]}}
    message = client.chat.completions.create(**spoken).choices[0].message.model_dump()
    assert message["content"] is None
    assert base64.b64decode(message["audio"]["data"]).startswith(b"ID3")
    chunks = [chunk.model_dump() for chunk in client.chat.completions.create(**spoken, stream=True)]
    deltas = [chunk["choices"][0]["delta"].get("audio") or {} for chunk in chunks]
    assert "".join(delta.get("transcript") or "" for delta in deltas) == message["audio"]["transcript"]
    sound = b"".join(base64.b64decode(delta.get("data") or "") for delta in deltas)
    assert sound == base64.b64decode(message["audio"]["data"])


def test_azure_paths(server: OpenAIServer) -> None:
    """An Azure client gets its deployment's chat."""
    azure = openai.AzureOpenAI(azure_endpoint=server.azure_endpoint, api_key="k", api_version="2024-10-21")
    with azure:
        reply = azure.chat.completions.create(**ASK)
    request = last(server)
    assert request.path == "/openai/deployments/gpt-4o/chat/completions"
    assert request.query == {"api-version": "2024-10-21"}
    assert completion_figures(reply.usage) == server.billed


def test_async_client(server: OpenAIServer) -> None:
    """The async client gets the same, and a hundred concurrent chats are billed once each."""

    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
            calls = (client.chat.completions.create(**ask(f"question {i}")) for i in range(100))
            return await asyncio.gather(*calls)

    replies = asyncio.run(run())
    assert all(f'"question {i}"' in reply.choices[0].message.content for i, reply in enumerate(replies))
    assert sum((completion_figures(reply.usage) for reply in replies), Billed()) == server.billed


def test_threads(server: OpenAIServer, client: Any) -> None:
    """Calls from several threads are all counted."""
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: client.chat.completions.create(**ask(f"q{i}")), range(80)))
    assert sum((completion_figures(reply.usage) for reply in replies), Billed()) == server.billed


# Responses


def test_response_bills_what_it_reports(server: OpenAIServer, client: Any) -> None:
    """A response has text, status and usage, and can be read again for nothing."""
    responses = endpoint(client, "responses")
    reply = responses.create(model="gpt-5.4", input="Hello?")
    again = responses.retrieve(reply.id)
    assert reply.status == "completed"
    assert "Hello?" in reply.output_text
    assert again.model_dump() == reply.model_dump()
    assert response_figures(reply.usage) == server.billed
    assert last(server).billed == Billed()


def test_response_events(server: OpenAIServer, client: Any) -> None:
    """A streamed response sends the typed events in order; the last has the response and its usage."""
    responses = endpoint(client, "responses")
    asked = {"model": "gpt-5.4", "input": "Hello?", "reasoning": {"effort": "low", "summary": "auto"}}
    whole = responses.create(**asked)
    events = list(responses.create(**asked, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    assert events[-1].response.model_dump() == whole.model_dump()
    assert [item.type for item in whole.output] == ["reasoning", "message"]
    assert last(server).billed == response_figures(whole.usage)


def test_response_stream_helper(client: Any) -> None:
    """The SDK's own accumulator agrees with the whole response."""
    responses = endpoint(client, "responses")
    with responses.stream(model="gpt-5.4", input="Hello?") as stream:
        final = stream.get_final_response()
    assert final.output_text == responses.create(model="gpt-5.4", input="Hello?").output_text


def test_response_calls_functions(client: Any) -> None:
    """Tools are called in output items, their arguments streamed in pieces."""
    responses = endpoint(client, "responses")
    tools = [{"type": "function", "strict": False, **WEATHER}, {"type": "function", "strict": False, **NEWS}]
    whole = responses.create(model="gpt-5.4", input="both?", tools=tools)
    assert [(item.type, item.name) for item in whole.output] == [
        ("function_call", "weather"),
        ("function_call", "news"),
    ]
    events = list(responses.create(model="gpt-5.4", input="both?", tools=tools, stream=True))
    kind = "response.function_call_arguments.delta"
    deltas = [event.delta for event in events if event.type == kind and event.output_index == 1]
    assert len(deltas) == 3
    assert "".join(deltas) == whole.output[1].arguments
    result = {"type": "function_call_output", "call_id": whole.output[0].call_id, "output": "sunny"}
    turns = [{"role": "user", "content": "both?"}, whole.output[0].model_dump(), result]
    assert responses.create(model="gpt-5.4", input=turns, tools=tools).output_text


def test_response_refuses_and_stops_short(client: Any) -> None:
    """A refusal is a part of its own; a limit leaves the response incomplete."""
    responses = endpoint(client, "responses")
    events = list(responses.create(model="gpt-5.4", input="please refuse", stream=True))
    assert events[-1].response.output[0].content[0].type == "refusal"
    assert any(event.type == "response.refusal.delta" for event in events)
    events = list(responses.create(model="gpt-5.4", input="long", max_output_tokens=2, stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


def test_background_response(server: OpenAIServer, client: Any) -> None:
    """A background response is queued without usage, billed once, and completed when read."""
    responses = endpoint(client, "responses")
    queued = responses.create(model="gpt-5.4", input="later", background=True)
    assert (queued.status, queued.usage, queued.output) == ("queued", None, [])
    done = [responses.retrieve(queued.id) for _ in range(3)][-1]
    assert done.status == "completed"
    assert server.billed == response_figures(done.usage)


def test_cancelled_response(server: OpenAIServer, client: Any) -> None:
    """A cancelled response says so from then on, and cancelling bills nothing."""
    responses = endpoint(client, "responses")
    queued = responses.create(model="gpt-5.4", input="later", background=True)
    assert responses.cancel(queued.id).status == "cancelled"
    assert responses.retrieve(queued.id).status == "cancelled"
    assert server.billed.requests == 1
    with pytest.raises(openai.NotFoundError):
        responses.retrieve("resp_unknown")


def test_compaction(server: OpenAIServer, client: Any) -> None:
    """A compaction has an encrypted item and usage."""
    reply = endpoint(client, "responses.compact")(model="gpt-5.4", input="long talk")
    assert [item.type for item in reply.output] == ["compaction"]
    assert response_figures(reply.usage) == server.billed


# The other endpoints


def test_embeddings(server: OpenAIServer, lenient_client: Any) -> None:
    """Both encodings carry the same unit vectors, in the dimensions asked for."""
    asked = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 16}
    floats = lenient_client.embeddings.create(**asked, encoding_format="float")
    default = lenient_client.embeddings.create(**asked)
    raw = lenient_client.embeddings.create(**asked, encoding_format="base64").data[0].embedding
    assert [item.embedding for item in floats.data] == [item.embedding for item in default.data]
    assert isinstance(raw, str)
    assert len(base64.b64decode(raw)) == 16 * 4
    assert sum(x * x for x in floats.data[1].embedding) == pytest.approx(1.0, abs=1e-5)
    assert floats.data[0].embedding != floats.data[1].embedding
    assert server.billed == Billed(3, 3 * floats.usage.prompt_tokens)


def test_text_completion(server: OpenAIServer, lenient_client: Any) -> None:
    """Legacy completions report usage, whole and streamed, and echo the prompt."""
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", "echo": True, "logprobs": 1}
    whole = lenient_client.completions.create(**asked)
    *chunks, final = lenient_client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert whole.choices[0].text.startswith("Once")
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert "".join(whole.choices[0].logprobs.tokens) == whole.choices[0].text
    assert final.usage == whole.usage
    assert last(server).billed == completion_figures(final.usage)


@pytest.mark.parametrize(
    ("prompts", "count"), [(["Once", "Twice"], 2), (["Once"], 1), ([1, 2], 1), ([[1], [2, 3], [4]], 3)], ids=repr
)
def test_text_completion_of_several_prompts(
    server: OpenAIServer, lenient_client: Any, prompts: list[Any], count: int
) -> None:
    """Each prompt, a text or a list of tokens, gets `n` choices of its own, in order; the tokens of all are billed."""
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": prompts, "n": 2}
    whole = lenient_client.completions.create(**asked)
    *chunks, final = lenient_client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    request = last(server)
    single = [prompts] if count == 1 and isinstance(prompts[0], int) else prompts
    alone = [lenient_client.completions.create(**{**asked, "prompt": prompt}) for prompt in single]
    expected = [choice.text for reply in alone for choice in reply.choices]
    assert [(choice.index, choice.text) for choice in whole.choices] == list(enumerate(expected))
    pieces = [choice for chunk in chunks for choice in chunk.choices]
    streamed = ["".join(piece.text for piece in pieces if piece.index == index) for index in range(2 * count)]
    assert streamed == expected
    assert whole.usage == final.usage
    assert whole.usage.prompt_tokens == sum(reply.usage.prompt_tokens for reply in alone)
    assert whole.usage.completion_tokens == sum(reply.usage.completion_tokens for reply in alone)
    assert request.billed == completion_figures(final.usage)


def test_images(server: OpenAIServer, client: Any) -> None:
    """gpt-image models answer data and tokens; the others a link or data, without tokens."""
    drawn = client.images.generate(model="gpt-image-1", prompt="a cat")
    usage = drawn.model_dump()["usage"]
    assert base64.b64decode(drawn.data[0].b64_json).startswith(b"\x89PNG")
    assert (usage["input_tokens"], usage["output_tokens"]) == (
        server.billed.input_tokens,
        server.billed.output_tokens,
    )
    assert sum(usage["input_tokens_details"].values()) == usage["input_tokens"]
    linked = client.images.generate(model="dall-e-3", prompt="a cat", n=2, response_format="url")
    assert [bool(image.url) for image in linked.data] == [True, True]
    assert last(server).billed == Billed()


def test_image_stream(server: OpenAIServer, client: Any) -> None:
    """A streamed image arrives in part, then complete with usage."""
    if int(openai.__version__.split(".")[0]) == 1 and not hasattr(openai.types, "ImageGenCompletedEvent"):
        pytest.skip(f"openai {openai.__version__} cannot stream images")
    events = list(client.images.generate(model="gpt-image-1", prompt="a cat", stream=True))
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert plain_figures(events[-1].usage) == (server.billed.input_tokens, server.billed.output_tokens)


def test_image_edit(server: OpenAIServer, client: Any) -> None:
    """A form is recorded as raw bytes, and its fields count."""
    edited = client.images.edit(model="gpt-image-1", image=("a.png", b"\x89PNG..."), prompt="a hat")
    again = client.images.edit(model="gpt-image-1", image=("a.png", b"\x89PNG..."), prompt="a hat")
    assert edited.model_dump() == again.model_dump()
    assert b"a hat" in last(server).body
    assert server.billed.input_tokens == 2 * edited.model_dump()["usage"]["input_tokens"]


def test_transcription(server: OpenAIServer, client: Any) -> None:
    """Transcripts report tokens, or seconds from whisper."""
    transcribe = client.audio.transcriptions.create
    reply = transcribe(model="gpt-4o-transcribe", file=("a.mp3", b"ID3...")).model_dump()
    assert reply["text"].startswith("This is the transcript")
    assert reply["usage"]["input_tokens"] == server.billed.input_tokens
    assert reply["usage"]["output_tokens"] == server.billed.output_tokens
    assert reply["usage"]["input_token_details"]["audio_tokens"] == server.billed.input_audio_tokens
    timed = transcribe(model="whisper-1", file=("a.mp3", b"ID3...")).model_dump()
    assert timed["usage"]["type"] == "duration"
    assert last(server).billed == Billed()


def test_transcription_stream(server: OpenAIServer, client: Any) -> None:
    """A streamed transcript ends with its whole text and usage."""
    pytest.importorskip("openai.types.audio.transcription_text_done_event", reason="this SDK cannot stream transcripts")
    transcribe = client.audio.transcriptions.create
    *deltas, done = transcribe(model="gpt-4o-transcribe", file=("a.mp3", b"ID3"), stream=True)
    assert "".join(event.delta for event in deltas) == done.text
    assert plain_figures(done.usage) == (server.billed.input_tokens, server.billed.output_tokens)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translation_and_moderation_are_not_billed(server: OpenAIServer, client: Any) -> None:
    """Translations, moderations and models answer, without tokens."""
    assert client.audio.translations.create(model="whisper-1", file=("a.mp3", b"ID3")).text
    results = client.moderations.create(input=["peace", "violence"]).results
    assert [result.flagged for result in results] == [False, True]
    assert results[1].categories.violence
    assert "gpt-4o" in [model.id for model in client.models.list()]
    assert client.models.retrieve("gpt-4o").owned_by == "openai"
    assert server.billed == Billed()


def test_speech(server: OpenAIServer, client: Any) -> None:
    """Speech is binary and chunked."""
    asked = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
    with client.audio.speech.with_streaming_response.create(**asked) as reply:
        assert reply.headers["content-type"] == "audio/mpeg"
        assert reply.headers["transfer-encoding"] == "chunked"
        sound = b"".join(reply.iter_bytes())
    assert sound.startswith(b"ID3")
    assert sound == client.audio.speech.create(**asked).read()
    assert server.billed == Billed()


def test_unknown_path(client: Any) -> None:
    """What is not served is a 404 in OpenAI's shape."""
    with pytest.raises(openai.NotFoundError, match="Invalid URL") as caught:
        client.files.list()
    assert caught.value.type == "invalid_request_error"


def test_bad_requests(client: Any) -> None:
    """A chat without messages, and a body that is no JSON, are 400."""
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(model="gpt-4o", messages=[])
    with pytest.raises(openai.BadRequestError, match="parse"):
        client.post("/chat/completions", cast_to=object, options={"headers": {}}, body="text")


# Misbehaviour


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (404, "NotFoundError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
    ],
)
def test_errors(server: OpenAIServer, client: Any, status: int, kind: str) -> None:
    """A scripted status is the SDK's exception, bills nothing, and holds for one request only."""
    server.script(Status(status, "told to"))
    with pytest.raises(getattr(openai, kind), match="told to") as caught:
        client.chat.completions.create(**ASK)
    assert caught.value.body["message"] == "told to"
    assert caught.value.request_id.startswith("req_")
    assert last(server).status == status
    assert server.billed == Billed()
    assert client.chat.completions.create(**ASK).usage


def test_retries(server: OpenAIServer, client: Any) -> None:
    """The SDK retries as it is told to; only the request that succeeds is billed."""
    server.script(Status(429, retry_after=0), Status(500, retry_after=0.002))
    reply = client.with_options(max_retries=2).chat.completions.create(**ASK)
    assert [request.status for request in server.requests] == [429, 500, 200]
    assert server.billed == completion_figures(reply.usage)


@pytest.mark.parametrize("step", [Malformed(), Surprise(), Empty()])
def test_useless_bodies(server: OpenAIServer, client: Any, step: Behaviour) -> None:
    """A spoilt 200 arrives as it is, and bills nothing."""
    server.script(step)
    raw = client.chat.completions.with_raw_response.create(**ASK)
    assert raw.status_code == 200
    expected = {"surprise": True} if isinstance(step, Surprise) else None
    try:
        value = json.loads(raw.http_response.content)
    except ValueError:
        value = None
    assert value == expected
    assert bool(raw.http_response.content) is not isinstance(step, Empty)
    assert server.billed == Billed()


@pytest.mark.parametrize("step", [Drop(), Cut()])
def test_lost_connections(server: OpenAIServer, client: Any, step: Behaviour) -> None:
    """A connection that drops before the headers, or within the body, is an error; nothing is billed."""
    server.script(step)
    with pytest.raises(Exception) as caught:  # a body that is cut raises httpx's error in old SDKs
        client.chat.completions.create(**ASK)
    assert type(caught.value).__name__ in ("APIConnectionError", "RemoteProtocolError")
    assert server.billed == Billed()
    assert not last(server).aborted


def test_stream_cut(server: OpenAIServer, client: Any) -> None:
    """A stream cut after three chunks gives three chunks, then an error."""
    server.script(Cut(after=3))
    seen = []
    with pytest.raises(Exception) as caught:  # old SDKs let httpx's own error through
        seen.extend(client.chat.completions.create(**ASK, stream=True))
    assert type(caught.value).__name__ in ("APIConnectionError", "RemoteProtocolError")
    assert server.billed == Billed()
    assert not last(server).aborted


def test_stream_error_event(server: OpenAIServer, client: Any) -> None:
    """An error event ends a chat's stream with the SDK's error, after the chunks before it."""
    server.script(ErrorEvent(after=2, message="overloaded"))
    seen = []
    with pytest.raises(openai.APIError, match="overloaded"):
        seen.extend(client.chat.completions.create(**ASK, stream=True))
    assert len(seen) == 2
    assert last(server).billed == Billed()


def test_response_error_event(server: OpenAIServer, client: Any) -> None:
    """A response's stream ends with a typed error event."""
    responses = endpoint(client, "responses")
    server.script(ErrorEvent(after=2, message="overloaded"))
    events = list(responses.create(model="gpt-5.4", input="Hello?", stream=True))
    assert [event.type for event in events] == ["response.created", "response.in_progress", "error"]
    assert events[-1].message == "overloaded"


def test_broken_event(server: OpenAIServer, client: Any) -> None:
    """An event that is no JSON raises in the SDK after the chunks before it; the stream is billed."""
    server.script(BrokenEvent(after=2))
    seen = []
    with pytest.raises(json.JSONDecodeError):
        seen.extend(client.chat.completions.create(**ASK, stream=True))
    assert len(seen) == 2
    assert last(server).billed.requests == 1


def test_running_usage(server: OpenAIServer, client: Any) -> None:
    """With a running total every chunk has usage, growing, and the last one is the bill."""
    server.script(RunningUsage())
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    totals = [chunk.usage.completion_tokens for chunk in chunks]
    assert totals == sorted(set(totals))
    assert completion_figures(chunks[-1].usage) == last(server).billed
    assert all(chunk.choices for chunk in chunks)


@pytest.mark.parametrize("count", [3, 60])
def test_stream_length(server: OpenAIServer, client: Any, count: int) -> None:
    """A chat's stream has the chunks asked for, and one more with usage."""
    server.script(Chunks(count), Chunks(count))
    assert len(list(client.chat.completions.create(**ASK, stream=True))) == count
    counted = client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    assert len(list(counted)) == count + 1


@pytest.mark.parametrize("stream", [False, True])
def test_huge_gzipped_and_odd_texts(server: OpenAIServer, client: Any, stream: bool) -> None:
    """A huge text, a lone surrogate and any other text arrive whole, gzipped or not."""
    odd = "half a face \ud83d here"
    steps: list[tuple[tuple[Behaviour, ...], str]] = [
        ((Huge(2_000_000), Gzip()), "x" * 2_000_000),
        ((Huge(2_000_000), Chunks(60)), "x" * 2_000_000),
        ((LoneSurrogate(),), odd),
        ((Text("naïve ☕"), Gzip()), "naïve ☕"),
    ]
    server.script(*(step for step, _ in steps))
    for step, text in steps:
        raw = client.chat.completions.with_raw_response.create(**ASK, stream=stream)
        assert (raw.headers.get("content-encoding") == "gzip") is any(isinstance(s, Gzip) for s in step)
        reply = raw.parse()
        assert (content(list(reply)) if stream else reply.choices[0].message.content) == text


def test_literal_reply(server: OpenAIServer, client: Any) -> None:
    """A literal reply is sent to the letter."""
    server.script(Literal(418, {"X-Tea": "yes", "Content-Type": "text/plain"}, b"short and stout"))
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**ASK)
    assert caught.value.response.text == "short and stout"
    assert caught.value.response.headers["x-tea"] == "yes"
    assert caught.value.response.headers["content-type"] == "text/plain"


# Connections


def test_closing_a_stream_is_seen(server: OpenAIServer, client: Any) -> None:
    """A stream closed while the server hangs is aborted, billed in full, and its connection closed."""
    hang = Hang(after=3)
    server.script(hang)
    stream = client.chat.completions.create(**ASK, stream=True)
    seen = [next(stream) for _ in range(3)]
    assert hang.reached.wait(SECONDS)
    assert not server.requests[0].finished.is_set()
    assert server.open_connections == 1
    stream.close()
    request = last(server)
    assert request.aborted
    assert request.disconnected.wait(SECONDS)
    assert server.open_connections == 0
    assert len(seen) == 3
    whole = client.chat.completions.create(**ASK)
    assert request.billed == completion_figures(whole.usage)


def test_cancelling_a_task_is_seen(server: OpenAIServer) -> None:
    """A cancelled task's stream is closed on the wire."""
    hang = Hang(after=1)
    server.script(hang)

    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="k") as client:
            task = asyncio.create_task(consume(client))
            await asyncio.to_thread(hang.reached.wait, SECONDS)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(server.requests[0].finished.wait, SECONDS)

    async def consume(client: Any) -> None:
        async for _ in await client.chat.completions.create(**ASK, stream=True):
            pass

    asyncio.run(run())
    assert last(server).aborted


def test_hang_is_released(server: OpenAIServer, client: Any) -> None:
    """A released stream goes on to its end."""
    hang = Hang(after=2)
    server.script(hang)
    stream = client.chat.completions.create(**ASK, stream=True)
    seen = [next(stream), next(stream)]
    assert hang.reached.wait(SECONDS)
    hang.release()
    seen += stream
    assert seen[-1].choices[0].finish_reason == "stop"
    assert not last(server).aborted


def test_timeout_of_a_whole_reply(server: OpenAIServer, client: Any) -> None:
    """A whole reply that hangs runs into the client's timeout, and bills nothing."""
    server.script(Hang())
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).chat.completions.create(**ASK)
    assert last(server).aborted
    assert server.billed == Billed()


def test_stop_releases_hangs() -> None:
    """Stopping the server lets a hanging stream end, and closes the connections."""
    hang = Hang(after=1)
    server = OpenAIServer().start()
    server.script(hang)

    def stop_once_it_hangs() -> None:
        hang.reached.wait(SECONDS)
        server.stop()

    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0) as client:
        stream = client.chat.completions.create(**ASK, stream=True)
        stopper = threading.Thread(target=stop_once_it_hangs)
        stopper.start()
        chunks = list(stream)
        stopper.join(SECONDS)
    assert not stopper.is_alive()
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert server.open_connections == 0
    with pytest.raises(RuntimeError, match="start"):
        _ = server.url


def test_connections_are_kept_alive(server: OpenAIServer, client: Any) -> None:
    """Sequential calls share one connection, which closes with the client."""
    for _ in range(3):
        client.chat.completions.create(**ASK)
    assert server.open_connections == 1
    client.close()
    await_true(lambda: server.open_connections == 0)
    assert all(request.disconnected.wait(SECONDS) for request in server.requests)


def test_reset(server: OpenAIServer, client: Any) -> None:
    """Reset forgets requests, bill and script."""
    client.chat.completions.create(**ASK)
    server.script(Status(500))
    server.reset()
    assert (server.requests, server.billed) == ([], Billed())
    assert client.chat.completions.create(**ASK).usage


def test_serves_other_processes() -> None:
    """As a program it prints its URL, serves, and tells its bill."""
    source = Path(served.__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "autotrace.testing.openai_server"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            with openai.OpenAI(base_url=url, api_key="k") as client:
                reply = client.chat.completions.create(**ASK)
            with urllib.request.urlopen(f"{url.removesuffix('/v1')}/billed") as answer:
                assert Billed(**json.load(answer)) == completion_figures(reply.usage)
        finally:
            process.terminate()
