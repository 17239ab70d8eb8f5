"""Arguments and replies of every shape: none is consumed, changed, or raw on a span, and none makes us fail."""

from __future__ import annotations

import base64
import collections
import enum
import json
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy
import openai
import pydantic
import pytest

from autotrace.testing.openai_server import (
    Cut,
    Drop,
    Empty,
    Hang,
    Huge,
    Literal,
    LoneSurrogate,
    Malformed,
    Status,
    Surprise,
)

HELLO = [{"role": "user", "content": "hello"}]


class Model(str, enum.Enum):
    """A model by an enum's member."""

    SMALL = "gpt-4o-mini"


class Turn(pydantic.BaseModel):
    """A message as a model of the program's own."""

    role: str
    content: str


def outcome(error: BaseException) -> tuple[type, str]:
    """What the program sees of an error."""
    return type(error), str(error)


ODD: dict[str, dict[str, Any]] = {
    "enum": {"model": Model.SMALL, "messages": HELLO},
    "not given": {"model": "m", "messages": HELLO, "temperature": openai.NOT_GIVEN, "tools": openai.NOT_GIVEN},
    "none": {"model": "m", "messages": HELLO, "temperature": None, "stop": None},
    "tuple": {"model": "m", "messages": tuple(HELLO), "stop": ("a", "b")},
    "ordered dict": {"model": "m", "messages": [collections.OrderedDict(HELLO[0])]},
    "proxy": {"model": "m", "messages": [types.MappingProxyType(HELLO[0])]},
    "pydantic": {"model": "m", "messages": [Turn(role="user", content="hello")]},
    "numpy": {"model": "m", "messages": HELLO, "temperature": numpy.float64(0.5), "seed": int(numpy.int64(3))},
    "numpy int": {"model": "m", "messages": HELLO, "seed": numpy.int64(3)},
    "nan": {"model": "m", "messages": HELLO, "temperature": float("nan")},
    "infinity": {"model": "m", "messages": HELLO, "top_p": float("inf")},
    "bytes": {"model": "m", "messages": [{"role": "user", "content": b"hello"}]},
    "bytes model": {"model": b"m", "messages": HELLO},
    "number model": {"model": 7, "messages": HELLO},
    "huge number": {"model": "m", "messages": HELLO, "seed": 2**80},
    "object": {"model": "m", "messages": [{"role": "user", "content": object()}]},
    "set": {"model": "m", "messages": HELLO, "stop": {"a"}},
    "text messages": {"model": "m", "messages": "hello"},
    "number messages": {"model": "m", "messages": 7},
    "empty message": {"model": "m", "messages": [{}]},
    "none message": {"model": "m", "messages": [None]},
    "strange parts": {"model": "m", "messages": [{"role": "user", "content": [7, None, {"type": 3}, {"text": "x"}]}]},
    "strange role": {"model": "m", "messages": [{"role": 7, "content": {"a": 1}, "name": 3, "tool_calls": 7}]},
    "strange tools": {"model": "m", "messages": HELLO, "tools": [{"type": "x"}], "stop": 7, "max_tokens": "many"},
    "omitted": {"model": "m", "messages": HELLO, "temperature": getattr(openai, "omit", openai.NOT_GIVEN)},
    "surrogate": {"model": "m", "messages": [{"role": "user", "content": "\ud83d"}]},
    "reply as message": {
        "model": "m",
        "messages": [
            openai.types.chat.ChatCompletionMessage.model_validate({"role": "assistant", "content": "hello", "x": 1})
        ],
    },
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_odd_arguments(sdk: Any, spans: Any, server: Any, case: str, stream: bool) -> None:
    """L22: whatever is passed, the outcome is what it would have been, and only plain values reach the span."""
    outcomes: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        server.reset()
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                reply = await sdk.call("chat.completions.create", stream=stream, **ODD[case])
                pieces = await sdk.all(reply) if stream else [reply]
            told = sorted({str(warning.message) for warning in warned})
            outcomes.append(
                ([piece.to_dict() for piece in pieces], [request.body for request in server.requests], told)
            )
        except Exception as error:
            outcomes.append(_without_address(error))
    assert outcomes[0] == outcomes[1]
    for span in spans.all():
        for value in span.attributes.values():
            assert type(value) in (str, bool, int, float, list)
        assert span["input.messages"] is None or isinstance(span.input, list)


def _without_address(error: Exception) -> tuple[type, str]:
    return type(error), str(error).partition(" at 0x")[0]


@pytest.mark.both_roads
@pytest.mark.parametrize("case", ["nan", "infinity", "numpy int", "huge number", "bytes model", "surrogate"])
async def test_odd_values_on_either_road(sdk: Any, spans: Any, case: str) -> None:
    """L22: numbers that JSON has no word for, bytes and half pairs leave a span that can be stored."""
    try:
        await sdk.call("chat.completions.create", **ODD[case])
    except Exception:
        assert spans.one().status == "error"
    span = spans.one()
    assert None not in span.attributes.values()
    assert span["operation.name"] == "chat"


@pytest.mark.parametrize("case", ["enum", "tuple", "ordered dict", "proxy", "pydantic", "reply as message"])
async def test_odd_messages_are_told(sdk: Any, spans: Any, case: str) -> None:
    """L22: messages that are no plain dicts are told like any other, where the SDK can send them."""
    try:
        await sdk.call("chat.completions.create", **ODD[case])
    except TypeError:
        assert spans.one().status == "error"
    assert spans.one().input[0]["parts"] == [{"type": "text", "content": "hello"}]
    if case == "enum":
        assert spans.one()["request.model"] == "gpt-4o-mini"


def turns(pulled: list[int]) -> Iterator[dict[str, Any]]:
    """Messages that can be read once."""
    for number in range(2):
        pulled.append(number)
        yield {"role": "user", "content": f"turn {number}"}


async def test_generators_are_not_consumed(sdk: Any, spans: Any, server: Any) -> None:
    """L23: a generator given as messages reaches the server as without autotrace: nobody of us reads it."""
    bodies: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        pulled: list[int] = []
        server.reset()
        try:
            await sdk.call("chat.completions.create", model="m", messages=turns(pulled))
            bodies.append((server.requests[0].body, pulled))
        except TypeError as error:
            bodies.append((_without_address(error), pulled))
    assert bodies[0] == bodies[1]
    assert len(spans.all()) == 1


@pytest.mark.parametrize("name", ["embeddings.create", "moderations.create", "responses.create"])
async def test_generators_as_input_are_not_consumed(sdk: Any, spans: Any, server: Any, name: str) -> None:
    """L23: the same of `input`, on the APIs that have one."""
    outcomes: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        server.reset()
        try:
            await sdk.call(name, model="m", input=(word for word in ("one", "two")))
            outcomes.append(server.requests[0].body)
        except Exception as error:
            outcomes.append(_without_address(error))
    assert outcomes[0] == outcomes[1]


async def test_a_file_is_not_read_by_us(sdk: Any, spans: Any, server: Any) -> None:
    """L23: a file object that is uploaded is read once, from its start to its end, by the SDK."""
    import io

    reads: list[int] = []

    class Sound(io.BytesIO):
        name = "sound.wav"

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            reads.append(len(data))
            return data

    counts = []
    for switch in (spans.off, spans.on):
        switch()
        reads.clear()
        await sdk.call("audio.transcriptions.create", model="whisper-1", file=Sound(b"RIFF" + bytes(5000)))
        counts.append(list(reads))
    assert counts[0] == counts[1]


@pytest.mark.both_roads
async def test_large_content(sdk: Any, spans: Any, server: Any) -> None:
    """L42: of a picture of 10 MB size and hash are kept, of an answer of 10 MB the beginning; the JSON stays valid."""
    data = base64.b64encode(bytes(10_000_000)).decode()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + data}}
    server.script(Huge(10_000_000))
    reply = await sdk.call("chat.completions.create", model="m", messages=[{"role": "user", "content": [picture]}])
    assert len(reply.choices[0].message.content) == 10_000_000
    span = spans.one()
    assert span.input[0]["parts"][0]["size"] == 10_000_000
    assert len(span["input.messages"]) < 1000
    answer = span.output[0]["parts"][0]["content"]
    assert answer.endswith("more characters]")
    assert len(span["output.messages"]) < 4_100_000


