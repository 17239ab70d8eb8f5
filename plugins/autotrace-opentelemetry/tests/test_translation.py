"""What instrumentors say, in each vocabulary, becomes what our own plugins say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from autotrace_opentelemetry.translation import translate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotrace import Document, Message, Part, ToolCall, Usage


def test_openinference_chat() -> None:
    """A chat: model, provider, parameters, messages, tools, tokens; nothing is left over, nothing told twice."""
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.provider": "mistralai",
        "llm.system": "mistralai",
        "llm.model_name": "m-1-large",
        "llm.invocation_parameters": '{"model": "m-1", "temperature": 0.5, "max_tokens": 9, "stop": "x"}',
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.contents.0.message_content.type": "text",
        "llm.input_messages.1.message.contents.0.message_content.text": "what is it?",
        "llm.input_messages.1.message.contents.1.message_content.type": "image",
        "llm.input_messages.1.message.contents.1.message_content.image.image.url": "https://example.com/cat.png",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.0.message.content": "be brief",
        "llm.input_messages.2.message.role": "tool",
        "llm.input_messages.2.message.tool_call_id": "c-0",
        "llm.input_messages.2.message.content": "5 degrees",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c-1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city": "Oslo"}',
        "llm.tools.0.tool.json_schema": '{"name": "weather"}',
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 3,
        "llm.token_count.completion_details.reasoning": 2,
        "llm.finish_reason": "tool_calls",
        "input.value": '{"messages": []}',
        "input.mime_type": "application/json",
        "output.value": "{}",
        "output.mime_type": "application/json",
        "session.id": "s-1",
        "user.id": "alice",
    }
    before = dict(attributes)
    request, response, left = translate("Completions", attributes)
    assert attributes == before
    assert left == {}
    assert request == {
        "operation": "chat",
        "provider": "mistral_ai",
        "model": "m-1",
        "parameters": {"temperature": 0.5, "max_tokens": 9, "stop_sequences": ["x"]},
        "input": [
            Message.system("be brief"),
            Message.user([Part.text("what is it?"), Part.media("https://example.com/cat.png", "image")]),
            Message.tool("5 degrees", "c-0"),
        ],
        "tools": [{"name": "weather"}],
        "session": "s-1",
        "attributes": {"session.id": "s-1", "user.id": "alice"},
    }
    assert response == {
        "model": "m-1-large",
        "output": [Message.assistant([ToolCall("weather", '{"city": "Oslo"}', "c-1")], "tool_calls")],
        "usage": Usage(10, 5, cache_read=3, reasoning=2),
        "finish_reasons": ["tool_calls"],
    }


def test_openinference_retriever() -> None:
    """A retriever: the query, and what was found with its scores."""
    request, response, left = translate(
        "retrieve",
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "holidays?",
            "retrieval.documents.0.document.id": 7,
            "retrieval.documents.0.document.content": "28 days",
            "retrieval.documents.0.document.score": 0.8,
            "retrieval.documents.0.document.metadata": '{"page": 2}',
            "output.value": "[...]",
        },
    )
    assert (request["operation"], request["input_value"]) == ("retrieval", "holidays?")
    assert response == {"documents": [Document("28 days", "7", 0.8, {"page": 2})]}
    assert left == {}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("TOOL", "execute_tool"), ("AGENT", "invoke_agent"), ("RERANKER", "rerank"), ("EMBEDDING", "embeddings")],
)
def test_openinference_kinds(kind: str, operation: str) -> None:
    """Kinds of spans are operations."""
    request, response, _ = translate("x", {"openinference.span.kind": kind, "input.value": "a", "tool.name": "t"})
    assert request["operation"] == operation
    assert request["input_value"] == "a"
    assert request.get("name") == ("t" if kind == "TOOL" else None)
    assert response == {}


@pytest.mark.parametrize("kind", ["CHAIN", "GUARDRAIL", "EVALUATOR"])
def test_openinference_other_kinds(kind: str) -> None:
    """A kind that is no operation is kept as a kind; what went in and came out is there."""
    request, response, left = translate(
        "x", {"openinference.span.kind": kind, "input.value": '{"a": 1}', "output.value": "b", "metadata": "{}"}
    )
    assert "operation" not in request
    assert request["attributes"] == {"openinference.span.kind": kind}
    assert request["input_value"] == {"a": 1}
    assert response == {"output_value": "b"}
    assert left == {"metadata": "{}"}


def test_openinference_embeddings() -> None:
    """The texts that were embedded; no vector."""
    request, _, left = translate(
        "x",
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "e-1",
            "embedding.embeddings.0.embedding.text": "a",
            "embedding.embeddings.1.embedding.text": "b",
            "embedding.embeddings.0.embedding.vector": [0.1, 0.2],
            "llm.token_count.prompt": 4,
        },
    )
    assert (request["operation"], request["model"], request["input_value"]) == ("embeddings", "e-1", ["a", "b"])
    assert left == {}


INPUT = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}])
OUTPUT = json.dumps(
    [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "c-1", "name": "weather", "arguments": {"city": "Oslo"}},
            ],
            "finish_reason": "tool_call",
        }
    ]
)


def test_genai_of_today() -> None:
    """OpenTelemetry's conventions are ours: what is read is what is written."""
    request, response, left = translate(
        "chat m-1",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "groq",
            "gen_ai.request.model": "m-1",
            "gen_ai.request.max_tokens": 9,
            "gen_ai.response.model": "m-1-large",
            "gen_ai.response.id": "r-1",
            "gen_ai.response.finish_reasons": ("tool_call",),
            "gen_ai.input.messages": INPUT,
            "gen_ai.output.messages": OUTPUT,
            "gen_ai.system_instructions": '[{"type": "text", "content": "be brief"}]',
            "gen_ai.tool.definitions": '[{"name": "weather"}]',
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 3,
            "gen_ai.conversation.id": "s-1",
            "server.address": "api.example.com",
        },
    )
    assert left == {}
    assert request == {
        "operation": "chat",
        "provider": "groq",
        "model": "m-1",
        "parameters": {"max_tokens": 9},
        "input": [Message.user("hello")],
        "instructions": "be brief",
        "tools": [{"name": "weather"}],
        "session": "s-1",
        "attributes": {"server.address": "api.example.com", "session.id": "s-1"},
    }
    assert response == {
        "model": "m-1-large",
        "id": "r-1",
        "finish_reasons": ["tool_call"],
        "output": [
            Message.assistant(
                [Part.reasoning("hm"), ToolCall("weather", {"city": "Oslo"}, "c-1")],
                "tool_call",
            )
        ],
        "usage": Usage(10, 5, cache_read=3),
    }


