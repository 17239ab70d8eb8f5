"""What becomes of attributes in each dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.delivery.destinations.otlp.dialects import DIALECTS, datadog, langfuse, openinference

CHAT: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt",
    "gen_ai.response.model": "gpt-2026",
    "gen_ai.conversation.id": "s1",
    "session.id": "s1",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_write.input_tokens": 2,
    "gen_ai.usage.cache_creation.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 1,
    "gen_ai.usage.audio.input_tokens": 3,
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {}}]}]
    ),
    "gen_ai.tool.definitions": '[{"name": "f"}]',
    "autotrace.tags": '{"team": "a", "run": 3}',
    "autotrace.trace.name": "the trace",
}


def added(attributes: Any, translated: Any) -> dict[str, Any]:
    assert translated.items() >= attributes.items()
    return {key: value for key, value in translated.items() if key not in attributes}


def test_genai_is_what_is_recorded() -> None:
    """The default changes nothing."""
    assert DIALECTS["genai"].translate is None


def test_openinference() -> None:
    """OpenInference's names stand beside ours; an input is shown as text, a tool call as JSON."""
    assert added(CHAT, openinference(CHAT)) == {
        "llm.provider": "openai",
        "llm.model_name": "gpt-2026",
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 5,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 2,
        "llm.token_count.prompt_details.audio": 3,
        "llm.token_count.completion_details.reasoning": 1,
        "llm.tools.0.tool.json_schema": '{"name":"f"}',
        "input.value": "hello",
        "input.mime_type": "text/plain",
        "output.value": CHAT["gen_ai.output.messages"],
        "output.mime_type": "application/json",
        "metadata": '{"team": "a", "run": 3}',
    }


def test_openinference_of_tools_and_embeddings() -> None:
    """Tools have an input and an output, embeddings their model under a name of its own."""
    tool = {
        "openinference.span.kind": "TOOL",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.arguments": '{"city": "Rome"}',
        "gen_ai.tool.call.result": "rain",
    }
    assert added(tool, openinference(tool)) == {
        "tool.name": "weather",
        "tool.parameters": '{"city": "Rome"}',
        "input.value": '{"city": "Rome"}',
        "input.mime_type": "application/json",
        "output.value": "rain",
        "output.mime_type": "text/plain",
    }
    embedding = {"openinference.span.kind": "EMBEDDING", "gen_ai.request.model": "m"}
    assert added(embedding, openinference(embedding)) == {"embedding.model_name": "m"}


def test_openinference_leaves_what_is_there() -> None:
    """What a span has under OpenInference's names stays."""
    chain = {"input.value": "mine", "input.mime_type": "x/y", "llm.model_name": "mine", **CHAT}
    translated = openinference(chain)
    assert (translated["input.value"], translated["input.mime_type"]) == ("mine", "x/y")
    assert translated["llm.model_name"] == "mine"
    assert openinference(translated) == translated


def test_langfuse() -> None:
    """Counts that Langfuse would add up twice are left out; what it says of a trace has its names."""
    translated = langfuse(CHAT)
    assert {key for key in CHAT if key not in translated} == {
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.audio.input_tokens",
    }
    assert translated["gen_ai.usage.cache_creation.input_tokens"] == 2
    assert {key: value for key, value in translated.items() if key not in CHAT} == {
        "langfuse.trace.name": "the trace",
        "langfuse.trace.metadata.team": "a",
        "langfuse.trace.metadata.run": 3,
    }


def test_datadog() -> None:
    """One vocabulary on a span, unless the other one alone says what it is."""
    assert CHAT.keys() - datadog(CHAT).keys() == {"openinference.span.kind", "gen_ai.system"}
    chain = {"openinference.span.kind": "CHAIN"}
    assert datadog(chain) == chain


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@pytest.mark.parametrize("dialect", [openinference, langfuse, datadog])
@given(st.dictionaries(st.sampled_from(sorted(CHAT)) | st.text(), VALUES | VALUES.map(lambda v: json.dumps(v))))
def test_any_attributes(dialect: Any, attributes: dict[str, Any]) -> None:
    """Attributes may hold what they like, and are never changed in place."""
    before = dict(attributes)
    dialect(attributes)
    assert attributes.keys() == before.keys()
    assert all(attributes[key] is before[key] for key in before)
