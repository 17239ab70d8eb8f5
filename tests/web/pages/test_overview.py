"""The overview: each figure beside its change, and leading to the traces behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from re import findall
from typing import Any

import pytest

from ..asgi import OPEN, Caller, site_of
from .conftest import BEGAN, SECOND, TraceStore, chat

NOW = time.time() - BEGAN / SECOND
DAY = 86400.0


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test leaves open is closed."""
    yield
    for caller in list(OPEN):
        caller.close()


@pytest.fixture
def page(tmp_path: Path) -> Caller:
    """The page on two days: yesterday two traces, today three, of which one failed."""
    store = TraceStore(tmp_path / "traces.db")
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    for number, (trace, ago, seconds) in enumerate(
        (("a", 36 * 3600, 1), ("b", 35 * 3600, 1), ("c", 3600, 2), ("d", 3000, 4), ("e", 2400, 8))
    ):
        failed = {"status": "error", "message": "boom"} if trace == "e" else {}
        attributes = chat("hello", **{"gen_ai.usage.input_tokens": 1000 * (1 + number)})
        store.add(trace, start=NOW - ago, seconds=seconds, attributes=attributes, **failed)
        store.add(trace, "2", "1", start=NOW - ago, attributes=tool, **failed)
    for number, (trace, value) in enumerate((("a", False), ("b", True), ("c", True), ("d", True))):
        store.judge(trace, id=f"{number:032x}", value=value)
    store.writer.close()
    return Caller(site_of(tmp_path))


def links(page: Caller, address: str) -> dict[str, str]:
    """The links of a page by their text."""
    html = page.get(address).text
    found: dict[str, str] = {}
    for url, inner in findall(r'<a [^>]*href="([^"]*)"[^>]*>(.*?)</a>', html.replace("\n", " ")):
        text = " ".join("".join(findall(r"(?:<[^>]*>)*([^<]*)", inner)).split())
        found.setdefault(unescape(text), unescape(url))
    return found


def ids(page: Caller, address: str) -> set[str]:
    """The first letter of each trace that an address of the list shows."""
    path, _, query = address.partition("?")
    return {row["trace_id"][0] for row in page.get(f"{path}.json?{query}").json()["traces"]}


def test_each_figure_has_its_change(page: Caller) -> None:
    """Quantiles, kinds of tokens, the cost of a trace, thumbs, and those of each model and tool."""
    found = page.get("/overview.json?range=24h").json()
    change = found["change"]
    assert change["traces"] == 0.5
    assert change["input_tokens"] == pytest.approx(3.0)
    assert change["liked_share"] == pytest.approx(1.0)
    for name in ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "cost_per_trace_usd", "cost_usd"):
        assert change[name] > 0.5, name
    (model,), (tool,) = found["models"], found["tools"]
    assert (model["calls"], model["change"]["calls"], model["change"]["input_tokens"]) == (3, 0.5, pytest.approx(3.0))
    assert (tool["calls"], tool["change"]["calls"]) == (3, 0.5)
    assert tool["change"]["success_rate"] == pytest.approx(-1 / 3)


def test_a_figure_leads_to_the_traces_behind_it(page: Caller) -> None:
    """Those that failed, were slower than a quantile, were liked; a model's, a tool's."""
    found = links(page, "/overview?range=24h")

    def behind(beginning: str) -> set[str]:
        return ids(page, next(url for text, url in found.items() if text.startswith(beginning)))

    assert behind("Error rate 33.3 %") == behind("1 failed") == {"e"}
    assert behind("Thumbs up 100 %") == behind("2 up") == {"c", "d"}
    assert behind("0 down") == set()
    assert behind("search") == behind("gpt-4o-mini") == {"c", "d", "e"}
    slowest = next(url for text, url in found.items() if text.endswith(" p99"))
    assert ids(page, slowest) <= {"e"}


def test_a_part_of_a_column_leads_to_that_part(page: Caller) -> None:
    """What failed of a bucket, and what was judged."""
    html = page.get("/overview?range=24h").text
    urls = [unescape(url) for url in findall(r'<a href="([^"]*)"[^>]*tabindex="-1"', html)]
    assert {"e"} in [ids(page, url) for url in urls if "status" in url]
    liked = [ids(page, url) for url in urls if "feedback%3Aup" in url]
    assert set().union(*liked) == {"c", "d"}


def test_more_rows_than_are_shown(tmp_path: Path) -> None:
    """It says how many, and leads to all of them."""
    store = TraceStore(tmp_path / "traces.db")
    for number in range(15):
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": f"tool {number}"}
        store.add(f"{number:032x}", start=NOW - 60, attributes=tool)
    store.writer.close()
    page = Caller(site_of(tmp_path))
    found = links(page, "/overview")
    assert sum(text.startswith("tool ") for text in found) == 12
    found = links(page, f"/overview{found['3 more']}")
    assert sum(text.startswith("tool ") for text in found) == 15
    assert "3 more" not in found


def test_a_period_before_that_was_hardly_there(tmp_path: Path) -> None:
    """Is nothing to compare with."""
    store = TraceStore(tmp_path / "traces.db")
    store.add("f" * 32, start=NOW - 36 * 3600, attributes=chat("hello"))
    for number in range(60):
        store.add(f"{number:032x}", start=NOW - 60, attributes=chat("hello"))
    store.writer.close()
    found: dict[str, Any] = Caller(site_of(tmp_path)).get("/overview.json?range=24h").json()
    assert found["before"]["traces"] == 1
    assert found["change"]["traces"] is None
    assert found["models"][0]["change"]["calls"] is None


def test_a_cost_that_nobody_knows_is_not_nothing(tmp_path: Path) -> None:
    """A failed call without tokens costs nothing; that of the other one is not known."""
    store = TraceStore(tmp_path / "traces.db")
    for trace, tokens in (("a", 0), ("b", 1000)):
        attributes = chat("hello", **{"gen_ai.request.model": "my-own-model", "gen_ai.usage.input_tokens": tokens})
        store.add(trace, start=NOW - 60, attributes={**attributes, "gen_ai.usage.output_tokens": tokens})
    store.writer.close()
    page = Caller(site_of(tmp_path))
    assert page.get("/overview.json").json()["now"]["cost_usd"] is None
    assert "$0<" not in page.get("/overview").text
    assert any("of unknown price" in text for text in links(page, "/overview"))


def test_a_range_by_its_ends(page: Caller) -> None:
    """The form holds them as a field of a browser's does, and they take the place of a range by name."""
    html = page.get("/overview?range=7d&from=2026-05-28T20:26:40Z&to=2026-06-01").text
    assert 'name="from" value="2026-05-28T20:26:40"' in html
    assert 'name="to" value="2026-06-01T00:00"' in html
    assert 'name="range"' not in html
