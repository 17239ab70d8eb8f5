"""Requests to servers, good ones and bad ones."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.http import Client, gzipped
from autotrace.delivery.replies import Refused, Reply, printable, raise_for, retry_after, words

Answer = Callable[[socket.socket], None]


class Server:
    """Accepts connections and does with each what it is told; it counts them."""

    def __init__(self, answer: Answer) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1?key=not-told"
        self.connections = 0
        self.answer = answer
        self.open: list[socket.socket] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            try:
                self.answer(connection)
            except OSError:  # the client has gone
                connection.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)
        for connection in self.open:
            connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    """Starts servers; stops them at the end."""
    started: list[Server] = []

    def start(answer: Answer) -> Server:
        started.append(Server(answer))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def client() -> Iterator[Client]:
    """A client with a secret and little patience."""
    made = Client(timeout_s=1.0, headers={"authorization": "Bearer tok_123456"})
    yield made
    made.close()


def head(status: int, length: int, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"content-length: {length}", *more]
    return "".join(line + "\r\n" for line in [*lines, ""]).encode()


def heard(connection: socket.socket) -> bytes:
    """One whole request; nothing when there are no more."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
        start, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", start, re.IGNORECASE)
        if b"\r\n\r\n" in data and len(body) >= (int(found[1]) if found else 0):
            return data
    return b""


def saying(status: int, body: bytes = b"", *headers: str) -> Answer:
    """Reads requests, and answers each in the same way."""

    def answer(connection: socket.socket) -> None:
        while heard(connection):
            connection.sendall(head(status, len(body), *headers) + body)

    return answer


def half(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(head(200, 40) + b"abc")
    connection.close()


def garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x00\xffno answer at all\r\n\r\n")
    connection.close()


def hung_up(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def dripping(text: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        pause = threading.Event()
        for byte in text:
            connection.sendall(bytes([byte]))
            pause.wait(0.05)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        half,
        garbage,
        hung_up,
        reset,
        silent,
        dripping(head(200, 60) + b"x" * 60),
        dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx: " + b"y" * 60 + b"\r\n\r\n"),
    ],
    ids=["half", "garbage", "hung up", "reset", "silent", "dripping body", "dripping head"],
)
def test_no_whole_answer(serve: Callable[[Answer], Server], client: Client, answer: Answer) -> None:
    """What is no whole answer in time is a reason to come again, and tells nothing of the request."""
    server = serve(answer)
    with pytest.raises(RetryLater) as raised:
        client.send("POST", server.url, b"x" * 10)
    text = str(raised.value)
    assert text.startswith(f"http://127.0.0.1:{server.port}: ")
    assert "not-told" not in text
    assert "tok_" not in text


def test_a_server_that_reads_nothing(serve: Callable[[Answer], Server]) -> None:
    """A request that cannot be written in time is a reason to come again."""
    done = threading.Event()

    def deaf(connection: socket.socket) -> None:
        done.wait(30)

    server, client = serve(deaf), Client(timeout_s=0.3)
    with pytest.raises(RetryLater, match="no answer in time"):
        client.send("POST", server.url, b"x" * 30_000_000)
    done.set()
    client.close()


def test_nobody_there(client: Client) -> None:
    """A refused connection, and a name that nobody has, are reasons to come again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(RetryLater, match=rf"^http://127.0.0.1:{port}: connection refused$"):
        client.send("GET", f"http://user:secret@127.0.0.1:{port}/")
    with pytest.raises(RetryLater, match=r"^http://nobody\.invalid: "):
        client.send("GET", "http://nobody.invalid/")


@pytest.mark.parametrize("url", ["", "127.0.0.1", "ftp://host/", "http://[::1", "file:///etc/passwd", "http://"])
def test_no_address(client: Client, url: str) -> None:
    """What is no address is a reason to come again, not a crash."""
    with pytest.raises(RetryLater, match="no http"):
        client.send("GET", url)


def test_a_server_cannot_give_away_the_password_of_an_address(
    serve: Callable[[Answer], Server], client: Client
) -> None:
    """The header that is made of an address's user and password, and that of one request, are secret too."""

    def echo(connection: socket.socket) -> None:
        asked = heard(connection)
        connection.sendall(head(401, len(asked)) + asked)

    address = serve(echo).url.replace("//", "//user:hunter22@")
    reply = client.send("GET", address, headers={"x-token": "of-one-request", "content-type": "text/plain"})
    assert b"text/plain" in reply.body
    for secret in (b"hunter22", b"dXNlcjpodW50ZXIyMg", b"of-one-request"):
        assert secret not in reply.body


@pytest.mark.parametrize("header", [{"a": "b\r\nsecret: 1"}, {"a": "secret ☃"}, {"a\nb": "secret"}])
def test_a_header_that_cannot_be_sent(serve: Callable[[Answer], Server], header: dict[str, str]) -> None:
    """A header that HTTP has no place for is told without its value, and nothing is sent of it."""
    server = serve(saying(200))
    client = Client(headers=header)
    with pytest.raises(RetryLater, match="header") as raised:
        client.send("GET", server.url)
    assert "secret" not in str(raised.value)
    client.close()


def test_connections_are_kept(serve: Callable[[Answer], Server], client: Client) -> None:
    """Requests go over one connection, and what is sent arrives."""
    seen = []

    def answer(connection: socket.socket) -> None:
        while data := heard(connection):
            seen.append(data)
            connection.sendall(head(200, 2, "X-Some-Header: Yes") + b"ok")

    server = serve(answer)
    for _ in range(3):
        assert client.send("PUT", server.url, b"body", {"x-more": "1"}) == Reply(
            200, {"content-length": "2", "x-some-header": "Yes"}, b"ok"
        )
    assert server.connections == 1
    assert seen[0].startswith(b"PUT /v1?key=not-told HTTP/1.1\r\n")
    assert b"\r\nauthorization: Bearer tok_123456\r\n" in seen[0]
    assert b"\r\nx-more: 1\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\nbody")
    client.close()
    client.send("PUT", server.url.replace("http://", "http://me:pa%20ss@"), b"body")
    assert b"authorization: Basic bWU6cGEgc3M=" in seen[-1]