def test_openllmetry_of_old() -> None:
    """The numbered attributes of older conventions and of OpenLLMetry mean the same."""
    request, response, left = translate(
        "groq.chat",
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Groq",
            "gen_ai.request.model": "m-1",
            "llm.is_streaming": False,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": '[{"type": "text", "text": "hello"}]',
            "gen_ai.prompt.1.role": "assistant",
            "gen_ai.prompt.1.tool_calls.0.id": "c-1",
            "gen_ai.prompt.1.tool_calls.0.name": "weather",
            "gen_ai.prompt.1.tool_calls.0.arguments": "{}",
            "gen_ai.prompt.2.role": "tool",
            "gen_ai.prompt.2.tool_call_id": "c-1",
            "gen_ai.prompt.2.content": "5 degrees",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "cold",
            "gen_ai.completion.0.finish_reason": "stop",
            "llm.request.functions.0.name": "weather",
            "llm.request.functions.0.parameters": '{"type": "object"}',
            "gen_ai.usage.prompt_tokens": 10,
            "gen_ai.usage.completion_tokens": 5,
            "llm.usage.total_tokens": 15,
            "gen_ai.usage.cache_read_input_tokens": 3,
            "traceloop.association.properties.user_id": "alice",
        },
    )
    assert left == {}
    assert request == {
        "operation": "chat",
        "provider": "groq",
        "model": "m-1",
        "parameters": {},
        "input": [
            Message.user("hello"),
            Message.assistant([ToolCall("weather", "{}", "c-1")]),
            Message.tool("5 degrees", "c-1"),
        ],
        "tools": [{"name": "weather", "parameters": {"type": "object"}}],
        "attributes": {"user.id": "alice"},
    }
    assert response == {
        "output": [Message.assistant("cold", "stop")],
        "finish_reasons": ["stop"],
        "usage": Usage(10, 5, cache_read=3),
    }


