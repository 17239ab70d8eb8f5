"""What a request asks, in every shape that is known, and in those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autotrace.recording.messages import Message, Part, ToolCall
from autotrace.serving.reading import Asked, Fields, read_request

from .conftest import asked, recording, words

USER = [{"role": "user", "content": "Why?"}]
WHY = [Message.user("Why?")]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": USER},
        {"messages": USER, "model": "gpt-5", "temperature": 0, "tools": []},
        {"input": USER},
        {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Why?"}]}]},
        {"input": {"messages": USER}, "config": {}},
        {"inputs": {"messages": USER}},
        {"instances": [{"messages": USER}]},
        {"dataframe_split": {"index": [0], "columns": ["messages", "n"], "data": [[USER, 1]]}},
        {"dataframe_records": [{"messages": USER}]},
        {"messages": [{"type": "human", "content": "Why?"}]},
        {"messages": [["human", "Why?"]]},
        {"messages": [{"type": "human", "data": {"content": "Why?", "type": "human"}}]},
        {"messages": [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
                       "kwargs": {"content": "Why?", "type": "human"}}]},
        {"id": "c", "messages": [{"id": "u", "role": "user", "parts": [{"type": "text", "text": "Why?"}]}]},
        {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]},
        {"newMessage": {"role": "user", "parts": [{"text": "Why?"}]}, "appName": "a"},
        {"jsonrpc": "2.0", "id": 1, "method": "message/send",
         "params": {"message": {"kind": "message", "role": "user", "parts": [{"kind": "text", "text": "Why?"}]}}},
        {"method": "SendMessage", "params": {"message": {"role": "ROLE_USER", "parts": [{"text": "Why?"}]}}},
        {"message": {"role": "user", "content": "Why?"}},
        {"role": "user", "content": "Why?"},
        USER,
    ],
)  # fmt: skip
def test_conversations(body: Any) -> None:
    """A conversation is one, whoever's shape it has."""
    assert (asked(body).messages, asked(body).input) == (WHY, None)


@pytest.mark.parametrize(
    "name",
    ["question", "query", "input", "prompt", "message", "text", "user_input", "userMessage", "content", "q", "inputs"],
)
def test_texts(name: str) -> None:
    """A text under a usual name is the question, whatever stands beside it."""
    assert asked({"top_k": 3, name: "Why?", "stream": True}).input == "Why?"
    assert asked({name: ["Why?"]}).input == "Why?"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Why?", "Why?"),
        ({"input": {"question": "Why?"}, "config": {"configurable": {}}}, "Why?"),
        ({"inputs": ["Why?"], "params": {"temperature": 0}}, "Why?"),
        ({"inputs": {"question": ["Why?"]}}, "Why?"),
        ({"dataframe_split": {"columns": ["question"], "data": [["Why?"]]}}, "Why?"),
        ({"query": "Why?", "inputs": {}, "response_mode": "streaming"}, "Why?"),
        ({"city": "Oslo", "days": 3}, {"city": "Oslo", "days": 3}),
        ({"input": {"city": "Oslo"}}, {"city": "Oslo"}),
        ({"inputs": [[1, 2], [3, 4]]}, [[1, 2], [3, 4]]),
        ({"input": ["one", "two"]}, ["one", "two"]),
        ({"query": {"match_all": {}}}, {"query": {"match_all": {}}}),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        (42, 42),
        (None, None),
        ("  ", None),
        ({}, None),
        ([], None),
        ({"question": ""}, {"question": ""}),
    ],
)
def test_values(body: Any, expected: Any) -> None:
    """What is no conversation is a text, or the value as it was sent."""
    assert (asked(body).input, asked(body).messages) == (expected, None)


