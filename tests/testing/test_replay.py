"""The replay server plays recordings, spoils what it is told to, and remembers what it was asked."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from autotrace.testing.replay import ReplayServer

SECONDS = 10.0
CHAT = "https://api.example.com/v1/chat"
SSE = {"content-type": ["text/event-stream; charset=utf-8"]}
WORDS = [{"data": {"word": "one"}}, {"data": {"word": "two"}}, {"event": "end", "data": "[DONE]"}]
FRAMES = [b'data: {"word": "one"}\n\n', b'data: {"word": "two"}\n\n', b"event: end\ndata: [DONE]\n\n"]

Serve = Callable[..., ReplayServer]


def interaction(body: Any = "ok", uri: str = CHAT, method: str = "POST", sent: Any = None, **response: Any) -> Any:
    """A recorded request with this body, and its reply."""
    reply = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": body, **response}
    return {"request": {"method": method, "uri": uri, "body": sent, "headers": {}}, "response": reply}


def written(path: Path, *interactions: Any) -> Path:
    path.write_text(json.dumps({"version": 1, "interactions": interactions}))
    return path


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server that plays these interactions."""
    running: list[ReplayServer] = []

    def start(*interactions: Any) -> ReplayServer:
        running.append(ReplayServer(written(tmp_path / "cassette.json", *interactions)).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


class Client:
    """One kept-alive connection."""

    def __init__(self, server: ReplayServer) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port or 0, timeout=SECONDS)

    def open(self, path: str = "/v1/chat", body: Any = None, method: str = "POST", **headers: str) -> Any:
        """The response, its body not read."""
        raw = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, raw, named)
        return self.connection.getresponse()

    def ask(self, *args: Any, **more: Any) -> tuple[int, bytes]:
        """Status and body."""
        response = self.open(*args, **more)
        return response.status, response.read()


@pytest.fixture
def connect() -> Iterator[Callable[[ReplayServer], Client]]:
    opened: list[Client] = []

    def connected(server: ReplayServer) -> Client:
        opened.append(Client(server))
        return opened[-1]

    yield connected
    for client in opened:
        client.connection.close()


Connect = Callable[[ReplayServer], Client]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"string": "täglich"}, "täglich".encode(), id="string"),
        pytest.param({"string": None}, b"", id="empty string"),
        pytest.param("text", b"text", id="text"),
        pytest.param(None, b"", id="null"),
        pytest.param({"base64_string": base64.encodebytes(b"\x00\xff").decode()}, b"\x00\xff", id="base64"),
        pytest.param({"json": {"a": [1, "ü"]}}, '{"a": [1, "ü"]}'.encode(), id="json"),
        pytest.param({"events": WORDS}, b"".join(FRAMES), id="events"),
    ],
)
def test_bodies(serve: Serve, connect: Connect, body: Any, expected: bytes) -> None:
    """Each way of writing a body is understood."""
    assert connect(serve(interaction(body))).ask() == (200, expected)


@pytest.mark.parametrize(
    ("body", "kind"), [({"json": 1}, "application/json"), ({"events": WORDS}, "text/event-stream"), ("text", None)]
)
def test_content_type_by_hand(serve: Serve, connect: Connect, body: Any, kind: str | None) -> None:
    """JSON and events need no content-type in the recording; nothing is made up for other bodies."""
    response = connect(serve(interaction(body))).open()
    assert (response.getheader("content-type"), response.read() != b"") == (kind, True)


def test_status_and_headers(serve: Serve, connect: Connect) -> None:
    """Status, phrase and headers are the recording's, lists and single values alike; the transfer is the server's."""
    recorded = {
        "X-Id": ["a"],
        "x-single": "b",
        "set-cookie": ["c=1", "d=2"],
        "Content-Length": ["999"],
        "Content-Encoding": ["gzip"],
        "Transfer-Encoding": ["chunked"],
    }
    entry = interaction({"string": "busy"}, headers=recorded, status={"code": 429, "message": "Slow Down"})
    response = connect(serve(entry)).open()
    assert (response.status, response.reason, response.read()) == (429, "Slow Down", b"busy")
    expected = [("X-Id", "a"), ("x-single", "b"), ("set-cookie", "c=1"), ("set-cookie", "d=2"), ("content-length", "4")]
    assert response.getheaders() == expected


