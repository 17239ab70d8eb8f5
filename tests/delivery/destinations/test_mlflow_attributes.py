"""A span in MLflow's words: pure, a record in, attributes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.delivery.destinations.mlflow import previews
from autotrace.delivery.destinations.mlflow.attributes import attributes, trace_tags
from autotrace.delivery.destinations.mlflow.completion import metadata_of_process
from autotrace.delivery.destinations.mlflow.limits import identifier
from autotrace.delivery.destinations.mlflow.traces import sendable, tags_of_process, traces_in
from autotrace.delivery.otlp import encode

from .mlflow_server import chat, new_trace, said, span

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def made(values: dict[str, Any], parent: int | None = 9) -> dict[str, Any]:
    """The attributes of a span that has these."""
    return attributes(span(new_trace(), 1, parent, values))


def messages(*parts: dict[str, Any], role: str = "user", **more: Any) -> str:
    return json.dumps([{"role": role, "parts": list(parts), **more}])


@pytest.mark.parametrize(
    ("operation", "kind", "expected"),
    [
        ("chat", "LLM", "CHAT_MODEL"),
        ("text_completion", "LLM", "LLM"),
        ("generate_content", "LLM", "LLM"),
        ("embeddings", "EMBEDDING", "EMBEDDING"),
        ("execute_tool", "TOOL", "TOOL"),
        ("invoke_agent", "AGENT", "AGENT"),
        ("invoke_workflow", "CHAIN", "WORKFLOW"),
        ("retrieval", "RETRIEVER", "RETRIEVER"),
        ("rerank", "RERANKER", "RERANKER"),
        ("moderation", "GUARDRAIL", "GUARDRAIL"),
        (None, "CHAIN", "CHAIN"),
        (None, "EVALUATOR", "EVALUATOR"),
        (None, "something", "UNKNOWN"),
        (None, None, "UNKNOWN"),
    ],
)
def test_types(operation: str | None, kind: str | None, expected: str) -> None:
    """The type is MLflow's word for the operation, or for the kind where there is none; bare, not as JSON."""
    given = {"gen_ai.operation.name": operation, "openinference.span.kind": kind}
    assert made({key: value for key, value in given.items() if value})["mlflow.spanType"] == expected


def test_both_vocabularies() -> None:
    """What was recorded is still there, beside MLflow's words; what pretends to be MLflow's own is not."""
    record = chat(new_trace(), 1, 9, **{"mlflow.traceTag.mlflow.trace.spansLocation": "x", "mlflow.experimentId": "7"})
    found = attributes(record)
    own = {key for key in record.body["attributes"] if not key.startswith("mlflow.")}
    assert {key: found[key] for key in own} == {key: record.body["attributes"][key] for key in own}
    assert "mlflow.traceTag.mlflow.trace.spansLocation" not in found
    assert "mlflow.experimentId" not in found


def test_a_conversation() -> None:
    """Instructions come first; text, pictures, calls of tools and their results are OpenAI's messages."""
    image = {"type": "uri", "uri": "https://example.org/cat.png", "modality": "image"}
    call = {"type": "tool_call", "id": "c1", "name": "look_up", "arguments": {"city": "Oslo"}}
    result = {"type": "tool_call_response", "id": "c1", "response": {"degrees": 4}}
    conversation = [
        {"role": "user", "parts": [{"type": "text", "content": "What is it?"}, image]},
        {"role": "assistant", "parts": [call], "name": "guide"},
        {"role": "tool", "parts": [result, {**result, "id": "c2", "response": "five"}]},
    ]
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]',
        "gen_ai.input.messages": json.dumps(conversation),
    }
    found = made(given)
    assert json.loads(found["mlflow.spanInputs"]) == {
        "model": "m",
        "temperature": 0.5,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "name": "guide",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "look_up", "arguments": '{"city": "Oslo"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 4}'},
            {"role": "tool", "tool_call_id": "c2", "content": "five"},
        ],
    }
    assert found["mlflow.message.format"] == "openai"


def test_answers() -> None:
    """Each answer is a choice with the reason that it ended for; thoughts and refusals stand beside the words."""
    answers = [
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "Yes."}]},
        {"role": "assistant", "parts": [{"type": "refusal", "content": "No."}]},
    ]
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.id": "r1",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.finish_reasons": ["tool_call", "stop"],
        "gen_ai.output.messages": json.dumps(answers),
    }
    assert json.loads(made(given)["mlflow.spanOutputs"]) == {
        "id": "r1",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
                "finish_reason": "tool_calls",
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": "No.", "refusal": "No."},
                "finish_reason": "stop",
            },
        ],
    }


