"""What a span tells of a call: messages with all their parts, tools, parameters, the reply; nothing if told so."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from typing import Any

import pytest

import autotrace
from autotrace.testing.openai_server import Chunks, Cut, Literal, Status

PNG = b"\x89PNG" + bytes(range(256))
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
SECRET = "the heron nests behind the mill"

MESSAGES = [
    {"role": "developer", "content": "Answer briefly.", "name": "boss"},
    {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/heron.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": DATA_URL}},
            {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF1234").decode(), "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"bird": "heron"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "find", "arguments": "{broken"}},
            {"id": "call_3", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": '{"place": "the mill"}'},
    {
        "role": "tool",
        "tool_call_id": "call_2",
        "content": [{"type": "text", "text": "no"}, {"type": "text", "text": "pe"}],
    },
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "I"}, {"type": "refusal", "refusal": "would rather not"}],
    },
    {"role": "assistant", "refusal": "No."},
    {"role": "user", "content": "And now?"},
]


@pytest.mark.both_roads
async def test_messages_of_a_chat(sdk: Any, spans: Any) -> None:
    """Every kind of part of a chat's messages is told: media by size and hash, arguments of calls as objects."""
    await sdk.call("chat.completions.create", model="gpt-4o", messages=MESSAGES)
    told = spans.one().input
    assert [message["role"] for message in told] == [str(message["role"]) for message in MESSAGES]
    assert told[0] == {"role": "developer", "parts": [{"type": "text", "content": "Answer briefly."}], "name": "boss"}
    assert told[1]["parts"] == [{"type": "text", "content": "Be kind."}]
    text, link, picture, sound, file, document = told[2]["parts"]
    assert text == {"type": "text", "content": "What is this?"}
    assert (link["type"], link["uri"], link["modality"]) == ("uri", "https://example.com/heron.png", "image")
    assert (picture["type"], picture["mime_type"], picture["size"]) == ("blob", "image/png", len(PNG))
    assert picture["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert (sound["modality"], sound["mime_type"], sound["size"]) == ("audio", "audio/wav", 8)
    assert (file["type"], file["file_id"]) == ("file", "file-1")
    assert (document["type"], document["mime_type"], document["size"]) == ("blob", "application/pdf", 5)
    assert told[3]["parts"] == [
        {"type": "tool_call", "id": "call_1", "name": "find", "arguments": {"bird": "heron"}},
        {"type": "tool_call", "id": "call_2", "name": "find", "arguments": "{broken"},
        {"type": "tool_call", "id": "call_3", "name": "shell", "arguments": "ls"},
    ]
    assert told[4]["parts"] == [{"type": "tool_call_response", "id": "call_1", "response": '{"place": "the mill"}'}]
    assert told[5]["parts"][0]["response"] == "nope"
    assert told[6]["parts"] == [{"type": "text", "content": "I"}, {"type": "refusal", "content": "would rather not"}]
    assert told[7]["parts"] == [{"type": "refusal", "content": "No."}]
    assert base64.b64encode(PNG).decode()[:40] not in spans.one().everything


async def test_items_of_a_response(sdk: Any, spans: Any) -> None:
    """Every kind of item of the responses API is told, instructions and reasoning among them."""
    items = [
        {"role": "user", "content": "hello"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
                {"type": "input_image", "file_id": "file-7", "detail": "auto"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "thinking"}]},
        {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": '{"bird": "heron"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "the mill"},
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "herons"},
        },
        {"type": "item_reference", "id": "msg_1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
    ]
    await sdk.call("responses.create", model="gpt-5", instructions="Be kind.", input=items)
    span = spans.one()
    assert json.loads(span["system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    told = span.input
    assert [message["role"] for message in told][:5] == ["user", "user", "assistant", "assistant", "tool"]
    assert [part["type"] for part in told[1]["parts"]] == ["text", "blob", "file", "uri"]
    assert told[2]["parts"] == [{"type": "reasoning", "content": "thinking"}]
    assert told[3]["parts"][0]["arguments"] == {"bird": "heron"}
    assert told[4]["parts"][0] == {"type": "tool_call_response", "id": "call_1", "response": "the mill"}
    search = told[5]["parts"][0]
    assert (search["type"], search["name"], search["arguments"]["query"]) == (
        "server_tool_call",
        "web_search",
        "herons",
    )
    assert told[7]["parts"] == [{"type": "text", "content": "yes"}]


async def test_media_in_results_of_tools(sdk: Any, spans: Any) -> None:
    """Images and sounds that a tool answers with are told by size and hash, in either API."""
    data = DATA_URL.partition(",")[2]
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": DATA_URL}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]
    messages = [*MESSAGES[:4], {"role": "tool", "tool_call_id": "call_1", "content": content}]
    await sdk.call("chat.completions.create", model="gpt-4o", messages=messages)
    assert data[:40] not in spans.last().everything
    said, picture, sound = spans.last().input[4]["parts"][0]["response"]
    assert said == {"type": "text", "content": "look"}
    assert (picture["type"], picture["sha256"]) == ("blob", hashlib.sha256(PNG).hexdigest())
    assert (sound["type"], sound["modality"]) == ("blob", "audio")

    looks = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": DATA_URL}]
    texts = [{"type": "input_text", "text": "the "}, {"type": "input_text", "text": "mill"}]
    screen = {"type": "computer_screenshot", "image_url": DATA_URL}
    shell = [{"stdout": "ok", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]
    items = [
        {"type": "function_call_output", "call_id": "call_1", "output": looks},
        {"type": "function_call_output", "call_id": "call_2", "output": texts},
        {"type": "computer_call_output", "call_id": "call_3", "output": screen},
        {"type": "shell_call_output", "call_id": "call_4", "output": shell},
    ]
    await sdk.call("responses.create", model="gpt-5", input=items)
    assert data[:40] not in spans.last().everything
    several, text, shot, ran = [message["parts"][0]["response"] for message in spans.last().input]
    assert [part["type"] for part in several] == ["text", "blob"]
    assert text == "the mill"
    assert [(part["type"], part["size"]) for part in shot] == [("blob", len(PNG))]
    assert ran == shell


async def test_secrets_of_tools(sdk: Any, spans: Any) -> None:
    """What opens a remote tool's door does not reach the span; the tool does."""
    headers = {"Authorization": "Bearer SECRET2"}
    tool = {"type": "mcp", "server_label": "mill", "server_url": "https://example.com/mcp"}
    await sdk.call(
        "responses.create", model="gpt-5", input="hi", tools=[{**tool, "authorization": "SECRET1", "headers": headers}]
    )
    expected = {**tool, "authorization": "<secret>", "headers": {"Authorization": "<secret>"}}
    assert json.loads(spans.one()["tool.definitions"]) == [expected]
    assert "SECRET" not in spans.one().everything


async def test_what_a_reasoning_model_says(sdk: Any, spans: Any, server: Any) -> None:
    """Reasoning that comes back is told: of the responses API, and of providers that send `reasoning_content`."""
    await sdk.call("responses.create", model="gpt-5", input="hello", reasoning={"effort": "high", "summary": "auto"})
    span = spans.one()
    assert span["request.reasoning.level"] == "high"
    assert span.output[0]["parts"][0]["type"] == "reasoning"
    assert span["usage.reasoning.output_tokens"] == server.billed.reasoning_tokens


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_reasoning_of_other_providers(sdk: Any, spans: Any, server: Any, field: str, stream: bool) -> None:
    """Fields that the SDK does not know, as DeepSeek and OpenRouter send them, are told too."""
    head = {"id": "1", "created": 1, "model": "m"}
    said = [{field: "let me "}, {field: "think"}, {"content": "done"}]
    if stream:
        chunks = [{**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": d}]} for d in said]
        body = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
        server.script(Literal(body=body, headers={"content-type": "text/event-stream"}))
    else:
        message = {"role": "assistant", "content": "done", field: "let me think"}
        whole = {
            **head,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        server.script(Literal(body=json.dumps(whole).encode(), headers={"content-type": "application/json"}))
    reply = await sdk.call(
        "chat.completions.create", model="m", messages=[{"role": "user", "content": "x"}], stream=stream
    )
    if stream:
        await sdk.all(reply)
    assert spans.one().output[0]["parts"] == [
        {"type": "reasoning", "content": "let me think"},
        {"type": "text", "content": "done"},
    ]


PARAMETERS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "seed": 7,
    "max_tokens": 100,
    "stop": ["END", "STOP"],
    "n": 2,
}


@pytest.mark.both_roads
async def test_parameters_of_a_request(sdk: Any, spans: Any) -> None:
    """Parameters, tools, format and tier of a request are told; model, id, tier and reasons of its reply too."""
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}]
    reply = await sdk.call(
        "chat.completions.create",
        model="gpt-4o",
        messages=[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
        tools=tools,
        response_format={"type": "json_object"},
        service_tier="default",
        extra_body={"reasoning_effort": "low"},
        **PARAMETERS,
    )
    span = spans.one()
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ["END", "STOP"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
        "openai.request.service_tier": "default",
        "openai.api.type": "chat_completions",
        "gen_ai.response.model": reply.model,
        "gen_ai.response.id": reply.id,
        "gen_ai.response.finish_reasons": ["stop", "stop"],
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": reply.system_fingerprint,
        "server.address": "127.0.0.1",
        "openinference.span.kind": "LLM",
    }
    assert {name: span[name] for name in expected} == expected
    assert json.loads(span["tool.definitions"]) == tools
    assert span["server.port"] == int(sdk.server.azure_endpoint.rpartition(":")[2])
    assert (span.name, span.kind, span.scope) == ("chat gpt-4o", "client", "autotrace.plugins.openai")


async def test_parameters_of_a_response(sdk: Any, spans: Any) -> None:
    """The same of the responses API, with the response that it continues."""
    first = await sdk.call("responses.create", model="gpt-5", input="hello")
    tools = [{"type": "function", "name": "find", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    await sdk.call(
        "responses.create",
        model="gpt-5",
        input="more",
        previous_response_id=first.id,
        max_output_tokens=50,
        temperature=0.1,
        tools=tools,
        tool_choice="none",
    )
    span = spans.last()
    assert span["request.previous_response.id"] == first.id
    assert (span["request.max_tokens"], span["request.temperature"]) == (50, 0.1)
    assert json.loads(span["tool.definitions"]) == tools
    assert (span["openai.api.type"], span["openai.response.status"]) == ("responses", "completed")


async def test_conversation_prompt_and_format_of_a_response(sdk: Any, spans: Any) -> None:
    """A conversation, a stored prompt and a format asked for are told by their names."""
    more = {"conversation": {"id": "conv_1"}, "prompt": {"id": "pmpt_1", "version": "3"}}
    form = {"format": {"type": "json_object"}}
    await sdk.call("responses.create", model="gpt-5", input="hello", text=form, extra_body=more)
    span = spans.one()
    assert span["conversation.id"] == "conv_1"
    assert (span["prompt.name"], span["prompt.version"]) == ("pmpt_1", "3")
    assert span["output.type"] == "json"


async def test_a_limit_that_was_reached(sdk: Any, spans: Any) -> None:
    """An answer that was cut off says so in the conventions' word, on both APIs."""
    await sdk.call(
        "chat.completions.create", model="gpt-4o", messages=[{"role": "user", "content": "hello"}], max_tokens=2
    )
    assert spans.last()["response.finish_reasons"] == ["length"]
    await sdk.call("responses.create", model="gpt-4o", input="hello", max_output_tokens=2)
    assert spans.last()["response.finish_reasons"] == ["length"]
    assert spans.last()["openai.response.status"] == "incomplete"


async def _everything(sdk: Any, server: Any) -> None:
    """Calls of every kind, some failing, with the secret in every place that holds content."""
    said: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": SECRET}]}
    tool = {"type": "function", "function": {"name": "find", "description": SECRET, "parameters": {"type": "object"}}}
    chat = sdk.client.chat.completions
    await sdk.wait(chat.create(**said, tools=[tool], tool_choice="none", extra_headers={"Authorization": SECRET}))
    await sdk.all(await sdk.wait(chat.create(**said, stream=True)))
    await sdk.wait(sdk.client.embeddings.create(model="m", input=SECRET))
    await sdk.wait(sdk.client.moderations.create(input=SECRET))
    await sdk.wait(sdk.client.completions.create(model="m", prompt=SECRET))
    await sdk.wait(sdk.client.images.generate(prompt=SECRET))
    await sdk.wait(sdk.client.audio.speech.create(model="m", voice="alloy", input=SECRET))
    if hasattr(sdk.client, "responses"):
        await sdk.wait(sdk.client.responses.create(model="m", input=SECRET, instructions=SECRET))
        await sdk.all(await sdk.wait(sdk.client.responses.create(model="m", input=SECRET, stream=True)))
    for step in (Status(400, message=f"Bad prompt: {SECRET}"), Cut()):
        server.script(step)
        with pytest.raises(Exception):
            await sdk.wait(chat.create(**said))
    server.script((Chunks(9), Cut(after=5)))
    with pytest.raises(Exception):
        await sdk.all(await sdk.wait(chat.create(**said, stream=True)))


@pytest.mark.both_roads
async def test_without_content_no_text_is_anywhere(
    sdk: Any, spans: Any, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """L41: with content off no text of prompt or answer is in any attribute, event, status or log; the figures are."""
    autotrace.autolog(capture_content="off")
    with caplog.at_level(logging.DEBUG, "autotrace"):
        await _everything(sdk, server)
    found = spans.all()
    assert len(found) >= 10
    for span in found:
        for text in (SECRET, "heron", "You asked", "word1", "The answer is"):
            assert text not in span.everything
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if record.name == "autotrace")
    assert found[0]["usage.input_tokens"] > 0
    assert [span.status for span in found].count("error") == 3
    assert all(span["error.type"] for span in found if span.status == "error")


async def test_content_off_for_this_framework_alone(sdk: Any, spans: Any) -> None:
    """L41: content can be switched off for openai alone: spans of the program's own keep theirs."""
    autotrace.autolog("openai", capture_content="off")
    with autotrace.span("outer", input=SECRET):
        await sdk.call("chat.completions.create", model="gpt-4o", messages=[{"role": "user", "content": SECRET}])
    outer, model = spans.all()
    assert SECRET in outer.everything
    assert SECRET not in model.everything


async def test_keys_and_headers_are_never_told(sdk: Any, spans: Any, server: Any) -> None:
    """L41: neither the key nor extra headers are on a span, also where an error repeats the key."""
    key = sdk.client.api_key
    server.script(Status(401, message=f"Incorrect API key provided: {key}."))
    with pytest.raises(Exception):
        await sdk.call(
            "chat.completions.create",
            model="m",
            messages=[{"role": "user", "content": "x"}],
            extra_headers={"X-Token": "topsecret"},
            extra_query={"token": "topsecret"},
        )
    span = spans.one()
    assert key not in span.everything
    assert "topsecret" not in span.everything


async def test_truncated_content(sdk: Any, spans: Any) -> None:
    """L42: `truncated` cuts each text and says how much is left out; the JSON stays valid."""
    autotrace.autolog(capture_content="truncated", content_limit=20)
    await sdk.call("chat.completions.create", model="m", messages=[{"role": "user", "content": "é" * 5000}])
    span = spans.one()
    assert span.input[0]["parts"][0]["content"] == "é" * 20 + "… [4980 more characters]"
    assert len(span.output[0]["parts"][0]["content"]) < 60
