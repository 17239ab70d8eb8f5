"""Who may ask: names of the server, the token, other sites; and what every answer says to the browser."""

from __future__ import annotations

import asyncio
import hmac
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from autotrace.cli import main
from autotrace.web import guard
from autotrace.web.guard import POLICY, Rules
from autotrace.web.live import MOST, Live

from .asgi import HOST, Caller, harmless, is_ours, site_of
from .pages.conftest import TraceStore, chat

TOKEN = "a token, of §ome kind/?&"
#: Of this server's port.
COOKIE = f"{guard.COOKIE}-5317"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one trace."""
    found = tmp_path_factory.mktemp("home")
    store = TraceStore(found / "traces.db")
    store.add("a", attributes=chat("hello"))
    store.writer.close()
    return found


@pytest.fixture
def page(home: Path) -> Iterator[Caller]:
    """The page for who asks from this machine."""
    caller = Caller(site_of(home), Rules(frozenset({"traces.example", "proxy"})))
    yield caller
    caller.close()


@pytest.fixture
def closed(home: Path) -> Iterator[Caller]:
    """The page for who knows the token."""
    caller = Caller(site_of(home), Rules(frozenset(), TOKEN))
    yield caller
    caller.close()


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.1:5317",
            "192.168.0.7:1",
            "[::1]:5317",
            "[2001:db8::1]",
            "localhost",
            "LOCALHOST:5317",
        ),
        *(
            "localhost.",
            "traces.example",
            "Traces.Example:80",
            "traces.example.:443",
            "proxy",
        ),
    ],
)
def test_our_names(page: Caller, host: str) -> None:
    """An address, localhost and a name that was allowed are this server's."""
    answer = page.ask("GET", "/status.json", hosts=(host,))
    assert answer.status == 200
    harmless(answer)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:5317",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            " ",
            "127.0.0.1 ",
        ),
        *(
            "evil.example@127.0.0.1",
            "127.0.0.1@evil.example",
            "127.0.0.1/@evil.example",
            "127.0.0.1#.evil.example",
        ),
        *(
            "127.0.0.1?evil.example",
            "127.0.0.1\\.evil.example",
            "127.0.0.1:80:80",
            "127.0.0.1:port",
            "::1",
            "[::1",
        ),
        *(
            "[evil.example]",
            "2130706433",
            "0x7f.1",
            "127.0.0.1, evil.example",
            "a.traces.example",
            "\xff",
            "..",
            "[]",
        ),
    ],
)
def test_names_that_are_not_ours(page: Caller, host: str) -> None:
    """A name of another site that leads here is refused, and whatever two programs could read differently."""
    answer = page.ask("GET", "/traces", hosts=(host,))
    assert answer.status == 421
    harmless(answer)


def test_one_name_at_a_time(page: Caller) -> None:
    """Without a name, or with several, nothing is answered."""
    assert page.ask("GET", "/traces", hosts=()).status == 421
    assert page.ask("GET", "/traces", hosts=("evil.example", HOST)).status == 421
    assert page.ask("GET", "/traces", hosts=(HOST, HOST)).status == 421


@pytest.mark.parametrize("address", ["/", "/traces", "/trace/x.json", "/static/page.js", "/events", "/nope"])
@pytest.mark.parametrize("given", ["", "?token=", "?token=wrong", "?token=wrong&token=" + quote(TOKEN)])
def test_without_the_token(closed: Caller, address: str, given: str) -> None:
    """Who does not know the token is told nothing but how to get in."""
    answer = closed.get(address + given, cookie=f"{COOKIE}=wrong; x=1", authorization="Bearer wrong")
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    harmless(answer)


def test_the_token_in_the_address(closed: Caller) -> None:
    """It goes into a cookie that no script reads and no other site sends, and out of the address."""
    answer = closed.get(f"/traces?range=1h&token={quote(TOKEN)}&filter=a%26b")
    assert answer.status == 303
    assert answer.headers["location"] == "/traces?range=1h&filter=a%26b"
    cookie = answer.headers["set-cookie"]
    assert [each in cookie for each in ("; HttpOnly", "; SameSite=Strict", "; Path=/")] == [True] * 3
    harmless(answer)
    assert closed.get("/traces", cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "///evil.example/x", "/%2f/evil.example"])
@pytest.mark.parametrize("more", ["", "/%0d%0aset-cookie:x=1", "/%09", "/..//"])
def test_the_token_leads_nowhere_else(closed: Caller, path: str, more: str) -> None:
    """The address without the token is on this server, whatever it looks like."""
    answer = closed.get(f"{path}{more}?token={quote(TOKEN)}")
    assert answer.status == 303
    assert is_ours(answer.headers["location"])
    harmless(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"{COOKIE}={quote(TOKEN)}"},
        {"cookie": f'other={{"a": 1}}, [x]; bad name="; {COOKIE}={quote(TOKEN)}; {COOKIE}=stale'},
        {"authorization": f"Bearer {TOKEN}".encode().decode("latin-1")},
    ],
)
def test_who_knows_the_token(home: Path, headers: dict[str, str]) -> None:
    """A cookie, beside whatever other programs of this machine have set, or a header for commands."""
    token = TOKEN if "cookie" in headers else "plain-token"
    headers = headers if "cookie" in headers else {"authorization": f"bearer  {token}"}
    caller = Caller(site_of(home), Rules(frozenset(), token))
    answer = caller.get("/traces.json", **headers)
    assert answer.status == 200
    harmless(answer)
    caller.close()