def test_instructions_and_history() -> None:
    """What was said before a question, and what always holds, belong to the conversation."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    found = asked({"query": "Why?", "history": history, "system_prompt": "Be brief."})
    assert words(found.messages) == [
        ("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Why?")
    ]  # fmt: skip
    assert words(asked({"input": "Why?", "instructions": "Be brief."}).messages) == [
        ("system", "Be brief."), ("user", "Why?")
    ]  # fmt: skip
    anthropic = asked({"system": [{"type": "text", "text": "Be brief."}], "messages": USER})
    assert words(anthropic.messages) == [("system", "Be brief."), ("user", "Why?")]
    assert asked({"query": "Why?", "history": "none"}).input == "Why?"


def test_parts_of_messages() -> None:
    """Pictures, documents, sound, thoughts, calls of tools and their results are parts, in every dialect."""
    parts = [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f1"}},
        {"inlineData": {"mimeType": "video/mp4", "data": "aGk="}},
        {"type": "thinking", "thinking": "Hm"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"x": 1}},
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "done"}]},
        {"functionCall": {"name": "look", "args": {"x": 1}}},
        {"functionResponse": {"name": "look", "response": {"y": 2}}},
        {"type": "tool-look", "toolCallId": "t1", "input": {"x": 1}},
        {"type": "step-start"},
        {"type": "hologram", "beam": 1},
    ]
    (message,) = asked({"messages": [{"role": "user", "content": parts}]}).messages or []
    assert list(message.parts) == [
        Part.text("See"),
        Part.media("https://example.org/cat.png", "image"),
        Part.blob("aGk=", "image/png", "image"),
        Part.blob("aGk=", "image/png", "image"),
        Part.blob("aGk=", "audio/wav", "audio"),
        Part.file("f1", "document"),
        Part.blob("aGk=", "video/mp4", "video"),
        Part.reasoning("Hm"),
        ToolCall("look", {"x": 1}, "t1"),
        Part.tool_result("done", "t1"),
        ToolCall("look", {"x": 1}),
        Part.tool_result({"y": 2}, "look"),
        ToolCall("look", {"x": 1}, "t1"),
        Part("hologram", {"type": "hologram", "beam": 1}),
    ]


def test_calls_of_tools() -> None:
    """Calls and results of tools stand where they were made: in chat messages, in items, in LangChain's messages."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
    chat = [{"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "done"}, *USER]  # fmt: skip
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"x": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"type": "web_search_call", "id": "w1", "action": {"query": "x"}},
        *USER,
    ]
    langchain = [
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": "look", "args": {"x": 1}, "id": "c1", "type": "tool_call"}],
        },
        {"type": "tool", "content": "done", "tool_call_id": "c1"},
        {"type": "human", "content": "Why?"},
    ]
    result = ("tool", "<tool_call_response done>")
    assert words(asked({"messages": chat}).messages) == [("assistant", 'look({"x": 1})'), result, ("user", "Why?")]
    assert words(asked({"messages": langchain}).messages) == [("assistant", 'look({"x": 1})'), result, ("user", "Why?")]
    assert words(asked({"input": items}).messages) == [
        ("assistant", '<reasoning Hm> look({"x": 1})'), result, ("assistant", 'web_search({"query": "x"})'),
        ("user", "Why?"),
    ]  # fmt: skip


def test_not_every_list_is_a_conversation() -> None:
    """Lists of what only looks like messages stay what they are."""
    for value in ([{"role": "admin", "name": "Ann"}], [{"type": "human"}], [["a", "b"]], [{"content": "x"}, 7]):
        found = asked({"messages": value})
        assert found.messages is None
        assert found.input == {"messages": value}


