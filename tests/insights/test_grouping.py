"""Groups of questions: by their words, by vectors of a model, and from the one to the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from autotrace.insights import grouping, opening
from autotrace.insights.follower import Follower
from autotrace.insights.meaning import Meaning, MeaningError
from tests.store.conftest import Store, chat, record

#: What the model makes of words: the two that mean the same lie close together.
VECTORS = {"car": [1.0, 0.1, 0.0], "automobile": [0.9, 0.2, 0.0], "weather": [0.0, 0.1, 1.0]}


class Model(ThreadingHTTPServer):
    """An embeddings API; `fails` lets it answer with an error."""

    fails = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.keys.append(self.headers.get("authorization"))
        vectors = [next(vector for word, vector in VECTORS.items() if word in text) for text in body["input"]]
        told = {"data": [{"index": number, "embedding": vector} for number, vector in enumerate(vectors)]}
        content = json.dumps(told).encode()
        self.send_response(500 if self.server.fails else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def model() -> Iterator[Model]:
    """A model that is there."""
    server = Model()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with three questions, two of which mean the same."""
    found = Store(tmp_path / "traces.db")
    for number, (trace, word) in enumerate(zip("abc", VECTORS, strict=True)):
        found.write(record(trace, "1", start=number, attributes=chat(f"{word} please tell", "yes")))
    yield found
    found.writer.close()


def groups(store: Store, meaning: Meaning | None, *, decides: bool = True) -> list[int | None]:
    """The groups of the questions, earliest first, once there is nothing left to do."""
    follower = Follower(store.path, store.path.with_name(opening.NAME), meaning, decides=decides)
    try:
        while follower.step():
            pass
        sql = "SELECT question FROM traces ORDER BY id"
        return [row[0] for row in follower.database.connection.execute(sql)]
    finally:
        follower.close()


def test_a_model_groups_what_means_the_same(store: Store, model: Model) -> None:
    """Also where no word is the same."""
    first, second, third = groups(store, Meaning(model.url, "small"))
    assert first == second
    assert third not in (first, None, 0)
    assert {each["model"] for each in model.asked} == {"small"}


def test_what_the_settings_say_groups_anew(store: Store, model: Model) -> None:
    """From words to a model and back; a command that does not know the settings leaves groups as they are."""
    pytest.importorskip("rapidfuzz")
    by_words = groups(store, None)
    assert len(set(by_words)) == 3
    by_meaning = groups(store, Meaning(model.url, "small"))
    assert len(set(by_meaning)) == 2
    assert groups(store, None, decides=False) == by_meaning
    assert len(set(groups(store, None))) == 3


def test_a_model_that_fails_is_asked_again_later(
    store: Store, model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Traces are there meanwhile, without groups; it is told once."""
    model.fails = True
    assert groups(store, Meaning(model.url, "small")) == [None] * 3
    assert len(caplog.records) == len(model.asked) == 1
    model.fails = False
    monkeypatch.setattr(grouping, "_AGAIN_S", 0.0)
    assert None not in groups(store, Meaning(model.url, "small"))


def test_a_key_goes_by_https_alone(model: Model) -> None:
    """Whoever listens on the way would have it."""
    Meaning(model.url, "small", "secret-key").vectors(["car"])
    assert model.keys == [None]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "nonsense", "http://[x/v1"])
def test_an_address_that_cannot_be_used_is_told(url: str) -> None:
    """As an error of ours, whatever is wrong with it."""
    with pytest.raises(MeaningError):
        Meaning(url, "small").vectors(["car"])