async def test_many_messages(sdk: Any, spans: Any) -> None:
    """L42: a conversation of 2,000 turns of 5 KB stays within the limit of an attribute, as valid JSON."""
    messages = [{"role": "user", "content": "x" * 5000}] * 2000
    await sdk.call("chat.completions.create", model="m", messages=messages)
    span = spans.one()
    assert len(span["input.messages"]) <= 4_000_000
    assert isinstance(span.input, list)
    assert len(span.attributes) < 128


async def test_a_lone_surrogate_in_the_answer(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L42: an answer with half a pair is the program's as it is, and on the span as text that can be written."""
    if not api.streams:
        pytest.skip("embeddings have no text")
    for stream in (False, True):
        server.script(LoneSurrogate())
        reply = await sdk.create(api, stream=stream)
        if stream:
            await sdk.all(reply)
    for span in spans.all():
        span["output.messages"].encode()
        assert span.output[0]["parts"][0]["content"].startswith("half a face")


STRANGE: dict[str, Any] = {
    "surprise": Surprise(),
    "empty": Empty(),
    "malformed": Malformed(),
    "drop": Drop(),
    "cut": Cut(),
    "array": Literal(body=b"[1,2,3]", headers={"content-type": "application/json"}),
    "number": Literal(body=b"7", headers={"content-type": "application/json"}),
    "null": Literal(body=b"null", headers={"content-type": "application/json"}),
    "text": Literal(body=b"hello", headers={"content-type": "text/plain"}),
    "html": Literal(body=b"<html>proxy</html>", headers={"content-type": "text/html"}),
    "choices of nothing": Literal(
        body=b'{"choices":[null,7,{}],"usage":7}', headers={"content-type": "application/json"}
    ),
    "choices no list": Literal(body=b'{"choices":7,"output":7,"data":7}', headers={"content-type": "application/json"}),
    "output of nothing": Literal(
        body=b'{"object":"response","output":[null,7,{},{"type":7},{"type":"message","content":[null]}],"usage":{"input_tokens":{}}}',
        headers={"content-type": "application/json"},
    ),
    "error in a good status": Literal(body=b'{"error":{"message":"no"}}', headers={"content-type": "application/json"}),
}


@pytest.mark.apis("chat", "responses", "embeddings")
@pytest.mark.parametrize("case", STRANGE)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_strange_replies(sdk: Any, spans: Any, server: Any, api: Any, case: str, stream: bool) -> None:
    """L20: a reply of unknown shape, or none, reaches the program as it would without autotrace; one span ends."""
    if stream and not api.streams:
        pytest.skip("embeddings do not stream")
    outcomes: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        server.script(STRANGE[case])
        try:
            reply = await sdk.create(api, **({"stream": True} if stream else {}))
            outcomes.append([repr(piece) for piece in await sdk.all(reply)] if stream else repr(reply))
        except Exception as error:
            outcomes.append((*outcome(error), outcome(error.__cause__) if error.__cause__ else None))
    assert outcomes[0] == outcomes[1]
    assert len(spans.all()) == 1


EVENTS = {
    "numbers": [7, None, "text", []],
    "empty": [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"index": 0, "delta": {}}]}],
    "null fields": [{"choices": [{"index": None, "delta": None, "finish_reason": None}], "usage": None}],
    "odd calls": [{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}, {"function": None}]}}]}],
    "odd types": [{"type": 7}, {"type": "response.unknown"}, {"type": "response.completed"}, {"type": "error"}],
}