def test_recorded_gzip_is_decoded(serve: Serve, connect: Connect) -> None:
    """A body that was recorded compressed is sent decoded, without the header."""
    packed = {"base64_string": base64.b64encode(gzip.compress(b'{"a": 1}')).decode()}
    response = connect(serve(interaction(packed, headers={"content-encoding": ["gzip"]}))).open()
    assert (response.read(), response.getheader("content-encoding")) == (b'{"a": 1}', None)


def test_no_body_where_http_has_none(serve: Serve, connect: Connect) -> None:
    """HEAD and 204 have no body, and the connection goes on after them."""
    gone = interaction(None, method="DELETE", status={"code": 204, "message": "No Content"})
    client = connect(serve(interaction("text", method="HEAD"), gone, interaction("next")))
    head = client.open(method="HEAD")
    assert (head.getheader("content-length"), head.read()) == ("4", b"")
    assert client.ask(method="DELETE") == (204, b"")
    assert client.ask() == (200, b"next")


def test_plays_in_order_and_again(serve: Serve, connect: Connect) -> None:
    """Interactions that match are played in their order, whatever their host, and begin again after the last."""
    client = connect(serve(interaction("1"), interaction("2", uri="http://other.example/v1/chat"), interaction("3")))
    assert [client.ask()[1] for _ in range(5)] == [b"1", b"2", b"3", b"1", b"2"]


def test_method_and_path(serve: Serve, connect: Connect) -> None:
    """Method and path choose the interaction; both spellings of a path are the same path."""
    server = serve(
        interaction("post"), interaction("get", method="get"), interaction("odd", uri="https://x/models/a:run")
    )
    client = connect(server)
    assert client.ask(method="GET")[1] == b"get"
    assert client.ask()[1] == b"post"
    assert client.ask("/models/a%3Arun")[1] == b"odd"


def test_query(serve: Serve, connect: Connect) -> None:
    """A recorded query must be the request's, in any order; a recording without one takes any."""
    client = connect(serve(interaction("ab", uri=f"{CHAT}?a=1&b=2"), interaction("any", uri="https://x/free")))
    assert client.ask("/v1/chat?b=2&a=1") == (200, b"ab")
    assert client.ask("/v1/chat?a=1")[0] == 501
    assert client.ask("/free?whatever=1") == (200, b"any")


def test_bodies_tell_interactions_apart(serve: Serve, connect: Connect) -> None:
    """Two interactions with bodies at one place are told apart by the request's JSON, however it is spelt."""
    first = interaction("first", sent='{"q":  1, "r": 2}')
    client = connect(serve(first, interaction("second", sent={"json": {"q": 2}})))
    assert client.ask(body={"q": 2}) == (200, b"second")
    assert client.ask(body={"r": 2, "q": 1}) == (200, b"first")
    status, error = client.ask(body={"q": 3})
    assert status == 501
    assert json.loads(error)["error"]["message"] == "No recorded request POST /v1/chat has this body; 2 have another."


def test_a_single_body_is_not_compared(serve: Serve, connect: Connect) -> None:
    """The body does not count where only one interaction has one."""
    client = connect(serve(interaction("a", sent='{"q": 1}'), interaction("b", uri="https://x/b", sent='{"q": 2}')))
    assert client.ask(body={"q": 9}) == (200, b"a")