def test_long_conversations_keep_their_end() -> None:
    """Of more messages than are read, the last ones are."""
    found = asked({"messages": [{"role": "user", "content": str(number)} for number in range(3000)]})
    assert words(found.messages)[-1] == ("user", "2999")
    assert len(found.messages or []) == 1000
    many = {"role": "user", "content": [{"type": "text", "text": "x"}] * 2900}
    assert words(asked({"messages": [*[many] * 9, *USER]}).messages)[-1] == ("user", "Why?")


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/x-www-form-urlencoded", b"question=Why+not%3F&x=1", "Why not?"),
        ("application/x-www-form-urlencoded", b"city=Oslo&days=3", {"city": "Oslo", "days": "3"}),
        ("application/x-www-form-urlencoded", b"&&=&x", None),
        ("text/plain; charset=utf-8", b"Why?", "Why?"),
        ("text/plain", b'{"question": "Why?"}', "Why?"),
        ("text/plain", b"[1] says so. Why?", "[1] says so. Why?"),
        ("text/plain; charset=iso-8859-1", "Où?".encode("latin-1"), "Où?"),
        ("text/plain; charset=nonsense", "Où?".encode(), "Où?"),
        (None, b'{"question": "Why?"}', "Why?"),
        (None, b"Why?", "Why?"),
        (None, b"\x89PNG\r\n\x00\x00", None),
        ("application/vnd.acme+json", b'{"question": "Why?"}', "Why?"),
        ("application/json", b"Why?", None),
        ("application/json", b'\xef\xbb\xbf{"question": "Why?"}', "Why?"),
        ("application/json", b'{"question": "Why\xff?"}', "Why\ufffd?"),
        ("application/json", b'{"question": "Why?", "top": NaN}', "Why?"),
        ("application/octet-stream", b"Why?", None),
        ("image/png", b'{"question": "Why?"}', None),
    ],
)
def test_content_types(content_type: str | None, body: bytes, expected: Any) -> None:
    """A body is read by its content type, and by its looks where that says little."""
    assert asked(body, content_type).input == expected


def test_multipart_forms() -> None:
    """Fields of a form with files: the files are left out, JSON in a field counts as what it stands for."""
    body = (
        b'--b1\r\nContent-Disposition: form-data; name="file"; filename="question"\r\n\r\nsecret\r\n'
        b'--b1\r\nContent-Disposition: form-data; name="session_id"\r\n\r\ns-1\r\n'
        b'--b1\r\nContent-Disposition: form-data; name="messages"\r\nContent-Type: application/json\r\n\r\n'
        + json.dumps(USER).encode()
        + b"\r\n--b1--\r\n"
    )
    found = asked(body, 'multipart/form-data; boundary="b1"')
    assert (found.messages, found.input, found.session) == (WHY, None, "s-1")
    assert asked(body, "multipart/form-data") == Asked()


def test_query_strings() -> None:
    """Where the body says nothing, the query string may; its other parameters are no question."""
    assert read_request("GET", None, b"q=Why%3F&session_id=s-1&user_id=7", b"", Fields()) == Asked(
        "Why?", None, "s-1", "7"
    )
    assert asked(b"", query=b"question=Why") == Asked("Why")
    assert asked({"top_k": 3}, query=b"question=Why").input == "Why"
    assert asked({"question": "Body?"}, query=b"question=Why&session_id=s").input == "Body?"
    assert asked(b"", query=b"page=2&size=10") == Asked()
    assert read_request("HEAD", None, b"q=Why", b"", Fields()) == Asked()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"messages": [{"role": "user", "content": "Tell me all ab', "Tell me all ab"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "Why?"}, {"role": "us', "Why?"),
        (b'{"question": "Why \\u00', "Why "),
        (b'{"question": "Why?", "top_k":', "Why?"),
        (b'{"question": "Caf\xc3', "Caf"),
    ],
)
def test_cut_off_bodies(body: bytes, expected: str) -> None:
    """A body of which only the beginning was kept says what it had said by then."""
    found = asked(body)
    assert (words(found.messages)[-1][1] if found.messages else found.input) == expected


