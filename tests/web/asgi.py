"""Asks the page without a socket, and looks at what it answers as a browser would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from autotrace import config
from autotrace.insights.opening import opened
from autotrace.web.app import application
from autotrace.web.guard import POLICY, Rules
from autotrace.web.site import Site

HOST = "127.0.0.1:5317"
#: Where the page's own texts lead to; all else would be what somebody else has written.
_ADDRESSES = frozenset({"href", "src", "action", "formaction", "data", "poster", "xlink:href", "srcset", "ping"})
_VOID = frozenset({"meta", "link", "input", "img", "br", "hr", "col"})
#: All that a page is made of.
_TAGS = frozenset(
    {"html", "head", "meta", "title", "link", "script", "body", "a", "header", "nav", "span", "main", "footer", "p"}
    | {"form", "div", "label", "select", "option", "input", "button", "details", "summary", "code", "section", "h1"}
    | {"h2", "h3", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "col"}
    | {"colgroup", "figure", "figcaption", "pre", "b", "strong", "bdi", "time", "svg", "g", "rect", "line", "polyline"}
    | {"textarea", "fieldset", "legend", "img", "br"}
)


@dataclass(frozen=True)
class Answer:
    """What the page answered."""

    status: int
    raw_headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    error: BaseException | None = None

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    @property
    def headers(self) -> dict[str, str]:
        """By their names in small letters."""
        return {name.decode().lower(): value.decode("latin-1") for name, value in self.raw_headers}

    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


#: Callers that are not closed; of a test that failed.
OPEN: list[Caller] = []


class Caller:
    """Asks one application, in a loop of its own."""

    def __init__(self, site: Site, rules: Rules = Rules()) -> None:  # noqa: B008 (it is frozen)
        self.site = site
        self._application = application(site, rules)
        self._loop = asyncio.new_event_loop()
        OPEN.append(self)

    def close(self) -> None:
        """Frees files and threads."""
        OPEN.remove(self)
        self.site.close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def get(self, address: str, **headers: str) -> Answer:
        """Asks for an address as it stands in a browser's, percent-encoded."""
        return self.ask("GET", address, headers.items())

    def post(self, address: str, body: bytes, **headers: str) -> Answer:
        """Sends a form."""
        return self.ask("POST", address, headers.items(), body)

    def ask(
        self,
        method: str,
        address: str,
        headers: Iterable[tuple[str | bytes, str | bytes]] = (),
        body: bytes = b"",
        hosts: Sequence[str | bytes] = (HOST,),
    ) -> Answer:
        """Asks; a header's name has `_` for `-`."""
        path, _, query = address.partition("?")
        told = [(b"host", _bytes(each)) for each in hosts]
        told += [(_bytes(name).lower().replace(b"_", b"-"), _bytes(value)) for name, value in headers]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query.encode("utf-8", "replace"),
            "root_path": "",
            "headers": told,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 5317),
        }
        return self._loop.run_until_complete(self._asked(scope, body))

    async def _asked(self, scope: dict[str, Any], body: bytes) -> Answer:
        sent: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await asyncio.sleep(3600)
            raise AssertionError("the application waited for what does not come")

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        error = None
        try:
            await asyncio.wait_for(self._application(scope, receive, send), 60)  # type: ignore[arg-type]
        except Exception as raised:
            error = raised
        start = next(message for message in sent if message["type"] == "http.response.start")
        content = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
        return Answer(start["status"], list(start["headers"]), content, error)


def site_of(home: Path, **more: Any) -> Site:
    """What is served of a home; what is in the store has been read."""
    if (home / "traces.db").is_file():
        with opened(home):
            pass
    return Site(config.load({"home": home}), **more)


def harmless(answer: Answer, *, statuses: Sequence[int] = (200, 303, 307, 400, 401, 403, 404, 405, 421)) -> None:
    """Fails unless an answer is one that a browser can be given, whatever was asked and stored."""
    if answer.error is not None:
        raise answer.error
    assert answer.status in statuses, (answer.status, answer.body[:500])
    names = [name.lower() for name, _ in answer.raw_headers]
    assert len(names) == len(set(names)), names
    headers = answer.headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    for name, value in answer.raw_headers:
        assert not set(name + value) & set(b"\r\n\0"), (name, value)
    kind = headers.get("content-type", "")
    text = answer.body.decode("utf-8", "strict")
    if kind.startswith("text/html"):
        assert kind == "text/html; charset=utf-8"
        looked_at(text)
    elif kind == "application/json":
        json.loads(text, parse_constant=_no_constant)
    else:
        assert answer.status in (303, 307) or kind.split(";")[0] in ("text/plain", "text/css", "text/javascript"), kind
    if "location" in headers:
        assert is_ours(headers["location"]), headers["location"]


def is_ours(address: str) -> bool:
    """Whether an address leads to this origin, however a browser reads it."""
    # A browser leaves out tabs and line ends, and takes a backslash for a slash.
    read = "".join(letter for letter in address if letter not in "\t\r\n").replace("\\", "/").lstrip("\0- ")
    if address and (address[0] not in "/?#" or read.startswith("//")):
        return False
    found = urlsplit(read)
    return not found.scheme and not found.netloc


class _Look(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        for name, value in attrs:
            assert not name.startswith(("on", "xss")), (tag, attrs)
            assert name not in ("style", "srcdoc", "http-equiv"), (tag, attrs)
            assert all(letter.isalnum() or letter in "-:" for letter in name), (tag, attrs)
            if name in _ADDRESSES:
                is_image = tag == "img" and (value or "").startswith("data:image/")
                assert is_image or is_ours(value or ""), (tag, name, value)
        if tag == "script":
            assert attrs == [("src", "/static/page.js"), ("defer", None)]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        assert not self.open or self.open[-1] != "script", data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:100]}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data[:100]}")


def looked_at(html: str) -> None:
    """Fails where a page has an element or attribute that is none of ours, or leads elsewhere."""
    look = _Look()
    look.feed(html)
    look.close()
    assert look.open == []


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")