@pytest.mark.streams
@pytest.mark.parametrize("case", EVENTS)
async def test_strange_events(sdk: Any, spans: Any, server: Any, api: Any, case: str) -> None:
    """L20: a stream of events of unknown shape is the program's as it would be, and one span ends."""
    lines = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS[case])
    outcomes: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        server.script(Literal(body=lines + b"data: [DONE]\n\n", headers={"content-type": "text/event-stream"}))
        try:
            outcomes.append([repr(piece) for piece in await sdk.all(await sdk.create(api, stream=True))])
        except Exception as error:
            outcomes.append(outcome(error))
    assert outcomes[0] == outcomes[1]
    assert len(spans.all()) == 1


def places(error: BaseException) -> list[tuple[str, str]]:
    """File and function of each frame of a traceback, without ours and wrapt's."""
    found, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/autotrace/" not in code.co_filename and "/wrapt/" not in code.co_filename:
            found.append((code.co_filename, code.co_name))
        trace = trace.tb_next
    return found


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_errors_are_the_sdk_s_own(sdk: Any, spans: Any, server: Any, api: Any, status: int) -> None:
    """L20: an API error is of the same class, with the same text, body, cause and frames; the span has its type."""
    errors: list[Any] = []
    for switch in (spans.off, spans.on):
        switch()
        server.script(Status(status))
        with pytest.raises(openai.APIStatusError) as caught:
            await sdk.create(api)
        errors.append(caught.value)
    expected, error = errors
    assert outcome(error) == outcome(expected)
    assert error.body == expected.body
    assert type(error.__cause__) is type(expected.__cause__)
    assert type(error.__context__) is type(expected.__context__)
    assert error.__suppress_context__ == expected.__suppress_context__
    assert places(error) == places(expected)
    span = spans.one()
    assert (span.status, span["error.type"]) == ("error", f"openai.{type(error).__name__}")
    ((name, event),) = span.events
    assert name == "exception"
    assert event["exception.type"] == span["error.type"]
    assert "Scripted error" in event["exception.message"]


