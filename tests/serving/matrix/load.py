"""What is asked of a served program: questions of many users, eight at a time, and what came back for each."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Protocol

AT_ONCE = 8
#: Seconds that one answer may take.
ANSWER_LIMIT = 60


@dataclass(frozen=True, slots=True)
class Question:
    """One request: its number, where it goes, and how it says whose it is.

    Attributes:
        in_body: Whether session and user stand in the body; in headers otherwise.
    """

    number: int
    path: str
    in_body: bool

    @property
    def text(self) -> str:
        """What is asked; no other question is the same."""
        return f"What is item {self.number}?"

    @property
    def session(self) -> str:
        """The session that it belongs to; it is the only one there."""
        return f"session-{self.number}"

    @property
    def user(self) -> str:
        """Who asks."""
        return f"user-{self.number}"

    @property
    def request_id(self) -> str:
        """The id that the client gives it."""
        return f"request-{self.number}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read to its last byte. `trace_id` is what the program said, None when it said none."""

    question: Question
    text: str
    trace_id: str | None


class Client(Protocol):
    """Asks a program."""

    def ask(self, question: Question) -> Answer:
        """One answer, to its end."""

    def pass_by(self) -> None:
        """A request that leads to no model."""

    def is_ready(self) -> bool:
        """Whether the program answers."""


def questions(count: int, paths: Sequence[str]) -> list[Question]:
    """So many questions, over all paths in turn."""
    return [Question(number, path, number % 2 == 0) for number, path in zip(range(count), itertools.cycle(paths))]


def load(client: Client, asked: Sequence[Question], passing: int) -> list[Answer]:
    """Asks all questions, so many at a time, with requests that lead to no model between them.

    Returns: The answers, when the last of them is there.
    """
    every = max(1, len(asked) // passing) if passing else 0

    def one(question: Question) -> Answer:
        if every and question.number % every == 0:
            client.pass_by()
        return client.ask(question)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, asked))


def body_of_question(question: Question) -> dict[str, Any]:
    """The JSON that a question is asked with."""
    who = {"session_id": question.session, "user_id": question.user} if question.in_body else {}
    return {"question": question.text, **who}


def text_of_answer(content: bytes, content_type: str) -> str:
    """The answer in JSON, or in server-sent events to the last."""
    if not content_type.startswith("text/event-stream"):
        return str(json.loads(content)["answer"])
    lines = [line.removeprefix("data: ") for line in content.decode().splitlines() if line]
    assert lines[-1] == "[DONE]", content
    return "".join(json.loads(line)["delta"] for line in lines[:-1])


def body_for_responses(question: Question) -> dict[str, Any]:
    """The same for OpenAI's Responses API, as MLflow extends it."""
    who = {"conversation_id": question.session, "user_id": question.user}
    return {
        "input": [{"role": "user", "content": question.text}],
        **({"stream": True} if question.path.endswith("?stream") else {}),
        **({"context": who} if question.in_body else {}),
    }


def text_of_response(content: bytes, content_type: str) -> str:
    """The answer in a reply of the Responses API, or in its stream of events."""
    if not content_type.startswith("text/event-stream"):
        return str(json.loads(content)["output"][-1]["content"][0]["text"])
    lines = [line.removeprefix("data: ") for line in content.decode().splitlines() if line]
    assert lines[-1] == "[DONE]", content
    events = [json.loads(line) for line in lines[:-1]]
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


class HttpClient:
    """Asks over HTTP, with a connection for each request.

    Args:
        port: On the loopback.
        body_of: The body of a question's request, as JSON.
        text_of: The answer in a response's body.
    """

    def __init__(
        self,
        port: int,
        body_of: Callable[[Question], dict[str, Any]] = body_of_question,
        text_of: Callable[[bytes, str], str] = text_of_answer,
    ) -> None:
        self._port = port
        self._body_of, self._text_of = body_of, text_of

    def ask(self, question: Question) -> Answer:
        headers = {"content-type": "application/json", "x-request-id": question.request_id}
        if not question.in_body:
            headers |= {"x-session-id": question.session, "x-user-id": question.user}
        body = json.dumps(self._body_of(question))
        status, found, content = self.request("POST", question.path.partition("?")[0], body, headers)
        assert status == 200, content
        text = self._text_of(content, found.get("content-type", ""))
        return Answer(question, text, found.get("x-autotrace-trace-id"))

    def pass_by(self) -> None:
        status, found, content = self.request("GET", "/health")
        assert status == 200, content
        assert "x-autotrace-trace-id" not in found

    def is_ready(self) -> bool:
        """Whether it answers at all."""
        try:
            return self.request("GET", "/health")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def request(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by their names in lower case, and body of one response."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_LIMIT)
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, {name.lower(): text for name, text in reply.getheaders()}, reply.read()
        finally:
            connection.close()


class LinesClient:
    """Asks a program that reads questions as lines of JSON, and writes answers as such, in any order."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._lock = threading.Lock()
        self._waiting: list[tuple[threading.Event, list[Any]]] = []
        self._reader: threading.Thread | None = None

    def is_ready(self) -> bool:
        """Whether it says so; waits for that."""
        ready = self._stdout.readline() == "ready\n"
        if ready:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        return ready

    def ask(self, question: Question) -> Answer:
        found = self._answer(path=question.path, question=question.text, session=question.session, user=question.user)
        return Answer(question, found["answer"], found["trace_id"])

    def pass_by(self) -> None:
        self._answer(path="/health")

    def _answer(self, **asked: str) -> Any:
        arrived, found = threading.Event(), list[Any]()
        with self._lock:
            number = len(self._waiting)
            self._waiting.append((arrived, found))
            self._stdin.write(json.dumps({"id": number, **asked}) + "\n")
            self._stdin.flush()
        assert arrived.wait(ANSWER_LIMIT), f"no answer to {asked}"
        assert "error" not in found[0], found[0]
        return found[0]

    def _read(self) -> None:
        for line in self._stdout:
            found = json.loads(line)
            arrived, answers = self._waiting[found["id"]]
            answers.append(found)
            arrived.set()