def test_unmatched(serve: Serve, connect: Connect) -> None:
    """A request without a recording gets 501 with what there is, and is remembered."""
    server = serve(interaction(), interaction(), interaction(uri="https://x/v1/models?page=1", method="GET"))
    client = connect(server)
    status, body = client.ask("/v1/missing?a=b")
    message = "No recording answers POST /v1/missing?a=b. There is: POST /v1/chat (2), GET /v1/models?page=1."
    assert (status, json.loads(body)) == (501, {"error": {"type": "unmatched_request", "message": message}})
    client.ask()
    assert [str(request) for request in server.unmatched] == ["POST /v1/missing?a=b"]
    assert server.unmatched == server.requests[:1]


def frames(server: ReplayServer, path: str = "/v1/chat") -> tuple[bytes, list[bytes]]:
    """The head of a reply as it is on the wire, and its chunks one by one."""
    port = urlsplit(server.url).port or 0
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection, connection.makefile("rb") as wire:
        connection.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        head = b"".join(iter(wire.readline, b"\r\n"))
        chunks = []
        while size := int(wire.readline(), 16):
            chunks.append(wire.read(size))
            wire.readline()
        return head, chunks


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"events": WORDS}, FRAMES, id="events"),
        pytest.param({"string": "data: 1\r\n\r\ndata: 2"}, [b"data: 1\r\n\r\n", b"data: 2"], id="cr-lf, no end"),
        pytest.param(
            {"string": ": hi\n\ndata: 1\n\n\n: bye\n\n"}, [b": hi\n\ndata: 1\n\n\n", b": bye\n\n"], id="comment"
        ),
        pytest.param({"events": [{"data": "a\nb"}]}, [b"data: a\ndata: b\n\n"], id="lines"),
        pytest.param({"events": []}, [], id="nothing"),
    ],
)
def test_streams(serve: Serve, body: Any, expected: list[bytes]) -> None:
    """An event stream is sent in chunks of one event each."""
    head, chunks = frames(serve(interaction(body, headers=SSE)))
    assert (chunks, b"transfer-encoding: chunked" in head, b"content-length" in head) == (expected, True, False)


def test_streams_of_google_and_of_lines(serve: Serve) -> None:
    """What `alt=sse` asked for is a stream whatever its content-type, and so are lines of JSON."""
    google = interaction({"string": "data: 1\n\ndata: 2\n\n"}, uri="https://x/g?alt=sse")
    lines = interaction(
        {"events": [{"data": {"a": 1}}, {"data": {"a": 2}}]},
        uri="https://x/l",
        headers={"content-type": ["application/x-ndjson"]},
    )
    server = serve(google, lines)
    assert frames(server, "/g?alt=sse")[1] == [b"data: 1\n\n", b"data: 2\n\n"]
    assert frames(server, "/l")[1] == [b'{"a": 1}\n', b'{"a": 2}\n']


def test_an_error_is_no_stream(serve: Serve, connect: Connect) -> None:
    """JSON that answers `alt=sse` is sent whole."""
    refused = interaction({"json": {"error": 1}}, uri="https://x/g?alt=sse", status={"code": 400, "message": "Bad"})
    response = connect(serve(refused)).open("/g?alt=sse")
    assert (response.getheader("content-length"), response.read()) == ("12", b'{"error": 1}')


def test_fail(serve: Serve, connect: Connect) -> None:
    """The next requests fail as told, after that recordings are played from where they were."""
    server = serve(interaction("1"), interaction("2"))
    client = connect(server)
    assert client.ask() == (200, b"1")
    server.fail(status=503, json={"error": "x"}, times=2, headers={"Retry-After": "0"})
    server.fail()
    failed = client.open()
    assert (failed.status, failed.getheader("retry-after"), failed.read()) == (503, "0", b'{"error": "x"}')
    assert client.ask("/anything") == (503, b'{"error": "x"}')
    assert client.ask()[0] == 500
    assert client.ask() == (200, b"2")
    assert (len(server.requests), server.unmatched) == (5, [])


