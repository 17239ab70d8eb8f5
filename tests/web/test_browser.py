"""The pages in a real browser: what is asked for, what it says, whom it serves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.conftest import by_hand

from .conftest import Page, served
from .pages.conftest import BEGAN, SECOND, TraceStore, chat

#: Every page, by a name; the address has a place for a trace, a session, a user and a group of failures.
PAGES = {
    "overview": "overview?range=30d",
    "traces": "traces?range=30d",
    "trace": "trace/{trace}",
    "trace-details": "trace/{trace}?view=details",
    "trace-raw": "trace/{trace}?view=raw",
    "sessions": "sessions?range=30d",
    "session": "session?id={session}",
    "users": "users?range=30d",
    "user": "user?id={user}&range=30d",
    "failures": "failures?range=30d",
    "failure": "failure/{failure}?range=30d",
    "behaviour": "behaviour?range=30d",
    "compare": "compare?range=30d",
    "nothing-fits": "traces?range=30d&filter=nosuchwordanywhere",
    "not-there": "trace/00000000000000000000000000000000",
}
WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


class Watched:
    """A tab, and what it has asked for and complained of."""

    def __init__(self, tab: Any, page: Page) -> None:
        self.tab, self.page = tab, page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("console", lambda message: self._said(message))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: Any) -> None:
        # The browser itself says so of the page that is not there.
        if message.type in ("error", "warning") and "404 (Not Found)" not in message.text:
            self.complaints.append(message.text)

    def open(self, address: str) -> None:
        """Opens an address of the page, and waits until it has been drawn."""
        self.tab.goto(self.page.url + address, wait_until="load")

    def strangers(self) -> list[str]:
        """What was asked of somebody else."""
        own = urlsplit(self.page.url).netloc
        return [url for url in self.requests if not url.startswith("data:") and urlsplit(url).netloc != own]


@contextmanager
def opened(
    browser: Any, page: Page, scheme: str = "light", size: dict[str, int] = WIDE, **more: Any
) -> Iterator[Watched]:
    """A tab of its own."""
    context = browser.new_context(viewport=size, color_scheme=scheme, **more)
    try:
        yield Watched(context.new_page(), page)
    finally:
        context.close()


def addresses(page: Page) -> dict[str, str]:
    """The pages of a store, as far as it has what they show."""
    traces = page.json("traces.json?range=30d&sort=-spans")["traces"]
    with_session = next((row for row in traces if row["session"]), None)
    with_user = next((row for row in traces if row["user"]), None)
    failures = page.json("failures.json?range=30d")["groups"]
    places = {
        "trace": traces[0]["trace_id"],
        "session": with_session and quote(with_session["session"]),
        "user": with_user and quote(with_user["user"]),
        "failure": failures[0]["id"] if failures else None,
    }
    found = {}
    for name, address in PAGES.items():
        needs = [place for place in places if f"{{{place}}}" in address]
        if all(places[place] is not None for place in needs):
            found[name] = address.format(**places)
    return found


def violations(tab: Any) -> list[str]:
    """What axe says against a page, of level A or AA."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
    found = Axe().run(tab, options=options).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}: {each['nodes'][0].get('failureSummary')}" for each in found
    ]


@pytest.mark.parametrize(("store", "scheme"), [("generated", "light"), ("generated", "dark"), ("demo", "light")])
def test_every_page_is_accessible_and_asks_nobody_else(
    request: pytest.FixtureRequest, browser: Any, store: str, scheme: str
) -> None:
    """No violation of level A or AA, nothing on the console, no request that leaves the origin."""
    page: Page = request.getfixturevalue(store)
    found = addresses(page)
    assert {"overview", "traces", "trace", "failures", "behaviour", "compare"} <= set(found)
    for name, address in found.items():
        with opened(browser, page, scheme) as watched:
            watched.open(address)
            assert violations(watched.tab) == [], name
            assert watched.complaints == [], name
            assert watched.strangers() == [], name


def test_every_page_fits_a_phone(browser: Any, generated: Page) -> None:
    """Nothing sticks out to the right, and what is to be pressed is as large as a finger."""
    for name, address in addresses(generated).items():
        with opened(browser, generated, size=PHONE, has_touch=True) as watched:
            watched.open(address)
            assert watched.tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
            assert violations(watched.tab) == [], name


