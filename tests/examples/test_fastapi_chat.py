"""The chat page on FastAPI: a real server, a plain client, and a real browser where there is one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from autotrace.testing import OpenAIServer
from autotrace.testing.openai_server import Hang, Status, Text

from .serving import Example, Server, commands, model_settings, require, until

QUESTION = "What is the weather in Oslo?"
HOSTILE = "<img src=x onerror=\"document.title = 'taken'\"> it <b>rains</b>, & much"


@pytest.fixture(scope="module")
def example(model: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, not started yet."""
    return Example("fastapi_chat", tmp_path_factory.mktemp("chat"), model_settings(model.url, "gpt-4o-mini"))


@pytest.fixture(scope="module")
def server(example: Example) -> Iterator[Server]:
    """The example as its docstring starts it."""
    (command,) = commands(example.folder / "app.py")
    with example.serve(command) as running:
        yield running


def ask(server: Server, session: str, *turns: str) -> tuple[str, dict[str, Any]]:
    """What the page would do: the answer, joined, and the headers that it came with."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(turns)]
    with server.client.stream(
        "POST", "/chat", json={"messages": messages}, headers={"x-session-id": session}
    ) as response:
        assert response.status_code == 200, response.read()
        data = [line.removeprefix("data: ") for line in response.iter_lines() if line]
        assert data.pop() == "[DONE]"
        return "".join(json.loads(piece)["delta"] for piece in data), dict(response.headers)


def trace_of(example: Example, session: str) -> dict[str, Any]:
    """The one trace of a session."""
    found = until(lambda: [trace for trace in example.traces() if trace["session"] == session])
    assert len(found) == 1
    return found[0]


def test_a_question_is_one_trace(model: OpenAIServer, example: Example, server: Server) -> None:
    """What was asked and answered, by whom, with both model calls beneath; the answer's header names the trace."""
    before = model.billed
    answer, headers = ask(server, "one", QUESTION)
    trace = trace_of(example, "one")

    assert answer.startswith(f'You asked: "{QUESTION}"')
    assert headers["x-autotrace-trace-id"] == trace["trace_id"]
    assert (trace["request"], trace["response"], trace["status"]) == (QUESTION, answer, "ok")
    assert trace["input_tokens"] == model.billed.input_tokens - before.input_tokens
    root, *calls = example.spans(trace["trace_id"])
    assert [(call["operation"], call["parent_id"]) for call in calls] == [("chat", root["span_id"])] * 2


def test_only_what_leads_to_a_model_is_a_trace(example: Example, server: Server) -> None:
    """The page itself, and what is not understood, leave none."""
    before = len(example.traces())
    assert "<h1>" in server.client.get("/").text
    assert server.client.post("/chat", json={"messages": []}).status_code == 422
    ask(server, "after", QUESTION)
    trace_of(example, "after")
    assert len(example.traces()) == before + 1


def test_a_failing_model_is_told(model: OpenAIServer, example: Example, server: Server) -> None:
    """The page hears that the model has failed, and no more; the trace has the reason."""
    model.script(Status(400, "no such thing: 4711"))
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    response = server.client.post("/chat", json=body, headers={"x-session-id": "fails"})
    assert response.text == 'data: {"error": "The model has failed."}\n\ndata: [DONE]\n\n'
    trace = trace_of(example, "fails")
    assert trace["error_count"] >= 1
    assert "4711" in json.dumps(example.spans(trace["trace_id"]))


def test_a_thumb_finds_its_trace(example: Example, server: Server) -> None:
    """A thumb with a comment, posted to the app itself, is on the trace that the header named."""
    trace_id = ask(server, "thumb", QUESTION)[1]["x-autotrace-trace-id"]
    verdict = {"trace_id": trace_id, "value": False, "comment": "Too cold.", "name": "thumbs", "user": "alice"}
    assert server.client.post("/autotrace/feedback", json=verdict).status_code == 202
    (told,) = until(lambda: trace_of(example, "thumb")["feedback"])
    assert (told["name"], told["value"], told["comment"], told["source"]) == ("thumbs", False, "Too cold.", "alice")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        require("REQUIRE_BROWSER", "there is no chromium (apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        require("REQUIRE_BROWSER", "playwright is not installed")
    with sync_playwright() as playwright:
        # Without a sandbox: root, as in a container, has none. The page comes from this machine.
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


def test_the_page(model: OpenAIServer, example: Example, server: Server, browser: Any) -> None:
    """In a browser: the answer appears while it is written, a thumb down and a comment end up at its trace."""
    hang = Hang(after=4)
    model.script((), (Text(HOSTILE), hang))
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    page.get_by_label("Your question").fill("<i>Oslo</i>?")
    page.get_by_role("button", name="Ask", exact=True).click()

    answer = page.locator(".assistant")
    assert hang.reached.wait(30)
    until(lambda: answer.text_content())
    assert answer.text_content() != HOSTILE  # a part of it: the model still writes
    assert HOSTILE.startswith(answer.text_content())
    hang.release()
    page.get_by_title("Bad answer").click()
    page.get_by_text("Thank you.").wait_for()
    page.get_by_label("Comment").fill("Not what I <u>asked</u>.")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Thank you for the comment.").wait_for()

    assert (answer.text_content(), page.locator(".user").text_content()) == (HOSTILE, "<i>Oslo</i>?")
    assert page.locator("img, b, i, u").count() == 0
    assert page.title() == "Ask the agent"
    session = page.evaluate("localStorage.getItem('session')")
    page.reload()
    assert page.evaluate("localStorage.getItem('session')") == session
    assert complaints == []
    page.close()

    until(lambda: (trace_of(example, session)["feedback"] or [{}])[0].get("comment"))
    trace = trace_of(example, session)
    assert (trace["request"], trace["response"]) == ("<i>Oslo</i>?", HOSTILE)
    (told,) = trace["feedback"]
    assert (told["name"], told["value"], told["comment"]) == ("thumbs", False, "Not what I <u>asked</u>.")