@pytest.mark.parametrize(("after", "expected"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3)])
def test_cut(serve: Serve, connect: Connect, after: int, expected: int) -> None:
    """A cut stream has so many events, then the client raises; the next stream is whole."""
    server = serve(interaction({"events": WORDS}))
    server.cut(after=after)
    response = connect(server).open()
    with pytest.raises(http.client.IncompleteRead) as raised:
        response.read()
    assert raised.value.partial == b"".join(FRAMES[:expected])
    assert connect(server).ask() == (200, b"".join(FRAMES))


def test_cut_waits_for_streams(serve: Serve, connect: Connect) -> None:
    """Replies that are no streams, failures among them, use no cut up; `times` counts streams."""
    server = serve(interaction({"events": WORDS}), interaction("whole", uri="https://x/w"))
    server.cut(after=1, times=2)
    server.fail()
    assert connect(server).ask()[0] == 500
    assert connect(server).ask("/w") == (200, b"whole")
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            connect(server).ask()
    assert connect(server).ask()[0] == 200


@pytest.mark.parametrize("after", [0, 1, 3, 99])
def test_hold(serve: Serve, connect: Connect, after: int) -> None:
    """A held stream has so many events and no end until it is released; other requests are served meanwhile."""
    server = serve(interaction({"events": WORDS}))
    held = server.hold(after=after)
    response = connect(server).open()
    assert held.wait(SECONDS)
    before = b"".join(FRAMES[:after])
    # http.client waits for a chunk even to read nothing of it.
    assert not before or response.read(len(before)) == before
    assert connect(server).ask() == (200, b"".join(FRAMES))
    server.release()
    assert response.read() == b"".join(FRAMES[after:])


def test_release_forgets_holds(serve: Serve, connect: Connect) -> None:
    """A hold that no stream has met when all is released holds nothing later."""
    server = serve(interaction({"events": WORDS}))
    held = server.hold()
    server.release()
    assert connect(server).ask() == (200, b"".join(FRAMES))
    assert not held.is_set()


def test_hold_then_cut(serve: Serve, connect: Connect) -> None:
    """A stream can be both: it waits, and breaks where it is cut."""
    server = serve(interaction({"events": WORDS}))
    held = server.hold(after=1)
    server.cut(after=1)
    response = connect(server).open()
    assert held.wait(SECONDS)
    assert response.read(len(FRAMES[0])) == FRAMES[0]
    server.release()
    with pytest.raises(http.client.IncompleteRead):
        response.read()


def test_a_client_that_leaves_is_not_waited_for(serve: Serve, connect: Connect) -> None:
    """A held stream ends when its client leaves, so that the server has no thread of it left."""
    server = serve(interaction({"events": WORDS}))
    before = set(threading.enumerate())
    held = server.hold()
    client = connect(server)
    response = client.open()
    assert held.wait(SECONDS)
    left = [thread for thread in threading.enumerate() if thread not in before]
    response.close()
    client.connection.close()
    for thread in left:
        thread.join(SECONDS)
    assert [thread.is_alive() for thread in left] == [False]


def test_requests(serve: Serve, connect: Connect) -> None:
    """What was received is kept in order: method, path, query, headers, body."""
    server = serve(interaction())
    client = connect(server)
    client.ask("/v1/chat?a=1&a=2", {"q": "ü"}, x_title="T")
    client.ask(method="GET")
    first, second = server.requests
    assert (first.method, first.path, first.query) == ("POST", "/v1/chat", (("a", "1"), ("a", "2")))
    assert (first.json, json.loads(first.body), first.headers["x-title"]) == ({"q": "ü"}, {"q": "ü"}, "T")
    assert (second.method, second.json, second.body) == ("GET", None, b"")


