"""Which calls are spans, and the tokens of each."""

from collections.abc import Callable
from typing import Any

import pytest
from google.genai import errors, types

import autotrace
from autotrace import Usage
from autotrace.testing import Spans

from .conftest import MODEL, QUESTION, Sdk

Play = Callable[[str], Sdk]


# Real annotations: older versions of the SDK do not read those that are texts.
def temperature(city: str) -> int:
    """The temperature in a city, in degrees."""
    with autotrace.span(city):
        return 4


@pytest.mark.parametrize("streamed", [False, True])
def test_usage(play: Play, spans: Spans, streamed: bool) -> None:
    """Tokens are the provider's: thoughts count as output, cached ones as input; a stream's totals are not summed."""
    sdk = play("answer")
    sdk.all(sdk.stream()) if streamed else sdk.ask()
    assert spans.usage == Usage(1420, 11 + 37, reasoning=37, cache_read=1024, audio_input=120)


def test_usage_of_tools(play: Play, spans: Spans) -> None:
    """What the provider's own tools found is input, which the API counts beside the prompt."""
    play("parts").ask()
    assert spans.usage == Usage(30 + 200, 50 + 10, reasoning=10, audio_input=7, audio_output=10)


@pytest.mark.parametrize("streamed", [False, True])
def test_function_calling(play: Play, spans: Spans, streamed: bool) -> None:
    """Every request that automatic function calling makes is a span with its own tokens; functions run beside them."""
    sdk = play("function_calling")
    config = {"tools": [temperature]}
    with autotrace.span("program"):
        if streamed:
            assert [piece.text for piece in sdk.all(sdk.stream(**config)) if piece.text] == ["Oslo 4, Bergen 4."]
        else:
            assert sdk.ask(**config).text == "Oslo 4, Bergen 4."
    request = f"  generate_content {MODEL}"
    assert spans.outline().splitlines() == ["program", request, "  Oslo", request, "  Bergen", request]
    found = [span for span in spans.all() if span.framework]
    assert [span.usage[:2] for span in found] == [(60, 42), (110, 17), (160, 9)]
    assert [span["response.finish_reasons"] for span in found] == [["tool_call"], ["tool_call"], ["stop"]]
    assert [len(span["input.messages"]) for span in found] == [
        len(sent.json["contents"]) for sent in sdk.server.requests
    ]
    assert [message["role"] for message in found[2]["input.messages"]][:3] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("streamed", [False, True])