def test_data_that_was_sent_along() -> None:
    """Data that a span keeps no more of than its size is told in words: no part hides the whole conversation."""
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "size": 12000, "sha256": "ab12ff"}
    found = made({"gen_ai.operation.name": "chat", "gen_ai.input.messages": messages(blob)})
    (message,) = json.loads(found["mlflow.spanInputs"])["messages"]
    assert message == {"role": "user", "content": "[image image/png 12 kB sha256:ab12…]"}


def test_a_tool() -> None:
    """Arguments and result are objects where they are JSON, and texts where they are not."""
    given = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": '{"city":"Oslo"}'}
    found = made({**given, "gen_ai.tool.call.result": "cold"})
    assert (found["mlflow.spanInputs"], found["mlflow.spanOutputs"]) == ('{"city":"Oslo"}', "cold")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("plain", "plain"), ("42", 42), ("true", True), ('["a"]', '["a"]'), ('"a"', "a"), ("{no json", "{no json")],
)
def test_values(value: str, expected: Any) -> None:
    """A value goes as the server reads it back: numbers as numbers, JSON as JSON, a text as a text."""
    assert made({"input.value": value})["mlflow.spanInputs"] == expected


def test_documents() -> None:
    """What a retriever found are documents, with where they come from under MLflow's name."""
    found = [{"content": "28 days", "id": "h1", "score": 0.8, "metadata": {"source": "handbook.md"}}, {"content": "x"}]
    given = {"gen_ai.operation.name": "retrieval", "input.value": "holiday?", "output.value": json.dumps(found)}
    made_ = made(given)
    assert made_["mlflow.spanInputs"] == "holiday?"
    assert json.loads(made_["mlflow.spanOutputs"]) == [
        {
            "page_content": "28 days",
            "metadata": {"source": "handbook.md", "doc_uri": "handbook.md", "score": 0.8},
            "id": "h1",
        },
        {"page_content": "x", "metadata": {}, "id": None},
    ]


def test_tools() -> None:
    """Definitions of tools of every provider are in OpenAI's shape."""
    schema = {"type": "object"}
    function = {"name": "f", "description": "d", "parameters": schema}
    definitions = [
        {"type": "function", "function": function},
        {"type": "function", **function},
        {"name": "f", "description": "d", "input_schema": schema},
        {"function_declarations": [{"name": "f", "description": "d", "parameters": schema}]},
        {"type": "web_search"},
        {"description": "nameless"},
        "no tool",
    ]
    found = json.loads(made({"gen_ai.tool.definitions": json.dumps(definitions)})["mlflow.chat.tools"])
    assert found[:4] == [{"type": "function", "function": function}] * 4
    assert found[4:] == [{"type": "function", "function": {"name": "web_search"}}]


def test_tokens_and_cost() -> None:
    """The total is always there, what the provider did not say is none, and a known price gives all three costs."""
    given = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 400,
    }
    found = made(given)
    assert json.loads(found["mlflow.chat.tokenUsage"]) == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "cache_read_input_tokens": 400,
    }
    expected = {"input_cost": 0.00012, "output_cost": 0.00006, "total_cost": 0.00018}
    assert json.loads(found["mlflow.llm.cost"]) == pytest.approx(expected)
    unknown = made({**given, "gen_ai.request.model": "my-own"})
    assert "mlflow.llm.cost" not in unknown
    embedded = made({"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 5})
    usage = {"input_tokens": 5, "output_tokens": 0, "total_tokens": 5}
    assert json.loads(embedded["mlflow.chat.tokenUsage"]) == usage
    assert "mlflow.chat.tokenUsage" not in made({"gen_ai.operation.name": "chat"})


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("openai", "openai"), ("aws.bedrock", "bedrock"), ("gcp.gemini", "gemini"), ("Acme", "acme"), ("x_ai", "xai")],
)
def test_providers(provider: str, expected: str) -> None:
    """A provider is called what its file in MLflow's price list is called."""
    assert made({"gen_ai.provider.name": provider})["mlflow.llm.provider"] == expected


def test_tags_of_a_trace() -> None:
    """A root says its trace's name and tags, in MLflow's bounds; none of MLflow's own, and no other span does."""
    labels = {"autotrace.tags": '{"plan":"pro","n":3,"mlflow.user":"x","":"y"}', "autotrace.trace.name": "support"}
    root = made(labels, None)
    tags = {key: value for key, value in root.items() if key.startswith("mlflow.traceTag.")}
    assert tags == {
        "mlflow.traceTag.mlflow.traceName": "support",
        "mlflow.traceTag.plan": "pro",
        "mlflow.traceTag.n": "3",
    }
    assert not [key for key in made(labels) if key.startswith("mlflow.traceTag.")]
    assert trace_tags(span(new_trace(), 1, None, {"autotrace.tags": "[]"}))["mlflow.traceName"] == "span 1"