@pytest.mark.parametrize(
    ("body", "session", "user"),
    [
        ({"session_id": "s", "user_id": "u"}, "s", "u"),
        ({"sessionId": "s", "userId": "u"}, "s", "u"),
        ({"conversation_id": "s", "user": "u"}, "s", "u"),
        ({"thread_id": "s", "user": {"id": "u"}}, "s", "u"),
        ({"chat-id": 7, "user_id": 8}, "7", "8"),
        ({"context": {"conversation_id": "s", "user_id": "u"}}, "s", "u"),
        ({"custom_inputs": {"session_id": "s", "user_id": "u"}}, "s", "u"),
        ({"metadata": {"session_id": "s", "user_id": "u"}}, "s", "u"),
        ({"config": {"configurable": {"thread_id": "s", "user_id": "u"}}}, "s", "u"),
        ({"config": {"metadata": {"session_id": "s"}}}, "s", None),
        ({"params": {"session_id": "s"}}, "s", None),
        ({"conversation": {"id": "conv_1"}}, "conv_1", None),
        ({"conversation": "User: hi\nBot: hello"}, None, None),
        ({"dataframe_records": [{"question": "x", "session_id": "s", "user_id": "u"}]}, "s", "u"),
        ({"input": {"question": "x", "session_id": "s"}}, "s", None),
        ({"params": {"message": {"contextId": "s", "role": "user", "parts": []}}}, "s", None),
        ({"message": {"contextId": "s", "role": "ROLE_USER", "parts": [{"text": "Why?"}]}}, "s", None),
        ({"id": "chat-1", "trigger": "submit-message", "messages": USER}, "chat-1", None),
        ({"id": "chat-1", "messages": USER}, None, None),
        ({"session_id": "", "thread_id": "s", "user_id": None}, "s", None),
        ({"session_id": True, "user_id": ["u"]}, None, None),
        ({"user_id": "one", "context": {"user_id": "two"}}, None, "one"),
    ],
)
def test_whose(body: Any, session: str | None, user: str | None) -> None:
    """Session and user are read from their usual fields, in any spelling, the outer ones first."""
    found = asked(body)
    assert (found.session, found.user) == (session, user)


def test_request_ids_and_models() -> None:
    """The request's own id, as Databricks' clients send it, and the model that is asked for."""
    found = asked({"messages": USER, "model": "gpt-5", "client_request_id": "r-1"})
    assert (found.request_id, found.model) == ("r-1", "gpt-5")
    assert asked({"databricks_options": {"client_request_id": "r-2"}}).request_id == "r-2"


def test_configured_fields() -> None:
    """Paths of the settings count before the usual places; where they lead nowhere, these do."""
    body = {
        "question": "Built in?", "session_id": "s", "user_id": "u",
        "data": {"turns": [{"said": "First?"}, {"said": "Last?"}]}, "tenant": {"chat": 7, "who": "Ann"},
    }  # fmt: skip
    found = asked(
        body, input=("nowhere.x", "data.turns.-1.said"), session=("tenant.chat",), user=("tenant.no", "tenant.who")
    )
    assert (found.input, found.session, found.user) == ("Last?", "7", "Ann")
    assert asked(body, input=("data.turns.0.said",)).input == "First?"
    assert asked(body, input=("data.turns.9.said", "data.x"), session=("q.r",)) == asked(body)
    assert asked({"chat": {"log": USER}}, input=("chat.log",)).messages == WHY
    assert asked(b"ask=Why", "application/x-www-form-urlencoded", input=("ask",)).input == "Why"


@pytest.mark.parametrize(
    ("name", "question", "session", "user"),
    [
        ("agent_server", "How warm is Oslo?", "chat-7", "alice"),
        ("chat_agent", "How warm is Oslo?", "chat-7", "alice"),
        ("dataframe_split", "How warm is Oslo?", None, None),
        ("langserve_chain_invoke", "How warm is Oslo?", "chat-7", "alice"),
        ("langgraph_invoke", "How warm is Oslo?", "chat-7", None),
        ("ag_ui", "How warm is Oslo?", "chat-7", None),
        ("ai_sdk", "How warm is Oslo?", "chat-7", None),
    ],
)
def test_real_requests(name: str, question: str, session: str | None, user: str | None) -> None:
    """What the libraries themselves took for a question."""
    found = asked(recording(name).request)
    assert (words(found.messages)[-1] if found.messages else ("user", found.input)) == ("user", question)
    assert (found.session, found.user) == (session, user)


def test_large_values_are_cut() -> None:
    """Of a value of no known shape that is large the beginning is kept; of a long text too."""
    found = asked({"rows": [{"name": "x" * 100}] * 10_000})
    assert 500 < len(found.input["rows"]) < 1000
    assert asked({"question": "x" * 300_000}).input == "x" * 100_000 + "…"