def test_every_page_tells_the_same_without_javascript(browser: Any, generated: Page) -> None:
    """A page is whole as it comes; links lead on."""
    for name, address in addresses(generated).items():
        with opened(browser, generated, java_script_enabled=False) as without, opened(browser, generated) as with_it:
            without.open(address)
            with_it.open(address)
            said = [each.tab.locator("h1").first.inner_text() for each in (without, with_it)]
            assert said[0] == said[1], name
            assert without.tab.locator("main a").count() >= with_it.tab.locator("main a").count() > 0, name


def test_the_page_is_driven_by_keys_alone(browser: Any, generated: Page) -> None:
    """From the overview to a filter, to a trace, to a thumb."""
    with opened(browser, generated) as watched:
        tab = watched.tab
        watched.open("overview?range=30d")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.textContent") == "To the content"
        tab.keyboard.press("/")
        assert tab.evaluate("document.activeElement.name") == "filter"
        tab.keyboard.type("status:error")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**filter=status%3Aerror**")
        watched.open("traces?range=30d&filter=status%3Aerror")
        tab.keyboard.press("j")
        tab.keyboard.press("j")
        second = tab.evaluate("document.activeElement.getAttribute('href')")
        assert second == tab.locator("[data-row]").nth(1).get_attribute("href")
        tab.keyboard.press("k")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/trace/**")
        for _ in range(200):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement.value") == "down":
                break
        assert tab.evaluate("document.activeElement.value") == "down"
        assert watched.complaints == []


def test_a_drawing_is_one_stop(browser: Any, generated: Page) -> None:
    """Tab goes past its columns, the arrows through them, Enter to the traces of one."""
    with opened(browser, generated) as watched:
        tab = watched.tab
        watched.open("overview?range=30d")
        drawings = tab.locator("svg.chart")
        stops = drawings.evaluate_all("all => all.map(each => each.querySelectorAll('a[tabindex=\"0\"]').length)")
        assert stops == [1] * drawings.count()
        drawings.first.locator('a[tabindex="0"]').focus()
        last = tab.evaluate("document.activeElement.getAttribute('aria-label')")
        tab.keyboard.press("ArrowLeft")
        before = tab.evaluate("document.activeElement.getAttribute('aria-label')")
        assert before not in (last, None)
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.closest('svg') !== document.querySelector('svg.chart')")
        tab.keyboard.press("Shift+Tab")
        assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == before
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/traces?**from=**")
        assert watched.complaints == []


def test_a_filter_that_cannot_be_read_says_where(browser: Any, generated: Page) -> None:
    """The page stays, with what is wrong, and the form as it was."""
    with opened(browser, generated) as watched:
        watched.open("traces?range=30d&filter=duration%3Ebanana")
        assert "banana" in watched.tab.locator("[role=alert]").inner_text()
        assert watched.tab.locator("[name=filter]").input_value() == "duration>banana"
        assert watched.tab.locator("[data-id]").count() > 0


def test_a_trace_that_is_open_ends(browser: Any, tmp_path: Path) -> None:
    """Its page tells so, and what somebody gave elsewhere; what was unfolded and written in it stays as it is."""
    home = tmp_path / "home"
    home.mkdir()
    store = TraceStore(home / "traces.db")
    began = time.time() - BEGAN / SECOND - 5
    store.write(store.span("a", start=began, record="S", attributes=chat("Why?", received=[])))
    with served(home) as page, opened(browser, page) as watched:
        tab = watched.tab
        watched.open(f"trace/{'a' * 32}?view=details&range=30d")
        assert "Still running" in tab.locator("main").inner_text()
        tab.locator("[data-live-state]").wait_for(state="visible")
        unfolded = tab.locator(".trace-curl")
        unfolded.locator("summary").click()
        tab.locator("[name=comment]").fill("half a comment")
        tab.locator("h1").click()
        store.add("a", start=began, seconds=5, attributes=chat("Why?"))
        store.judge("a", comment="from elsewhere")
        tab.get_by_text("Still running").wait_for(state="detached")
        tab.get_by_text("from elsewhere").wait_for()
        assert unfolded.evaluate("each => each.open")
        assert tab.locator("[name=comment]").input_value() == "half a comment"
        assert tab.locator("nav a", has_text="Traces").get_attribute("href") == "/traces?range=30d"
        assert watched.complaints == []
    store.writer.close()


def test_who_reads_a_trace_stays_where_they_are(browser: Any, tmp_path: Path) -> None:
    """What was unfolded, focused or scrolled to stays so when there is more; what has not changed is left alone."""
    home = tmp_path / "home"
    home.mkdir()
    store = TraceStore(home / "traces.db")
    began = time.time() - BEGAN / SECOND - 5
    thought = {"role": "assistant", "parts": [{"type": "reasoning", "content": "so it is"}]}
    called = {"type": "tool_call", "id": "1", "name": "look", "arguments": {str(each): each for each in range(200)}}
    sent = ["Why?", thought, {"role": "assistant", "parts": [called]}]
    store.write(store.span("a", start=began, record="S", attributes=chat(*sent, received=[])))
    with served(home) as page, opened(browser, page) as watched:
        tab = watched.tab
        watched.open(f"trace/{'a' * 32}")
        tab.locator("[data-live-state]").wait_for(state="visible")
        tab.locator(".reasoning summary").click()
        tab.locator("pre").first.evaluate("each => { each.scrollTop = 120; }")
        store.add("a", start=began, seconds=5, attributes=chat(*sent, received=[thought]))
        tab.get_by_text("Still running").wait_for(state="detached")
        folds = tab.locator(".reasoning")
        assert folds.evaluate_all("all => all.map(each => each.open)") == [True, False]
        assert folds.first.locator("summary").evaluate("each => each === document.activeElement")
        assert tab.locator("pre").first.evaluate("each => each.scrollTop") == 120
        tab.evaluate("document.querySelector('.trace-span').isTheSame = true")
        store.judge("a", comment="from elsewhere")
        tab.get_by_text("from elsewhere").wait_for()
        assert tab.evaluate("document.querySelector('.trace-span').isTheSame")
        assert watched.complaints == []
    store.writer.close()


def test_a_page_changes_by_itself(browser: Any, tmp_path: Path) -> None:
    """An empty page becomes the first trace's, and a list gets what is new on top."""
    program = [sys.executable, "-c", 'import autotrace\nwith autotrace.span("ask", input="Why?"):\n    pass']
    settings = {**by_hand(), "AUTOTRACE_HOME": str(tmp_path / "home")}
    with served(tmp_path / "home") as page, opened(browser, page) as watched:
        tab = watched.tab
        watched.open("overview")
        assert "import autotrace.auto" in tab.locator("main").inner_text()
        tab.locator("[data-live-state]").wait_for(state="visible")
        subprocess.run(program, env=settings, cwd=tmp_path, check=True)
        tab.locator(".tile").first.wait_for()
        watched.open("traces")
        assert tab.locator("[data-id]").count() == 1
        tab.locator("[data-live-state]").wait_for(state="visible")
        subprocess.run(program, env=settings, cwd=tmp_path, check=True)
        tab.locator("[data-id]").nth(1).wait_for()
        assert watched.complaints == []


def test_a_step_of_an_open_trace_ends(browser: Any, tmp_path: Path) -> None:
    """Its row changes while the trace goes on; when all of it is over, it is asked first whether it has changed."""
    home = tmp_path / "home"
    home.mkdir()
    store = TraceStore(home / "traces.db")
    began = time.time() - BEGAN / SECOND - 5
    step = {"gen_ai.operation.name": "execute_tool"}
    store.write(store.span("a", "1", start=began, record="S", attributes=chat("Why?", received=[])))
    store.write(store.span("a", "2", "1", start=began, record="S", attributes=step))
    with served(home) as page, opened(browser, page) as watched:
        tab = watched.tab
        watched.open(f"trace/{'a' * 32}")
        assert tab.locator(".trace-tree .status-running").count() == 2
        tab.locator("[data-live-state]").wait_for(state="visible")
        store.add("a", "2", "1", start=began, seconds=1, attributes=step)
        tab.locator(".trace-tree .status-running").nth(1).wait_for(state="detached")
        assert tab.locator("body").get_attribute("data-check") is None
        store.add("a", "1", start=began, seconds=5, attributes=chat("Why?"))
        tab.get_by_text("Still running").wait_for(state="detached")
        assert tab.locator("body").get_attribute("data-check") == f"/status.json?trace={'a' * 32}"
        assert watched.complaints == []
    store.writer.close()