def test_a_fork_opens_its_own_connection(serve: Callable[[Answer], Server], client: Client) -> None:
    """A child never writes into its parent's connection."""
    server = serve(lambda connection: None)
    ready = threading.Semaphore(0)

    def answer(connection: socket.socket) -> None:
        def speak() -> None:
            saying(200, b"ok")(connection)

        threading.Thread(target=speak, daemon=True).start()
        ready.release()

    server.answer = answer
    client.send("GET", server.url)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if client.send("GET", server.url).body == b"ok" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert client.send("GET", server.url).body == b"ok"
    assert server.connections == 2


def test_redirects_are_not_followed(serve: Callable[[Answer], Server], client: Client) -> None:
    """Credentials never go where a server points to."""
    other = serve(saying(200))
    server = serve(saying(302, b"", f"location: {other.url}"))
    reply = client.send("GET", server.url)
    assert reply.status == 302
    assert other.connections == 0
    with pytest.raises(RetryLater, match="answers 302: check the address"):
        raise_for(reply)


def test_long_answers_are_cut(serve: Callable[[Answer], Server], client: Client) -> None:
    """No more of an answer is kept than was asked for, and the next request is not hurt."""
    server = serve(saying(200, b"x" * 3_000_000))
    assert client.send("GET", server.url, body_limit=10).body == b"x" * 10
    server.answer = saying(200, b"ok")
    assert client.send("GET", server.url).body == b"ok"