def test_chunked_request(serve: Serve, connect: Connect) -> None:
    """A request in chunks is read whole, and the connection goes on."""
    server = serve(interaction())
    client = connect(server)
    client.connection.request("POST", "/v1/chat", iter([b'{"q"', b": 1}"]), encode_chunked=True)
    assert client.connection.getresponse().read() == b"ok"
    assert client.ask() == (200, b"ok")
    assert server.requests[0].json == {"q": 1}


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "x-goog-api-key", "api-key", "Cookie", "proxy-authorization"]
)
def test_credentials_are_not_kept(serve: Serve, connect: Connect, name: str) -> None:
    """Headers with credentials are known to have been sent, but not what they said."""
    server = serve(interaction())
    connect(server).ask(**{name: "sk-secret"})
    assert server.requests[0].headers[name.lower()] == "***"
    assert "sk-secret" not in repr(server.requests)


def test_keep_alive(serve: Serve, connect: Connect) -> None:
    """One connection serves many requests, streams and errors among them."""
    server = serve(interaction({"events": WORDS}), interaction("whole", uri="https://x/w"))
    client = connect(server)
    client.ask()
    used = client.connection.sock
    assert [client.ask(path)[0] for path in ("/w", "/none", "/v1/chat")] == [200, 501, 200]
    assert client.connection.sock is used


def test_reset(serve: Serve, connect: Connect) -> None:
    """After a reset nothing was received or played, and nothing fails, is cut or is held."""
    server = serve(interaction({"events": WORDS}), interaction("2"))
    client = connect(server)
    client.ask()
    client.ask("/none")
    server.fail()
    server.cut()
    server.hold()
    server.reset()
    assert (server.requests, server.unmatched) == ([], [])
    assert client.ask() == (200, b"".join(FRAMES))


def test_concurrent_requests(serve: Serve, connect: Connect) -> None:
    """Requests at once play each interaction once."""
    server = serve(*[interaction(str(number)) for number in range(20)])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda client: client.ask()[1], [connect(server) for _ in range(20)]))
    assert sorted(answers) == sorted(str(number).encode() for number in range(20))
    assert len(server.requests) == 20


def test_stop(serve: Serve, connect: Connect) -> None:
    """Stopping releases what is held and closes idle connections; requests can be read after it."""
    server = serve(interaction({"events": WORDS}))
    idle = connect(server)
    idle.ask()
    held = server.hold()
    response = connect(server).open()
    assert held.wait(SECONDS)
    server.stop()
    assert response.read() == b"".join(FRAMES)
    assert idle.connection.sock.recv(1) == b""
    assert len(server.requests) == 2
    with pytest.raises(RuntimeError, match=r"not running: call start\(\)"):
        _ = server.url
    server.stop()


def test_start(tmp_path: Path, connect: Connect) -> None:
    """The server is on 127.0.0.1, on the port it was given, and can be started again."""
    server = ReplayServer(written(tmp_path / "a.json", interaction()))
    with server:
        port = urlsplit(server.url).port or 0
        assert server.url == f"http://127.0.0.1:{port}"
        assert server.start().url == server.url
    with ReplayServer(tmp_path / "a.json", port=port) as again:
        assert connect(again).ask() == (200, b"ok")


def test_several_paths_and_folders(tmp_path: Path, connect: Connect) -> None:
    """Paths are played in the order given, the files of a folder in the order of their names."""
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "b.json", interaction("b"))
    written(folder / "a.json", interaction("a"))
    (folder / "notes.txt").write_text("no cassette")
    with ReplayServer(str(written(tmp_path / "z.json", interaction("z"))), folder) as server:
        client = connect(server)
        assert [client.ask()[1] for _ in range(3)] == [b"z", b"a", b"b"]


def test_yaml(tmp_path: Path, connect: Connect) -> None:
    """A YAML cassette is played, binary bodies among it."""
    yaml = pytest.importorskip("yaml")
    cassette = {"version": 1, "interactions": [interaction({"string": b"\xff\x00"})]}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(cassette))
    with ReplayServer(tmp_path) as server:
        assert connect(server).ask() == (200, b"\xff\x00")