@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), SystemExit(2), GeneratorExit()], ids=repr)
async def test_an_error_is_the_very_object(sdk: Any, spans: Any, api: Any, error: BaseException) -> None:
    """L20: what is raised below the SDK and is none of its errors is the very object, cause and all."""
    error.__cause__ = cause = ValueError("the cause")
    if sdk.is_async and not isinstance(error, GeneratorExit):
        pytest.skip("an event loop stops at it")
    with pytest.raises(type(error)) as caught:
        await sdk.create(api, client=sdk.elsewhere(error=error))
    assert caught.value is error
    assert error.__cause__ is cause
    assert len(spans.all()) == 1


async def test_a_transport_s_error_stays_the_cause(sdk: Any, spans: Any, api: Any) -> None:
    """L20: the SDK's connection error keeps the transport's error as its cause (`raise ... from`)."""
    error = sdk.http.ConnectError("no route")
    with pytest.raises(openai.APIConnectionError) as caught:
        await sdk.create(api, client=sdk.elsewhere(error=error))
    assert caught.value.__cause__ is error
    assert spans.one()["error.type"] == "openai.APIConnectionError"


async def test_a_timeout_is_an_error(sdk: Any, spans: Any, server: Any, api: Any) -> None:
    """L20: a timeout of the SDK's own fails the span with its type."""
    hang = Hang()
    server.script(hang)
    with pytest.raises(openai.APITimeoutError):
        await sdk.create(api, timeout=0.05)
    hang.release()
    assert spans.one()["error.type"] == "openai.APITimeoutError"


class Hostile(dict[str, Any]):
    """A mapping that cannot be read by the SDK's rules but raises for anyone else."""

    def __init__(self, error: Exception) -> None:
        super().__init__(role="user", content="hello")
        self._error = error

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            raise object.__getattribute__(self, "_error")
        return super().__getattribute__(name)


async def test_our_own_errors_never_reach_the_program(
    sdk: Any, spans: Any, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """L20: when our reading of a request fails, the call works, its span is there, and one line is logged."""
    spans.on(strict=False)
    hostile = {"model": "m", "messages": [Hostile(RuntimeError("hostile"))]}
    for _ in range(3):
        await sdk.wait(sdk.client.post("/chat/completions", cast_to=object, body=hostile))
    spans.expect_failures("request mapper")
    assert [span.status for span in spans.all()] == ["ok"] * 3
    assert spans.billed == server.billed
    lines = [record.getMessage() for record in caplog.records if record.name == "autotrace"]
    assert len(lines) == 1
    assert "hostile" not in lines[0]