def test_an_answer_while_we_still_send(serve: Callable[[Answer], Server], client: Client) -> None:
    """A server that has had enough is heard."""

    def answer(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(head(413, 3, "connection: close") + b"big")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
        connection.close()

    reply = client.send("POST", serve(answer).url, b"x" * 8_000_000)
    with pytest.raises(Refused, match=r"^413: big$"):
        raise_for(reply)


def test_a_server_cannot_give_away_a_secret(serve: Callable[[Answer], Server], client: Client) -> None:
    """Our credentials are not in what an error repeats, whoever wrote them there; nor is what moves a cursor."""
    body = json.dumps({"message": "no such token tok_123456\x1b[2J of Bearer tok_123456"}).encode()
    reply = client.send("GET", serve(saying(400, body)).url)
    with pytest.raises(Refused) as raised:
        raise_for(reply)
    assert str(raised.value) == r"400: no such token ***\x1b[2J of ***"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_refusals(status: int) -> None:
    """These statuses blame what was sent."""
    with pytest.raises(Refused) as raised:
        raise_for(Reply(status, {}, b"why"))
    assert (raised.value.status, raised.value.words) == (status, "why")


@pytest.mark.parametrize(
    "status", [100, 301, 401, 403, 404, 405, 407, 408, 409, 410, 418, 425, 429, 500, 501, 502, 503]
)
def test_reasons_to_come_again(status: int) -> None:
    """All other statuses but 2xx do not."""
    with pytest.raises(RetryLater, match=f"answers {status}") as raised:
        raise_for(Reply(status, {"retry-after": "7"}, b"why"))
    assert raised.value.seconds == 7


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_success(status: int) -> None:
    """2xx is success."""
    raise_for(Reply(status, {}, b"whatever"))


def test_what_to_mend() -> None:
    """An error names what the user sets."""
    with pytest.raises(RetryLater, match=r"^the server answers 401: check TOKEN: no$"):
        raise_for(Reply(401, {}, b"no"), credentials="TOKEN")
    with pytest.raises(RetryLater, match=r"^the server answers 404: check URI$"):
        raise_for(Reply(404, {}, b""), address="URI")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("99999", 300.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Thu, 99 Jan 1970 00:01:40 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds and dates are understood, and no server stops us for more than five minutes."""
    assert retry_after(Reply(429, {"retry-after": text}, b""), 60.0) == seconds


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"error_code": "X", "message": "the reason"}', "the reason"),
        (b'{"error": {"message": "inside"}}', "inside"),
        (b'{"detail": [1]}', '{"detail": [1]}'),
        (b"{broken", "{broken"),
        (b'{"error":' * 2000, ('{"error":' * 2000)[:199] + "…"),
        (b"<html><style>p {}</style><p>Bad\n Gateway</p></html>", "Bad Gateway"),
        (b"\xff\x00\x1b", "�\\x00\\x1b"),
        (b"x" * 300, "x" * 199 + "…"),
        ("é".encode() * 200, "é" * 200),
    ],
)
def test_words(body: bytes, shown: str) -> None:
    """A server's words are found in what it sends, cut and escaped."""
    assert words(Reply(400, {}, body)) == shown


def test_printable_is_short() -> None:
    """Escapes count as what they are shown as."""
    assert printable("\x1b" * 200) == "\\x1b" * 49 + "\\x1…"


def test_gzip() -> None:
    """A body is packed, the same one always in the same way."""
    assert gzip.decompress(gzipped(b"body" * 100)) == b"body" * 100
    assert gzipped(b"body") == gzipped(b"body")


def test_proxies(serve: Callable[[Answer], Server]) -> None:
    """A request goes through the proxy of its scheme, unless its host is an exception; the password does not show."""
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while data := heard(connection):
            seen.append(data)
            connection.sendall(head(200, 0))

    proxy = serve(answer)
    address = f"http://me:hidden@127.0.0.1:{proxy.port}"
    for environ in ({"HTTP_PROXY": address}, {"http_proxy": address}, {"ALL_PROXY": address}):
        client = Client(environ=environ)
        client.send("GET", "http://somewhere.invalid/path")
        client.close()
        assert seen[-1].startswith(b"GET http://somewhere.invalid/path HTTP/1.1")
        assert b": Basic bWU6aGlkZGVu\r\n" in seen[-1]
    direct = serve(saying(200, b"direct"))
    client = Client(environ={"HTTP_PROXY": address, "NO_PROXY": "example.org,127.0.0.1"})
    assert client.send("GET", direct.url).body == b"direct"
    client.close()
    for bad in ("socks5://h:1", "http://me:hidden@127.0.0.1:1", "http://["):
        client = Client(environ={"HTTP_PROXY": bad})
        with pytest.raises(RetryLater) as raised:
            client.send("GET", direct.url)
        assert "hidden" not in str(raised.value)
        client.close()


def test_certificates_that_are_not_there() -> None:
    """Files that cannot be read are a reason to come again that names them."""
    for client in (
        Client(ca_file="/nowhere/ca.pem"),
        Client(cert_file="/nowhere/ca.pem"),
        Client(environ={"SSL_CERT_FILE": "/nowhere/ca.pem"}),
        Client(environ={"REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"}),
    ):
        with pytest.raises(RetryLater, match=r"/nowhere/ca\.pem cannot be"):
            client.send("GET", "https://127.0.0.1:1/")