def test_yaml_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A YAML cassette without PyYAML is an error that names the package."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "a.yml").write_text("version: 1")
    with pytest.raises(ImportError, match=r"a\.yml: a YAML cassette needs the package PyYAML"):
        ReplayServer(tmp_path / "a.yml")


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_text_that_cannot_be_parsed(tmp_path: Path, name: str) -> None:
    """A file that is no JSON or no YAML is named."""
    if name.endswith("yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text("{")
    with pytest.raises(ValueError, match=rf"{name}: cannot be parsed: "):
        ReplayServer(tmp_path / name)


def test_files_that_are_no_cassettes(tmp_path: Path) -> None:
    """A missing file, an empty folder and JSON of another kind are named; no path at all is told."""
    with pytest.raises(ValueError, match=r"none\.json: cannot be read: No such file"):
        ReplayServer(tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"the folder has no \*\.json"):
        ReplayServer(tmp_path)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(ValueError, match=r'a\.json: a cassette is \{"version": 1'):
        ReplayServer(tmp_path)
    with pytest.raises(ValueError, match="needs the path of a recording"):
        ReplayServer()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("text", '"request" must be an object, not None'),
        ({"request": {"method": "GET", "uri": "/"}}, '"response" must be an object'),
        ({"request": {"method": "GET"}, "response": {}}, '"uri" must be a text, not None'),
        (interaction(uri="http://[x"), "Invalid IPv6 URL"),
        (interaction(status=200), '"status" must be an object, not 200'),
        (interaction(status={"code": "200"}), "needs a \"code\" from 200 to 599, not '200'"),
        (interaction(status={"code": True}), 'needs a "code" from 200 to 599, not True'),
        (interaction(status={"code": 200, "message": "a\r\nb"}), "the message must be one line of Latin-1 text"),
        (interaction(headers=["a"]), '"headers" must be an object'),
        (interaction(headers={"a": ["b\n"]}), 'the value of header "a" must be one line'),
        (interaction(headers={"a": [1]}), 'the value of header "a" must be one line of Latin-1 text, not 1'),
        (interaction(7), '"body" must be a text, null, or an object with one of'),
        (interaction({"string": "", "json": 1}), '"body" must be a text, null, or an object with one of'),
        (interaction({"string": 7}), 'the body\'s "string" must be a text, not 7'),
        (interaction({"base64_string": "a"}), "Invalid base64-encoded string"),
        (interaction({"events": {}}), 'the body\'s "events" must be a list'),
        (interaction({"events": [{"event": "a"}]}), "an event is"),
        (interaction({"events": [{"event": "a\nb", "data": 1}]}), "an event's name is one line of text"),
        (interaction("\ud83d"), "surrogates not allowed"),
        (
            interaction({"base64_string": "H4sIAA=="}, headers={"content-encoding": "gzip"}),
            "the body says that it is gzip, but",
        ),
    ],
)
def test_malformed_interactions(tmp_path: Path, wrong: Any, message: str) -> None:
    """What is wrong in an interaction is told with the file and the interaction's number."""
    path = written(tmp_path / "wrong.json", interaction(), wrong)
    with pytest.raises(ValueError) as raised:
        ReplayServer(path)
    assert str(raised.value).startswith(f"{path}: interaction 2: ")
    assert message in str(raised.value)


def test_impossible_wishes(serve: Serve) -> None:
    """What cannot be done is refused at once, with the value that was given."""
    server = serve(interaction())
    with pytest.raises(ValueError, match="status must be from 200 to 599, not 99"):
        server.fail(99)
    with pytest.raises(ValueError, match="times must be at least 1, not 0"):
        server.fail(times=0)
    with pytest.raises(ValueError, match="after must be at least 0, not -1"):
        server.cut(-1)
    with pytest.raises(ValueError, match="after must be at least 0, not -1"):
        server.hold(-1)