def test_who_is_in_sheds_the_token(closed: Caller) -> None:
    """The token does not stay in the address of who has the cookie already, be it the right one or an old one."""
    for token in (TOKEN, "an old one"):
        answer = closed.get(f"/traces?token={quote(token)}", cookie=f"{COOKIE}={quote(TOKEN)}")
        assert (answer.status, answer.headers["location"]) == (303, "/traces")


def test_the_token_is_compared_in_constant_time(closed: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a comparison takes does not tell how much was right."""
    compared, really = [], hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return really(one, other)

    monkeypatch.setattr(guard.hmac, "compare_digest", compare)
    closed.get("/traces?token=in-address", cookie=f"{COOKIE}=in-cookie", authorization="Bearer in-header")
    assert {b"in-address", b"in-cookie", b"in-header"} <= set(compared)


def test_a_post_wants_the_token(closed: Caller) -> None:
    """The token in the address is for reading alone; nothing is written for who has only that."""
    body = f"csrf={closed.site.csrf}&value=up".encode()
    assert closed.post(f"/trace/{'a' * 32}/feedback?token={quote(TOKEN)}", body).status == 401


@pytest.mark.parametrize(
    "headers",
    [{"origin": each} for each in ("http://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1", "http://[")]
    + [{"origin": each} for each in ("", "127.0.0.1:5317", f"http://x@{HOST}", f"http://{HOST}, http://evil.example")]
    + [{"sec_fetch_site": each} for each in ("cross-site", "same-site", "none", "")],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"])
def test_writes_from_elsewhere(page: Caller, headers: dict[str, str], method: str) -> None:
    """What would change something and comes from another site is refused, before anything is read of it."""
    body = f"csrf={page.site.csrf}&value=up".encode()
    answer = page.ask(method, f"/trace/{'a' * 32}/feedback", headers.items(), body)
    assert answer.status == 403
    harmless(answer)


def test_headers_are_on_every_answer(page: Caller) -> None:
    """Also on what is refused, missing or not allowed."""
    answers = [page.get("/nope"), page.ask("DELETE", "/traces"), page.ask("GET", "/", hosts=("x",)), page.get("/")]
    assert [answer.status for answer in answers] == [404, 405, 421, 307]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["referrer-policy"] == "same-origin"
        harmless(answer)


@pytest.mark.parametrize("token", ["", "1234567"])
def test_short_tokens(token: str, tmp_path: Path) -> None:
    """A token that can be guessed is refused, also where it is empty."""
    result = CliRunner().invoke(
        main, ["ui", "--token", token, "--port", "0", "--no-open"], env={"AUTOTRACE_HOME": str(tmp_path)}
    )
    assert result.exit_code != 0
    assert "too short" in result.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "traces.example", "127.0.0.1.example", ""])
def test_other_addresses_want_a_token(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who binds to more than this machine's own address without a token gets one that was made up."""
    ui = importlib.import_module("autotrace.cli.ui")

    class Stop(Exception):
        pass

    given: list[Any] = []

    def address(host: str, port: int, token: str | None) -> str:
        given.append(token)
        raise Stop

    listener = SimpleNamespace(getsockname=lambda: (host, 5317))
    monkeypatch.setattr(ui, "_listener", lambda host, port: listener)
    monkeypatch.setattr(ui, "_address", address)
    result = CliRunner().invoke(main, ["ui", "--host", host, "--no-open"], env={"AUTOTRACE_HOME": str(tmp_path)})
    assert isinstance(result.exception, Stop), result.output
    assert len(given[0]) >= 32


@pytest.mark.asyncio
async def test_pages_that_are_told_are_bounded() -> None:
    """However many ask at once, no more than so many are told of changes; who leaves makes room."""
    live = Live(lambda: "1")
    streams = [live.events() for _ in range(MOST + 20)]
    first = [await stream.__anext__() for stream in streams]
    assert live.is_full
    assert first == ["retry: 3000\n\n"] * MOST + ["retry: 30000\n\n"] * 20
    with pytest.raises(StopAsyncIteration):
        await streams[-1].__anext__()
    for stream in streams:
        await stream.aclose()
    assert not live.is_full


@pytest.mark.asyncio
async def test_what_changes_when_the_time_is_up_is_told() -> None:
    """A change in the very moment that a wait ends is not lost: the next look is no other."""
    live = Live(lambda: "7")
    stream = live.events()
    await stream.__anext__()
    assert await stream.__anext__() == "event: changed\ndata: 7\n\n"
    live._known, live._told = "8", asyncio.Event()  # nobody waits for the event that was set
    live._version = lambda: "8"
    assert await asyncio.wait_for(stream.__anext__(), 10) == "event: changed\ndata: 8\n\n"
    await stream.aclose()


def test_pages_of_two_ports_know_their_own_tokens(closed: Caller) -> None:
    """A browser gives the cookies of a host to all of its ports."""
    assert closed.get("/traces", cookie=f"{guard.COOKIE}-1={quote(TOKEN)}").status == 401
    assert closed.get("/traces", cookie=f"{COOKIE}={quote(TOKEN)}; {guard.COOKIE}-1=other").status == 200


@pytest.mark.asyncio
async def test_telling_goes_on_after_a_mishap() -> None:
    """A look that fails (the store was replaced at that moment) does not end all telling."""
    looks = iter([OSError("gone"), "7"])

    def version() -> str:
        found = next(looks, "7")
        if isinstance(found, OSError):
            raise found
        return str(found)

    live = Live(version)
    stream = live.events()
    assert [await stream.__anext__(), await stream.__anext__()] == ["retry: 3000\n\n", "event: changed\ndata: 7\n\n"]
    await stream.aclose()
