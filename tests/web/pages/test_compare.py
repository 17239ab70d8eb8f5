"""Compare: figures, models and tools of two selections side by side, also on a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from re import findall
from typing import Any

import pytest

from ..asgi import OPEN, Caller, site_of
from ..conftest import served
from ..test_browser import PHONE, opened, violations
from .conftest import BEGAN, SECOND, TraceStore, chat

NOW = time.time() - BEGAN / SECOND
ADDRESS = "compare?range=24h&a_user=ann&b_user=bob"
#: Of each 40 traces, so many fail.
FAILING = {"ann": 2, "bob": 30}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test leaves open is closed."""
    yield
    for caller in list(OPEN):
        caller.close()


def fill(home: Path) -> TraceStore:
    """Forty traces of each user: bob's are slower, fail more often, and use another model beside."""
    store = TraceStore(home / "traces.db")
    for number in range(80):
        user = "ann" if number % 2 else "bob"
        is_failed = number // 2 < FAILING[user]
        more = {"gen_ai.usage.reasoning.output_tokens": 40, "gen_ai.usage.cache_read.input_tokens": 200}
        model = "gpt-4o" if user == "bob" and number % 4 else "gpt-4o-mini"
        failed: dict[str, Any] = {"status": "error", "message": "boom"} if is_failed else {}
        began = {"start": NOW - 600 + number, "seconds": 1 + number / 100 + 5 * (user == "bob")}
        root = chat("hello", **{"user.id": user, "gen_ai.request.model": model, **more})
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
        store.add(f"{number:032x}", attributes=root, **began, **failed)
        store.add(f"{number:032x}", "2", "1", attributes=tool, **began, **failed)
    return store


@pytest.fixture
def page(tmp_path: Path) -> Caller:
    """The page on those."""
    fill(tmp_path).writer.close()
    return Caller(site_of(tmp_path))


def test_both_sides_in_the_twin(page: Caller) -> None:
    """Kinds of tokens a trace, without a test; models and tools by name, with what a call uses and takes."""
    found = page.get(f"/{ADDRESS.replace('?', '.json?')}").json()
    rows = {row["name"]: row for row in found["rows"]}
    kinds = {name: rows[f"{name}_tokens_per_trace"] for name in ("input", "cache_read", "output", "reasoning")}
    assert [row["a"] for row in kinds.values()] == [1000, 200, 100, 40]
    assert {row["p"] for row in kinds.values()} == {None}
    assert (rows["error_rate"]["a"], rows["error_rate"]["b"], rows["error_rate"]["better"]) == (0.05, 0.75, "a")
    models = {row["name"]: row for row in found["models"]["rows"]}
    assert [(row["a"].get("calls"), row["b"].get("calls")) for row in models.values()] == [(40, 20), (None, 20)]
    assert models["gpt-4o-mini"]["a"]["tokens_per_call"] == 1100
    assert models["gpt-4o"]["error_rate"]["p"] is None
    (tool,) = found["tools"]["rows"]
    assert (tool["name"], tool["success_rate"]["marked"], tool["success_rate"]["better"]) == ("search", True, "a")
    assert tool["a"]["latency_p90_ms"] < tool["b"]["latency_p50_ms"]


def test_what_the_page_tells_of_them(page: Caller) -> None:
    """Every figure of the tables has a place, and what is marked is said in words too."""
    html = page.get(f"/{ADDRESS}").text
    for head in ("Tokens a call", "Cost a call", "Median", "p90"):
        assert f'class="over">{head}</th>' in html, head
    assert "more than noise, A is better" in html
    assert html.count('<tr class="marked">') > 2


def test_names_that_are_left_out(tmp_path: Path) -> None:
    """Twelve are shown, those of the most calls, and how many there are beside."""
    store = TraceStore(tmp_path / "traces.db")
    for number in range(14):
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool {number}"}
        for again in range(2 if number == 13 else 1):
            store.add(f"{number + 100 * again:032x}", start=NOW - 60, attributes=tool)
    store.writer.close()
    page = Caller(site_of(tmp_path))
    found = page.get("/compare.json").json()["tools"]
    assert (found["rows"][0]["name"], len(found["rows"]), found["left"]) == ("tool 13", 12, 2)
    assert "2 more are not shown" in page.get("/compare").text