@pytest.mark.parametrize(
    ("kind", "operation"), [("workflow", "invoke_workflow"), ("agent", "invoke_agent"), ("tool", "execute_tool")]
)
def test_openllmetry_entities(kind: str, operation: str) -> None:
    """Workflows, agents and tools have their names, and what went in and came out."""
    request, response, left = translate(
        "x.workflow",
        {
            "traceloop.span.kind": kind,
            "traceloop.entity.name": "planner",
            "traceloop.entity.input": '{"a": 1}',
            "traceloop.entity.output": '"b"',
            "traceloop.entity.path": "a.b",
        },
    )
    assert (request["operation"], request["name"], request["input_value"]) == (operation, "planner", {"a": 1})
    assert response == {"output_value": '"b"'}
    assert left == {"traceloop.entity.path": "a.b"}


def test_openllmetry_task() -> None:
    """A task is a step that is no operation."""
    request, _, _ = translate("x.task", {"traceloop.span.kind": "task", "traceloop.entity.name": "plan"})
    assert request.get("operation") is None
    assert request["name"] == "plan"


def test_no_model_at_all() -> None:
    """A request by HTTP: its figures are kept whatever happens, its address only where content is."""
    request, response, left = translate(
        "GET", {"http.request.method": "GET", "http.response.status_code": 200, "url.full": "http://x/?q=secret"}
    )
    assert request["attributes"] == {"http.request.method": "GET", "http.response.status_code": 200}
    assert request.get("operation") is None
    assert response == {}
    assert left == {"url.full": "http://x/?q=secret"}


def test_damaged_json() -> None:
    """JSON that was cut off is text."""
    request, _, _ = translate("x", {"gen_ai.operation.name": "chat", "gen_ai.input.messages": INPUT[:-3]})
    assert request["input"] == [Message.user(INPUT[:-3])]


WORDS = [
    *("openinference.span.kind", "llm.model_name", "llm.input_messages", "message", "role", "content", "tool_calls"),
    *(
        "llm.invocation_parameters",
        "gen_ai.operation.name",
        "gen_ai.prompt",
        "gen_ai.input.messages",
        "0",
        "1",
        "parts",
    ),
    *("gen_ai.usage.input_tokens", "llm.token_count.prompt", "llm.token_count", "retrieval.documents", "document"),
    *("gen_ai.response.finish_reasons", "traceloop.span.kind", "embedding.embeddings", "llm.tools", "contents"),
    *(
        "gen_ai.system_instructions",
        "llm.output_messages",
        "metadata",
        "tool_call",
        "function",
        "llm.request.functions",
    ),
]
KEYS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(".".join)
TEXTS = st.one_of(
    st.text(max_size=5), st.sampled_from(['{"a": [1]}', "[1]", "[[]]", '[{"parts": 5}]', "{}", '{"n": 1}'])
)
VALUES = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.lists(st.text(max_size=3), max_size=2))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=500)
@given(st.dictionaries(KEYS, VALUES, max_size=12))
def test_any_attributes(attributes: dict[str, Any]) -> None:
    """Whatever an instrumentor says, it translates, and nothing that is not understood is lost of its own name."""
    before = dict(attributes)
    _, _, left = translate("x", attributes)
    assert attributes == before
    assert left.items() <= attributes.items() or any(value != value for value in attributes.values())
