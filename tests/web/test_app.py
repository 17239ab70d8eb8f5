"""Pages and their twins, addresses that lead nowhere, and stores that come, go and are damaged meanwhile."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from autotrace.errors import FeedbackError
from autotrace.insights import trouble
from autotrace.store.schema import VERSION
from autotrace.web.app import NAVIGATION
from autotrace.web.pages import PAGES
from tests.insights.damaging import damage

from .asgi import OPEN, Caller, harmless, site_of
from .pages.conftest import BEGAN, SECOND, TraceStore, chat, said

A, B = "a" * 32, "b" * 32
ADDRESSES = (
    *(f"/{name}" for name in NAVIGATION),
    f"/trace/{A}",
    "/session?id=s1",
    "/user?id=u1",
    "/failure/1",
)
#: Now, in seconds after what the store takes for the beginning: all ranges end now.
NOW = time.time() - BEGAN / SECOND


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test leaves open is closed."""
    yield
    for caller in list(OPEN):
        caller.close()


def filled(home: Path) -> Path:
    """A home with two traces of one session, one of which failed, and a comment."""
    store = TraceStore(home / "traces.db")
    mine = {"session.id": "s1", "user.id": "u1"}
    store.add("a", start=NOW - 60, status="error", message="boom", attributes={**chat("hello"), **mine})
    store.add("b", start=NOW - 50, attributes={**chat("and now?"), **mine})
    store.judge("a", comment="no good", value=False, time=BEGAN + int((NOW - 40) * SECOND))
    store.writer.close()
    return home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with traces."""
    return filled(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Likewise, for tests that change nothing in it."""
    return filled(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def page(kept: Path) -> Caller:
    """The page on that one."""
    return Caller(site_of(kept))


@pytest.fixture
def own(home: Path) -> Caller:
    """The page on a home that a test may change."""
    return Caller(site_of(home))


def twin(address: str) -> str:
    """The address of the same as JSON."""
    path, mark, rest = address.partition("?")
    return f"{path}.json{mark}{rest}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_has_a_twin(page: Caller, address: str) -> None:
    """The page links to it, and it is the same each time it is asked for."""
    html, data = page.get(address), page.get(twin(address))
    assert (html.status, data.status) == (200, 200)
    harmless(html)
    harmless(data)
    assert f'href="{twin(address)}"' in html.text
    assert page.get(twin(address)).json() == data.json()
    assert data.json()["notes"] == []


def test_a_clock_that_is_ahead(tmp_path: Path) -> None:
    """What began after now is in no range until now: the page says so, and leads there."""
    store = TraceStore(tmp_path / "traces.db")
    store.add("a", start=NOW - 60, attributes=chat("hello"))
    store.add("b", start=NOW + 90 * 86400, attributes=chat("from afar"))
    store.writer.close()
    page = Caller(site_of(tmp_path))
    html = page.get("/overview?range=24h").text
    assert "Traces that began later than now" in html
    url = unescape(html.partition('a clock is ahead: <a href="')[2].partition('"')[0])
    assert "from afar" in page.get(url).text
    assert "a clock is ahead" not in page.get(url).text


@pytest.mark.parametrize("order", ["sort=banana", "after=banana", "sort=-tokens&after=n.1.banana"])
@pytest.mark.parametrize("name", ["traces", "sessions", "users"])
def test_an_order_that_cannot_be_read(page: Caller, name: str, order: str) -> None:
    """The page stays, in its usual order, and says what is wrong; its twin says that alone."""
    usual = page.get(f"/{name}.json").json()
    answer = page.get(f"/{name}?{order}")
    assert answer.status == 200
    assert 'role="alert"' in answer.text
    assert page.get(f"/{name}.json?{order}").status == 400
    assert usual["total"] > 0
    assert "data-id" in answer.text
    both = page.get(f"/{name}?{order}&filter=duration%3Ebanana")
    assert both.status == 200
    assert "data-id" in both.text


def test_names_that_no_address_can_hold_as_they_are(tmp_path: Path) -> None:
    """A session with a zero byte in its name is reached by its link."""
    store = TraceStore(tmp_path / "traces.db")
    store.add("a", start=NOW - 60, attributes={**chat("hello"), "session.id": "a\0b", "user.id": "u\0\n&v"})
    store.writer.close()
    page = Caller(site_of(tmp_path))
    for name, address in (("sessions", "/session"), ("users", "/user")):
        html = page.get(f"/{name}").text
        url = unescape(html.partition(f'href="{address}?')[2].partition('"')[0])
        answer = page.get(f"{address}?{url}")
        assert answer.status == 200
        assert "hello" in answer.text


def test_what_was_said_of_a_trace_is_in_its_row(own: Caller, home: Path) -> None:
    """Thumbs, figures that somebody gave, and how many comments, but not what they say where content is hidden."""
    store = TraceStore(home / "traces.db")
    store.judge("a", id="2" * 32, name="stars", value=4.5, comment="rather good")
    store.writer.close()
    own = Caller(site_of(home, hides_content=True))
    row = next(each for each in own.get("/traces.json").json()["traces"] if each["trace_id"] == A)
    assert (row["down"], row["ratings"], row["comments"]) == (1, [4.5], 2)
    html = own.get("/traces").text
    assert "4.5" in html
    assert "2 said why" in html
    assert "rather good" not in html


def test_a_trace_leads_back_to_where_one_came_from(page: Caller) -> None:
    """Its links keep which traces are looked at, and so does what is answered to feedback."""
    scope = "range=24h&model=gpt-4o-mini&user=u1"
    html = page.get(f"/traces?{scope}").text
    assert f'href="/trace/{A}?range=24h&amp;' in html
    links = page.get(f"/trace/{A}.json?{scope}").json()["links"]
    assert sorted(links["next"].partition("?")[2].split("&")) == sorted(scope.split("&"))
    assert links["session"].startswith("/session?range=24h&")
    own = Caller(site_of(page.site.config.home, judge=lambda *_: "1" * 32))
    answer = own.post(f"/trace/{A}/feedback?{scope}", urlencode({"csrf": own.site.csrf, "value": "up"}).encode())
    assert answer.headers["location"].startswith(f"/trace/{A}?range=24h&")


def test_a_conversation_tells_what_was_said_of_it(tmp_path: Path) -> None:
    """Comments stand at their turns; of a long text it is said how much is left out."""
    store = TraceStore(tmp_path / "traces.db")
    store.add("a", start=NOW - 60, attributes={**chat("long " * 2000), "session.id": "s1"})
    store.judge("a", comment="too long", value=False)
    store.writer.close()
    page = Caller(site_of(tmp_path))
    turn = page.get("/session.json?id=s1").json()["turns"][0]
    assert turn["feedback"] == [{"value": False, "comment": "too long", "user": "ann"}]
    assert turn["characters_left"] > 5000
    html = page.get("/session?id=s1").text
    assert "too long" in html
    assert f"{turn['characters_left']:,} more characters" in html


def test_a_conversation_says_why_nothing_was_said(tmp_path: Path) -> None:
    """Content that was not captured is told as that, and hidden content as hidden."""
    store = TraceStore(tmp_path / "traces.db")
    call = {name: value for name, value in chat("hi").items() if not name.endswith(".messages")}
    store.add("a", "1", start=NOW - 60, attributes={"session.id": "s1"})
    store.add("a", "2", "1", start=NOW - 60, attributes=call)
    store.add("b", "3", start=NOW - 50, attributes={**chat("hello"), "session.id": "s1"})
    store.writer.close()
    page = Caller(site_of(tmp_path))
    assert [turn["content"] for turn in page.get("/session.json?id=s1").json()["turns"]] == ["not captured", "shown"]
    assert page.get("/session?id=s1").text.count("content was not captured") == 1
    hidden = Caller(site_of(tmp_path, hides_content=True)).get("/session?id=s1").text
    assert hidden.count("content is hidden") == 2
    assert "hello" not in hidden


def test_a_trace_has_a_version_of_its_own(own: Caller, home: Path) -> None:
    """Its twin and the status tell it; another trace does not change it, feedback on this one does."""

    def version() -> str:
        told = own.get(f"/trace/{A}.json").json()["version"]
        assert own.get(f"/status.json?trace={A}").json()["trace"] == told != ""
        assert f'data-known="{told}"' in own.get(f"/trace/{A}").text
        return str(told)

    before = version()
    store = TraceStore(home / "traces.db")
    store.add("d", start=NOW - 30, attributes=chat("another"))
    own = Caller(site_of(home))
    assert version() == before
    store.judge("a", id="3" * 32, comment="once more")
    store.writer.close()
    own = Caller(site_of(home))
    assert version() != before


def test_a_verdict_that_is_nested_deeply(home: Path) -> None:
    """Does not keep the page from being up to date."""
    with closing(sqlite3.connect(home / "traces.db")) as connection, connection:
        connection.execute("UPDATE feedback SET value = ?", ("[" * 600 + "]" * 600,))
    page = Caller(site_of(home))
    assert page.get("/traces.json").json()["total"] == 2
    assert page.get(f"/trace/{A}").status == 200


def test_a_range_of_centuries(page: Caller) -> None:
    """Is drawn in as many columns as one can see."""
    found = page.get("/overview.json?from=1970-01-01&to=2240-01-01").json()
    assert found["now"]["traces"] == 2
    assert len(found["course"]) <= 101


def test_every_page_is_looked_at() -> None:
    """No page is missing in these tests."""
    known = {address.partition("?")[0].replace(A, "{trace_id}").replace("/1", "/{failure}") for address in ADDRESSES}
    assert known == {page.path for page in PAGES}


@pytest.mark.parametrize(
    "address", [*ADDRESSES, *map(twin, ADDRESSES), "/", "/status.json", "/static/page.js", "/nope"]
)
def test_head(page: Caller, address: str) -> None:
    """What is asked for its head alone has the head that it has."""
    head, whole = page.ask("HEAD", address), page.get(address)
    assert head.status == whole.status
    assert head.headers["content-security-policy"] == whole.headers["content-security-policy"]
    assert head.headers.get("content-type") == whole.headers.get("content-type")


def test_the_head_of_events_ends(page: Caller) -> None:
    """A stream that nobody reads is not begun."""
    assert page.ask("HEAD", "/events").status == 200


@pytest.mark.parametrize(
    "address",
    [
        *(
            "/nope",
            "/traces/",
            "/overview/x",
            f"/trace/{'0' * 32}",
            "/trace/x",
            f"/trace/{A}/",
            "/session?id=nobody",
        ),
        *(
            "/user?id=nobody",
            "/session",
            "/user",
            "/failure/999",
            "/failure/x",
            "/failure/-1",
            "/static/../app.py",
            "//",
        ),
        *(
            "/failure/" + "9" * 40,
            "/failure/²",
            f"/trace/{A}%0a",
            "/events/",
            "/static/",
            "/trace/",
            "/.json",
            "/%00",
        ),
    ],
)
def test_addresses_that_lead_nowhere(page: Caller, address: str) -> None:
    """They are answered by a page that says so and leads back, and their twins by JSON."""
    if "?" not in address and not address.startswith(("/static", "/.json")):
        answer = page.get(twin(address))
        assert answer.status == 404, answer.text
        harmless(answer)
    answer = page.get(address)
    assert answer.status == 404
    harmless(answer)
    if not address.startswith("/static/."):
        assert "/traces" in answer.text or answer.headers["content-type"] == "application/json"


def test_other_methods(page: Caller) -> None:
    """A page is for reading."""
    for method in ("POST", "PUT", "DELETE"):
        answer = page.ask(method, "/traces")
        assert answer.status == 405
        assert "GET" in answer.headers["allow"]
        harmless(answer)
    assert page.get(f"/trace/{A}/feedback").status == 405


@pytest.mark.parametrize(
    "address",
    [
        *(
            "/traces?sort=nonsense",
            "/traces?after=nonsense",
            "/sessions?sort=x",
            "/users?after=x",
            "/traces?filter=((",
        ),
        *(
            "/compare?a_filter=((",
            "/compare?a_filter=" + "x" * 1900 + "&filter=" + "y" * 1900,
            "/overview?filter=x:",
        ),
        *(
            "/session?id=s1&after=x",
            "/overview?filter=((&after=x",
            "/compare?filter=((&b_filter=((",
        ),
    ],
)
def test_what_cannot_be_read_is_said(page: Caller, address: str) -> None:
    """A filter, a sorting or a place that cannot be read is the asker's mistake, and named."""
    answer, data = page.get(address), page.get(twin(address))
    assert answer.status in (200, 400)
    assert 'role="alert"' in answer.text or answer.status == 400
    assert (data.status, set(data.json())) == (400, {"error"})
    harmless(answer)
    harmless(data)


@pytest.mark.parametrize(
    "given",
    [
        *(
            {"range": "x"},
            {"range": "9999w"},
            {"from": "x"},
            {"to": "0001-01-01"},
            {"from": "9999-12-31T23:59:59Z"},
        ),
        *(
            {"from": "2026-01-02", "to": "2026-01-01"},
            {"from": "1970-01-01"},
            {"to": "1970-01-01T00:00:01"},
        ),
        *(
            {"from": "1970-01-01", "to": "2240-01-01"},
            {"range": "0d"},
            {"range": "7D "},
            {"to": "2240-01-01"},
        ),
    ],
)
@pytest.mark.parametrize("address", ["/overview", "/traces", "/failures", "/behaviour", "/compare", "/users"])
def test_ranges(page: Caller, address: str, given: dict[str, str]) -> None:
    """Any range is drawn, or is said not to be one."""
    answer, data = (page.get(f"{each}?{urlencode(given)}") for each in (address, twin(address)))
    assert answer.status == 200
    assert data.status in (200, 400)
    harmless(answer)
    harmless(data)


@pytest.mark.parametrize("name", ["environment", "service", "release", "model", "user", "session", "tag", "filter"])
@pytest.mark.parametrize("address", [f"/{name}" for name in NAVIGATION])
def test_names_that_nothing_has(page: Caller, address: str, name: str) -> None:
    """A selection without traces is an empty page."""
    for each in (address, twin(address)):
        answer = page.get(f"{each}?{name}=nobody")
        assert answer.status == 200
        harmless(answer)


def test_no_store_yet(tmp_path: Path) -> None:
    """A home without a store, or none at all, is a page that says the next step; a store that comes is shown."""
    home = tmp_path / "home"
    page = Caller(site_of(home))
    for is_there in (False, True):
        for address in ADDRESSES:
            answer, data = page.get(address), page.get(twin(address))
            assert (answer.status, data.status) == (200, 404)
            assert "No traces yet" in answer.text
            harmless(answer)
            harmless(data)
        assert page.get("/status.json").json() == {"complete": False, "behind": None}
        assert is_there or home.mkdir() is None
    filled(home)
    site_of(home)
    assert page.get("/traces.json").json()["total"] == 2


def test_the_store_goes_and_comes_back(own: Caller, home: Path) -> None:
    """What was deleted is not shown any more, and another store in its place is."""
    assert own.get("/traces.json").json()["total"] == 2
    for file in home.glob("*.db*"):
        file.unlink()
    assert "No traces yet" in own.get("/traces").text
    store = TraceStore(home / "traces.db")
    store.add("c", start=NOW - 10, attributes=chat("something else"))
    store.writer.close()
    site_of(home)
    assert [row["trace_id"] for row in own.get("/traces.json").json()["traces"]] == ["c" * 32]
    assert own.get(f"/trace/{A}").status == 404


def test_the_store_alone_goes(own: Caller, home: Path) -> None:
    """Figures without their store are not shown."""
    (home / "traces.db").unlink()
    assert "No traces yet" in own.get("/traces").text
    assert own.get(f"/trace/{A}.json").status == 404


@pytest.mark.parametrize("file", ["traces.db", "insights.db"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, None])
@pytest.mark.parametrize("is_another", [True, False])
def test_a_damaged_file(own: Caller, home: Path, file: str, content: bytes | None, is_another: bool) -> None:
    """It is said, page by page, that it cannot be read; mended, it is shown without a new start."""
    assert own.get("/traces").status == 200
    path, kept = home / file, home / "kept"
    shutil.copy(path, kept)
    whole = path.read_bytes()
    if content is None:
        content = whole[: len(whole) // 3]
    _put(path, content, is_another)
    for address in (*ADDRESSES, *map(twin, ADDRESSES), "/status.json"):
        answer = own.get(address)
        harmless(answer, statuses=(200, 404, 503))
    body = urlencode({"csrf": own.site.csrf, "value": "up"}).encode()
    harmless(own.post(f"/trace/{A}/feedback", body), statuses=(400, 404, 503))
    _put(path, whole, is_another)
    site_of(home)
    assert own.get("/traces.json").json()["total"] == 2
    for address in ADDRESSES:
        assert own.get(address).status == 200


def test_a_store_of_which_a_page_is_damaged(own: Caller, home: Path) -> None:
    """What can be read is shown, and it is said that there is more; no address fails otherwise."""
    store = TraceStore(home / "traces.db")
    for number in range(300):
        store.add(f"{number:032x}", start=NOW - 30, attributes=chat(f"again {number}"))
    store.writer.close()
    for table in ("spans", "payloads"):
        damage(home / "traces.db", table)
        (home / "insights.db").unlink(missing_ok=True)
        site_of(home)
        for address in (*ADDRESSES, *map(twin, ADDRESSES)):
            harmless(own.get(address), statuses=(200, 404, 503))
        answer = own.get("/traces")
        assert answer.status == 200
        assert "The store is damaged" in answer.text
        assert any("The store is damaged" in note for note in own.get("/traces.json").json()["notes"])
        assert own.get("/status.json").json()["skipped"] > 0


def test_what_keeps_the_page_from_being_up_to_date(own: Caller, home: Path) -> None:
    """It is said on each page, with since when."""
    assert own.get("/status.json").json()["problem"] is None
    trouble.tell(home / "insights.db", "<b>no room</b>")
    said = own.get("/status.json").json()["problem"]
    assert said.startswith("The store cannot be read on: <b>no room</b>; what is shown is of 20")
    for address in ADDRESSES:
        answer = own.get(address)
        harmless(answer)
        assert "The store cannot be read on: &lt;b&gt;no room" in answer.text
        assert own.get(twin(address)).json()["notes"] == [said]


def _put(path: Path, content: bytes, is_another: bool) -> None:
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    if is_another:
        made = path.with_name("made")
        made.write_bytes(content)
        made.replace(path)
    else:
        path.write_bytes(content)


def test_a_store_of_a_newer_version(own: Caller, home: Path) -> None:
    """Whoever has a newer autotrace elsewhere is told to have it here too."""
    own.site.close()
    with closing(sqlite3.connect(home / "traces.db")) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    answer = own.get("/traces")
    assert answer.status == 503
    assert "newer autotrace" in answer.text
    harmless(answer, statuses=(503,))
    for address in (*ADDRESSES, "/status"):
        data = own.get(twin(address))
        assert data.status == 503
        assert "newer autotrace" in data.json()["error"]
    with closing(sqlite3.connect(home / "traces.db")) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    assert own.get("/traces").status == 200


def test_a_store_that_is_a_folder(tmp_path: Path) -> None:
    """A folder in its place is no store."""
    (tmp_path / "traces.db").mkdir()
    page = Caller(site_of(tmp_path))
    harmless(page.get("/traces"), statuses=(200, 503))


def judged(home: Path) -> tuple[Caller, list[Any]]:
    """A page that takes feedback, and what it has taken."""
    given: list[Any] = []
    return Caller(site_of(home, judge=lambda *told: given.append(told))), given


def test_feedback_is_passed_on(home: Path) -> None:
    """A thumb with a comment, once; afterwards the browser is back on the trace."""
    page, given = judged(home)
    body = urlencode({"csrf": page.site.csrf, "value": "down", "comment": " wrong\nplace ", "user": "ann"}).encode()
    answer = page.post(f"/trace/{A}/feedback", body, origin="http://127.0.0.1:5317")
    assert (answer.status, answer.headers["location"]) == (303, f"/trace/{A}?said=later#feedback")
    assert given == [(A, False, "wrong\nplace", "ann")]
    harmless(answer)


@pytest.mark.parametrize(
    ("form", "status"),
    [({"value": "up", "csrf": each}, 403) for each in ("", "wrong", "\ud800", "é")]
    + [({"value": "up"}, 403), ({}, 403), ({"value": "yes", "csrf": None}, 400), ({"csrf": None}, 400)]
    + [({"value": "up", "csrf": None, "comment": "x" * 70_000}, 403)]
    + [({"value": "up", "csrf": None, **{str(number): "" for number in range(30)}}, 403)],
)
def test_feedback_that_is_refused(home: Path, form: dict[str, Any], status: int) -> None:
    """Without the page's own secret, with another value, or too long."""
    page, given = judged(home)
    told = {name: page.site.csrf if value is None else value for name, value in form.items()}
    answer = page.post(f"/trace/{A}/feedback", urlencode(told, errors="surrogatepass").encode())
    assert (answer.status, given) == (status, [])
    harmless(answer)


@pytest.mark.parametrize("trace", ["0" * 32, "a", "x", A.upper(), f"{A}%0a", f"{A}%00", "%2e%2e", "a" * 5000])
def test_feedback_on_no_trace(home: Path, trace: str) -> None:
    """A trace is named by its whole id."""
    page, given = judged(home)
    answer = page.post(f"/trace/{trace}/feedback", urlencode({"csrf": page.site.csrf, "value": "up"}).encode())
    assert (answer.status, given) == (404, [])
    harmless(answer)


def test_feedback_that_cannot_be_said(home: Path) -> None:
    """Where nothing is recorded it is said so."""

    def judge(*_: Any) -> None:
        raise FeedbackError("nothing is recorded")

    for page in (Caller(site_of(home)), Caller(site_of(home, judge=judge))):
        answer = page.post(f"/trace/{A}/feedback", urlencode({"csrf": page.site.csrf, "value": "up"}).encode())
        assert answer.status == 400
        assert "nothing is recorded" in answer.text
        harmless(answer)
        page.close()


def test_reading_writes_nothing(home: Path) -> None:
    """No address that is read changes a file, or says anything of a trace."""
    page, given = judged(home)
    before = {file: file.read_bytes() for file in home.iterdir() if not file.name.endswith("-shm")}
    more = urlencode({"csrf": page.site.csrf, "value": "up", "comment": "x"})
    for address in (*ADDRESSES, *map(twin, ADDRESSES), "/", f"/trace/{A}/feedback", "/status.json"):
        page.get(f"{address}{'&' if '?' in address else '?'}{more}")
    assert given == []
    assert {file: content for file, content in before.items() if file.read_bytes() != content} == {}


#: A word of its own for each place where something is said.
PLACES = (
    *("question", "answer", "system", "reasoning", "argument", "result", "errortext", "stack", "comment", "value"),
    *("tagvalue", "later", "document", "query", "definition", "inputvalue", "outputvalue", "eventtext", "custom"),
    *("feedbackmeta", "toolerror"),
)
WORDS = {place: f"canary{place}word" for place in PLACES}


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where a word of its own is said in each place."""
    home = tmp_path_factory.mktemp("spoken")
    w = WORDS
    store = TraceStore(home / "traces.db")
    reasons = {"role": "assistant", "parts": [{"type": "reasoning", "content": w["reasoning"]}]}
    call = {"type": "tool_call", "id": "1", "name": "look_up", "arguments": {"q": w["argument"]}}
    result = {"type": "tool_call_response", "id": "1", "response": w["result"]}
    spoken = chat(
        said("system", w["system"]),
        w["question"],
        said("assistant", call),
        said("tool", result),
        received=[reasons, said("assistant", w["answer"])],
        **{
            "session.id": "s1",
            "user.id": "u1",
            "autotrace.tags": {"plan": w["tagvalue"]},
            "gen_ai.tool.definitions": [{"name": "look_up", "description": w["definition"]}],
            "custom.attribute": w["custom"],
        },
    )
    told = {
        "exception.type": "BoomError",
        "exception.message": w["errortext"],
        "exception.stacktrace": w["stack"],
        "custom": w["eventtext"],
    }
    events = [{"name": "exception", "time": BEGAN, "attributes": told}, {"name": "x", "time": 1, "attributes": told}]
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look_up",
        "gen_ai.tool.call.arguments": {"q": w["argument"]},
        "gen_ai.tool.call.result": w["result"],
    }
    documents = {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.retrieval.query.text": w["query"],
        "gen_ai.retrieval.documents": [{"id": "d1", "score": 0.5}],
        "output.value": [{"id": "d1", "content": w["document"]}],
    }
    values = {"input.value": w["inputvalue"], "output.value": w["outputvalue"]}
    bad = {"status": "error", "message": w["errortext"], "events": events}
    for number, trace in enumerate("ab"):
        begins = NOW - 60 + number
        store.write(
            store.span(trace, "1", start=begins, attributes=spoken, **bad),
            store.span(trace, "2", "1", start=begins, attributes=tool, status="error", message=w["toolerror"]),
            store.span(trace, "3", "1", start=begins, attributes=tool),
            store.span(trace, "4", "1", start=begins, attributes=documents),
            store.span(trace, "5", "1", start=begins, attributes=values),
        )
        given = {"id": f"{trace}1" * 16, "time": BEGAN + int(begins * SECOND)}
        store.judge(trace, comment=w["comment"], value=False, metadata={"m": w["feedbackmeta"]}, **given)
        more = {"id": f"{trace}2" * 16, "name": "correct", "value": w["value"], "type": "expectation"}
        store.judge(trace, **{**given, **more})
    store.writer.close()
    return home


def _addresses(page: Caller) -> list[str]:
    spans = [f"/trace/{A}?span={number * 16}" for number in "12345"]
    views = [
        f"{each}&view={view}&full={full}" for each in spans for view in ("chat", "details", "raw") for full in "01"
    ]
    failures = [f"/failure/{group['id']}" for group in page.get("/failures.json").json()["groups"]]
    filters = [f"/{each}?filter={quote('user:u1')}" for each in NAVIGATION]
    return [*ADDRESSES[:-1], *views, *failures, *filters, "/failures?kind=error", "/traces?sort=name", "/nope"]


def test_content_can_be_hidden(spoken: Path) -> None:
    """With --hide-content nothing of what was said is on any page, or in its twin; the figures stay."""
    open_page, page = Caller(site_of(spoken)), Caller(site_of(spoken, hides_content=True))
    addresses = _addresses(open_page)
    shown = "".join(open_page.get(each).text for address in addresses for each in (address, twin(address)))
    # All but what no page shows at all: else the test would not tell anything.
    assert {place for place, word in WORDS.items() if word not in shown} <= {"later", "feedbackmeta"}
    for address in addresses:
        for each in (address, twin(address)):
            answer = page.get(each)
            assert answer.status == open_page.get(each).status
            assert [place for place, word in WORDS.items() if word in answer.text] == [], each
            harmless(answer)
    assert page.get("/overview.json").json()["now"] == open_page.get("/overview.json").json()["now"]
    rows = page.get("/traces.json").json()["traces"]
    assert [(row["tools"], row["input_tokens"], row["down"]) for row in rows] == [(["look_up"], 1000, 2)] * 2 or rows
    assert "hidden" in page.get(f"/trace/{A}").text


@pytest.mark.parametrize(
    "term",
    [
        *(
            WORDS["question"],
            f'"{WORDS["answer"]}"',
            f"text:{WORDS['comment']}",
            f"error:{WORDS['errortext']}",
        ),
        *(
            f"NOT error:{WORDS['errortext']}*",
            f"question:{WORDS['question'][:5]}*",
            f"tag:plan={WORDS['tagvalue']}",
        ),
        *(
            "tag:plan=c*",
            "tag:*word",
            f"user:u1 AND (status:error OR NOT text:{WORDS['result']})",
        ),
    ],
)
@pytest.mark.parametrize("parameter", ["filter", "a_filter", "b_filter"])
def test_hidden_content_cannot_be_guessed(spoken: Path, term: str, parameter: str) -> None:
    """What a filter finds would tell what was said: it is refused, whatever it would find."""
    page = Caller(site_of(spoken, hides_content=True))
    paths = ("/compare",) if parameter != "filter" else ("/traces", "/overview", "/users", "/compare", "/failures")
    for path in paths:
        answer, data = (page.get(f"{each}?{urlencode({parameter: term})}") for each in (path, twin(path)))
        assert data.status == 400
        assert "hidden" in data.json()["error"]
        assert "--hide-content" in answer.text
        harmless(answer)


@pytest.mark.parametrize("name", ["tag", "a_tag", "b_tag"])
def test_hidden_tags_cannot_be_guessed(spoken: Path, name: str) -> None:
    """Nor by the parameter for a tag; whether there is one of a name can be asked."""
    page = Caller(site_of(spoken, hides_content=True))
    assert page.get(f"/compare.json?{name}=plan%3D{WORDS['tagvalue']}").status == 400
    assert page.get(f"/compare?{name}=plan%3D{WORDS['tagvalue']}").status == 400
    assert page.get(f"/compare.json?{name}=plan").status == 200


@pytest.mark.parametrize(
    "term",
    [
        *(
            "status:error",
            "error:*",
            "error=BoomError",
            "error!=BoomError",
            "tag:plan",
            "tag:*",
            "question:*",
            "question:1",
        ),
        *(
            "tool:look_up",
            "feedback:comment",
            "name:span*",
            "cost>0 AND duration<1h",
        ),
    ],
)
def test_figures_can_be_filtered(spoken: Path, term: str) -> None:
    """What tells nothing of what was said can be asked for where content is hidden."""
    page = Caller(site_of(spoken, hides_content=True))
    assert page.get(f"/traces.json?{urlencode({'filter': term})}").status == 200


def test_content_that_was_not_captured_is_said_so(tmp_path: Path) -> None:
    """A model call without what was said has a page that tells why."""
    store = TraceStore(tmp_path / "traces.db")
    silent = {key: value for key, value in chat("x").items() if "messages" not in key}
    store.add("a", start=NOW - 60, attributes=silent)
    store.writer.close()
    page = Caller(site_of(tmp_path))
    answer = page.get(f"/trace/{A}")
    assert "not captured" in answer.text
    assert json.loads(page.get(f"/trace/{A}.json").body)["span"]["content"] == "not captured"
    harmless(answer)