def test_what_changes_and_what_does_not(page: Caller) -> None:
    """The form stays outside of what is fetched anew; an example leads to its trace, in the same range."""
    html = page.get(f"/{ADDRESS}").text
    before, _, live = html.partition("<div data-live>")
    assert "data-live>" not in live
    assert 'aria-label="What is compared"' in before
    assert "<fieldset" not in live
    urls = [unescape(url) for url in findall(r'href="(/trace/[^"]*)"', live)]
    assert len(urls) == 10
    assert urls[0].endswith("?range=24h")
    assert page.get(urls[0]).status == 200


def test_names_that_are_written_backwards(tmp_path: Path) -> None:
    """What a program calls its model and its tool, or an address a side, turns nothing else around."""
    name = "\u202egnp.<b>"
    store = TraceStore(tmp_path / "traces.db")
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    store.add("a", start=NOW - 60, attributes=chat("hello", **{"gen_ai.request.model": name}))
    store.add("a", "2", "1", start=NOW - 60, attributes=tool)
    store.writer.close()
    page = Caller(site_of(tmp_path))
    names = [row["name"] for kind in ("models", "tools") for row in page.get("/compare.json").json()[kind]["rows"]]
    assert len(names) == 2
    html = page.get("/compare?a_user=%E2%80%AExyz").text
    assert "<b>" not in html.replace("<b>yes</b>", "")
    for row in findall(r'<th scope="row">(.*?)</th>', html)[-2:]:
        assert row.startswith('<span class="said">')
    assert r'<span class="said">user \u202exyz</span>' in html
    assert "\u202e" not in html


def test_both_sides_are_seen_on_a_phone(browser: Any, tmp_path: Path) -> None:
    """A, B, their difference and the verdict, without scrolling; a row is still a row of a table."""
    home = tmp_path / "home"
    home.mkdir()
    fill(home).writer.close()
    with served(home) as page:
        for scheme in ("light", "dark"):
            with opened(browser, page, scheme, PHONE) as watched:
                tab = watched.tab
                watched.open(ADDRESS)
                assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
                cells = tab.locator("table.stack td:not(:empty)")
                ends = cells.evaluate_all("all => all.map(each => each.getBoundingClientRect().right)")
                assert len(ends) > 60
                assert max(ends) <= PHONE["width"]
                rows = tab.get_by_role("table").first.get_by_role("row").filter(has_text="Error rate")
                assert rows.get_by_role("rowheader").inner_text() == "Error rate"
                assert rows.get_by_role("cell").count() == 4
                assert violations(tab) == []
                tab.set_viewport_size({"width": 1360, "height": 900})
                assert violations(tab) == []
                assert watched.complaints == []


def test_figures_change_by_themselves(browser: Any, tmp_path: Path) -> None:
    """And who is choosing meanwhile goes on doing so."""
    home = tmp_path / "home"
    home.mkdir()
    store = fill(home)
    with served(home) as page, opened(browser, page) as watched:
        tab = watched.tab
        watched.open(ADDRESS)
        tab.locator("[data-live-state]").wait_for(state="visible")
        traces = tab.get_by_role("row").filter(has=tab.get_by_role("rowheader", name="Traces", exact=True))
        assert traces.get_by_role("cell").first.inner_text() == "40"
        tab.locator("[name=a_filter]").fill("status:er")
        store.add("f" * 32, start=NOW - 5, attributes=chat("hello", **{"user.id": "ann"}))
        traces.get_by_role("cell").first.get_by_text("41").wait_for()
        assert tab.locator("[name=a_filter]").input_value() == "status:er"
        assert tab.evaluate("document.activeElement.name") == "a_filter"
        assert watched.complaints == []
    store.writer.close()