def test_long_ids() -> None:
    """An id that is too long is cut and ends in a hash, so that two of them stay two."""
    found = made({"session.id": "a" * 300, "gen_ai.conversation.id": "a" * 300, "user.id": "a" * 299 + "b"})
    assert len(found["session.id"]) == len(found["gen_ai.conversation.id"]) == 250
    assert found["session.id"] == found["gen_ai.conversation.id"] != found["user.id"]
    assert identifier("a\0b", 250) == "a␀b"


def test_nested_usage_counts_in_the_outer_call() -> None:
    """MLflow counts nothing beneath a span with tokens: what lies there is in the outer one's figures."""
    trace = new_trace()
    records = [chat(trace, 3, 2, (7, 1)), chat(trace, 2, 1, (30, 3)), span(trace, 1)]
    (found,) = traces_in(records, lambda spans, why: pytest.fail(why))
    totals = {
        number: json.loads(found.attributes[f"{number:016x}"]["mlflow.chat.tokenUsage"])["total_tokens"]
        for number in (2, 3)
    }
    assert totals == {2: 41, 3: 8}


def test_status_and_errors() -> None:
    """A span that says nothing of its status is OK; an error without an exception gets one to show."""
    assert sendable(span(new_trace())).body["status"] == "ok"
    bad = span(new_trace(), 1, None, {"error.type": "KeyError"}, status="error", message="'a'")
    (event,) = sendable(bad).body["events"]
    assert event["attributes"] == {"exception.type": "KeyError", "exception.message": "'a'"}
    assert sendable(sendable(bad)).body["events"] == [event]


def test_previews() -> None:
    """What is shown of a request are the words in it, wherever they stand."""
    assert previews.request({"gen_ai.input.messages": said("user", "Why?")}, 100) == "Why?"
    assert previews.request({"input.value": '{"question":"Why?"}'}, 100) == "Why?"
    assert previews.request({"input.value": '{"messages":[{"role":"user","content":"Why?"}]}'}, 100) == "Why?"
    assert previews.request({"input.value": '{"a":1,"b":2}'}, 100) == '{"a":1,"b":2}'
    call = {"type": "tool_call", "name": "look_up", "arguments": {"city": "Oslo"}}
    shown = previews.response({"gen_ai.output.messages": messages(call, role="assistant")}, 100)
    assert shown == 'look_up({"city": "Oslo"})'
    assert previews.response({"output.value": "x" * 200}, 100) == "x" * 99 + "…"
    assert previews.response({}, 100) is None


def test_where_a_trace_comes_from() -> None:
    """A release that is a commit is one; a service nobody has named, and what each process has, are no tags."""
    resource = {
        "service.name": "unknown_service:python",
        "service.version": "4f2a9c1",
        "deployment.environment.name": "production",
        "host.name": "vm",
        "telemetry.sdk.name": "opentelemetry",
    }
    assert metadata_of_process(resource) == {
        "mlflow.trace_schema.version": "3",
        "mlflow.source.name": "vm",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "4f2a9c1",
        "environment": "production",
        "app_version": "4f2a9c1",
    }
    assert "mlflow.source.git.commit" not in metadata_of_process({"service.version": "2.1.0"})
    assert tags_of_process(resource) == {"service.version": "4f2a9c1", "deployment.environment.name": "production"}


#: Attributes that are read.
READ = [
    "gen_ai.input.messages",
    "gen_ai.operation.name",
    "gen_ai.output.messages",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.definitions",
    "gen_ai.usage.input_tokens",
    "autotrace.tags",
    "autotrace.trace.name",
    "input.value",
    "openinference.span.kind",
    "output.value",
    "session.id",
    "user.id",
]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(READ), JSON | JSON.map(json.dumps), max_size=6))
def test_anything(values: dict[str, Any]) -> None:
    """Whatever attributes hold, a span has a type, a name and only attributes that can be sent."""
    record = span(new_trace(), 1, None, values)
    problems: list[str] = []
    traces = traces_in([record], lambda spans, why: problems.append(why))
    assert problems == []
    found = traces[0].attributes[record.span_id]
    assert found["mlflow.spanType"].isupper()
    assert found["mlflow.traceTag.mlflow.traceName"]
    shown = previews.request(values, 100), previews.response(values, 100)
    assert all(text is None or 0 < len(text) <= 100 for text in shown)
    assert encode(sendable(record), lambda given: found) is not None