def test_chat(play: Play, spans: Spans, streamed: bool) -> None:
    """A chat's messages are calls, each with the conversation so far."""
    sdk = play("answer")
    chat = sdk.call("chats.create", model=MODEL, config=types.GenerateContentConfig(system_instruction="Be brief."))
    for _ in range(2):
        if streamed:
            sdk.all(sdk.wait(chat.send_message_stream(QUESTION)))
        else:
            sdk.wait(chat.send_message(QUESTION))
    first, second = spans.all()
    assert len(first["input.messages"]) == 1
    assert second["system_instructions"] is not None
    if not streamed:  # some versions of the SDK forget a turn that ends with an empty text
        assert [message["role"] for message in second["input.messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("streamed", [False, True])
def test_continuation(play: Play, spans: Spans, streamed: bool) -> None:
    """Every request that a long answer takes is a span with its own tokens, though the SDK makes one reply of them."""
    if "automatic_continuation" not in types.GenerateContentConfig.model_fields:
        pytest.skip("this version of the SDK does not go on by itself")
    sdk = play("continuation")
    if streamed:
        assert "".join(piece.text or "" for piece in sdk.all(sdk.stream())) == "One, two."
    else:
        assert sdk.ask().usage_metadata.candidates_token_count == 105
    found = spans.all()
    assert [span["response.id"] for span in found] == ["hop_1", "hop_2"]
    assert [span.usage for span in found] == [Usage(10, 100), Usage(110, 5)]
    assert [span["response.finish_reasons"] for span in found] == [["length"], ["stop"]]


def test_http_response(play: Play, spans: Spans) -> None:
    """A program that wants the HTTP response alone is billed as well."""
    if "should_return_http_response" not in types.GenerateContentConfig.model_fields:
        pytest.skip("this version of the SDK does not return it")
    reply = play("answer").ask(should_return_http_response=True)
    assert reply.candidates is None
    span = spans.one()
    assert span.usage.output_tokens == 48
    assert [part["type"] for part in span["output.messages"][0]["parts"]] == ["reasoning", "text"]


def test_stream_that_is_closed(play: Play, spans: Spans) -> None:
    """A stream that is closed half-way ends its span at once, with what has come."""
    sdk = play("answer")
    stream = sdk.stream()
    sdk.next(stream)
    sdk.next(stream)
    assert spans.all() == []
    sdk.close(stream)
    sdk.rest()
    span = spans.one()
    assert (span.status, span.outcome) == ("unset", "closed")
    assert (span.usage.input_tokens, span.usage.output_tokens) == (1420, 38)
    assert span["output.messages"][0]["parts"][1]["content"] == "In "


def test_stream_that_is_left(play: Play, spans: Spans) -> None:
    """A stream that nobody holds any more ends its span, in a round of automatic function calling too."""
    sdk = play("answer")
    stream = sdk.stream(tools=[temperature])
    sdk.next(stream)
    del stream
    sdk.rest()
    assert spans.one().outcome == "closed"


def test_stream_that_breaks(play: Play, spans: Spans) -> None:
    """A connection that is lost half-way fails the span, which keeps what has come."""
    sdk = play("answer")
    sdk.server.cut(after=3)
    stream = sdk.stream()
    with pytest.raises(Exception) as caught:
        sdk.all(stream)
    span = spans.one()
    kind = type(caught.value)
    assert (span.status, span["error.type"]) == ("error", f"{kind.__module__}.{kind.__qualname__}")
    assert span.usage.output_tokens == 41


@pytest.mark.parametrize(("status", "kind"), [(429, errors.ClientError), (503, errors.ServerError)])
@pytest.mark.parametrize("streamed", [False, True])
def test_error(play: Play, spans: Spans, status: int, kind: type[Exception], streamed: bool) -> None:
    """An error of the API's passes as it is, and its span says which it was."""
    sdk = play("answer")
    sdk.server.fail(status, json={"error": {"code": status, "message": "Not now.", "status": "NO"}}, times=10)
    with pytest.raises(kind) as caught:
        sdk.all(sdk.stream()) if streamed else sdk.ask()
    assert type(caught.value) is kind
    span = spans.one()
    assert (span.status, span["error.type"]) == ("error", f"google.genai.errors.{kind.__name__}")
    assert span.usage == Usage()


def test_embeddings(play: Play, spans: Spans) -> None:
    """Vectors are told by their number and length; the Gemini API says nothing of tokens."""
    config = {"output_dimensionality": 3}
    sdk = play("embeddings")
    sdk.call("models.embed_content", model="gemini-embedding-001", contents=["one", "two"], config=config)
    span = spans.one()
    assert (span.name, span.status) == ("embeddings gemini-embedding-001", "ok")
    assert (span["input.value"], span["output.value"]) == ('["one","two"]', "<2 vectors>")
    assert span["embeddings.dimension.count"] == 3
    assert span.usage == Usage()


def test_vertex(play: Play, spans: Spans) -> None:
    """A client of Vertex AI is told as that; its embeddings are billed by the tokens of each text."""
    sdk = play("vertex")
    sdk.to_vertex()
    sdk.ask()
    path = f"projects/acme/locations/us-central1/publishers/google/models/{MODEL}"
    sdk.ask(model=path)
    sdk.call("models.embed_content", model="text-embedding-005", contents=["one", "two"])
    found = spans.all()
    assert [span["provider.name"] for span in found] == ["gcp.vertex_ai"] * 3
    assert [span.name for span in found] == [f"generate_content {MODEL}"] * 2 + ["embeddings text-embedding-005"]
    assert [span.usage.input_tokens for span in found] == [8, 8, 12]
    assert found[2]["embeddings.dimension.count"] == 3


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
def test_images(play: Play, spans: Spans) -> None:
    """Images are told by size and hash; one that was withheld by why."""
    config: dict[str, Any] = {"number_of_images": 2, "include_rai_reason": True}
    sdk = play("images")
    sdk.to_vertex()
    sdk.call("models.generate_images", model="imagen-4.0-generate-001", prompt="A heron", config=config)
    span = spans.one()
    assert span.name == "image_generation imagen-4.0-generate-001"
    assert (span["output.type"], span["request.choice.count"]) == ("image", 2)
    assert span["input.messages"][0]["parts"] == [{"type": "text", "content": "A heron"}]
    image, refusal = span["output.messages"][0]["parts"]
    assert (image["type"], image["mime_type"], image["size"]) == ("blob", "image/png", 8)
    assert refusal == {"type": "refusal", "content": "Unsafe."}


def test_count_tokens(play: Play, spans: Spans) -> None:
    """Counting tokens asks no model and is not billed: no span."""
    assert play("count").call("models.count_tokens", model=MODEL, contents=QUESTION).total_tokens == 31
    assert spans.all() == []
