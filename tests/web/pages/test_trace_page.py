"""The page of one trace as HTML: whatever was said, nothing of it becomes markup."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jinja2 import ChoiceLoader, DictLoader, Environment, FileSystemLoader, StrictUndefined

import autotrace.web
from autotrace.store.outline import TraceReader
from autotrace.web import figures
from autotrace.web.hiding import hidden

TEMPLATES = Path(autotrace.web.__file__).parent / "templates"
BASE = """
<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}{% block scope %}{% endblock %}
{% block main %}{% endblock %}
"""
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}javascript:alert(1)\u202e\x1b[0m"
VIEWS = ("chat", "details", "raw")


class Page(HTMLParser):
    """The elements of a page, its text, and what it may not have."""

    VOID = frozenset({"link", "img", "input", "br", "meta", "col"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]


@cache
def _environment() -> Environment:
    loader = ChoiceLoader([DictLoader({"base.html": BASE}), FileSystemLoader(TEMPLATES)])
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for name in ("count", "duration", "usd", "moment", "exactly"):
        made.filters[name] = getattr(figures, name)
    return made


def render(data: dict[str, Any]) -> Page:
    """The page as the application makes it, within a stand-in for what all pages share."""
    environment = _environment()
    page = Page(environment.get_template("trace.html").render({**data, "csrf": "token"}))
    for tag, attributes in page.tags:
        assert tag not in ("script", "style", "iframe", "object", "base", "embed")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not (attributes.get("href") or "").lower().startswith(("javascript:", "data:", "//"))
        assert tag != "img" or (attributes["src"] or "").startswith("data:image/")
    assert not set(page.text) & set("\u202e\x1b\x00")
    return page


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_that_was_said_becomes_markup(traces: Any, model_call: Any, message: Any, view: str) -> None:
    """Markup in every place of a trace is shown as text."""
    kinds = [
        {"type": "text", "content": EVIL},
        {"type": "reasoning", "content": EVIL},
        {"type": "refusal", "content": EVIL},
        {"type": "tool_call", "id": EVIL, "name": EVIL, "arguments": {EVIL: EVIL}},
        {"type": "tool_call_response", "id": EVIL, "response": EVIL},
        {"type": "uri", "modality": EVIL, "mime_type": EVIL, "uri": EVIL},
        {"type": "blob", "mime_type": "image/png", "content": EVIL},
        {"type": EVIL, "content": EVIL},
        {"type": ["x"], "content": {"a": None}},
    ]
    attributes = model_call(
        {"role": EVIL, "name": EVIL, "parts": kinds},
        received=[message("assistant", *kinds)],
        **{
            "session.id": EVIL,
            "user.id": EVIL,
            "autotrace.tags": {EVIL: EVIL},
            f"gen_ai.request.{EVIL}": EVIL,
            "gen_ai.response.model": EVIL,
            "gen_ai.tool.definitions": [{"name": EVIL, "description": EVIL}],
            "gen_ai.retrieval.documents": [{"id": EVIL, "score": 1}],
            "output.value": [{"content": EVIL, "id": EVIL, "metadata": {EVIL: EVIL}}],
        },
    )
    told = {"exception.type": EVIL, "exception.message": EVIL, "exception.stacktrace": EVIL}
    events = [
        {"name": "exception", "time": 1, "attributes": told},
        {"name": EVIL, "time": "x", "attributes": {EVIL: EVIL}},
    ]
    links = [{"trace_id": EVIL, "span_id": EVIL}]
    traces.add(name=EVIL, attributes=attributes, status="error", message=EVIL, events=events, links=links, scope=EVIL)
    traces.judge(name=EVIL, value=EVIL, comment=EVIL, source=EVIL, source_type=EVIL)
    page = render(traces.page(view=view))
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_without_content(traces: Any, model_call: Any, view: str) -> None:
    """With hidden content every view renders, and says so."""
    told = {"exception.type": "E", "exception.message": "secret", "exception.stacktrace": "secret"}
    events = [{"name": "exception", "time": 1, "attributes": told}]
    traces.add(attributes=model_call("secret", **{"autotrace.tags": {"a": "secret"}}), status="error", events=events)
    traces.judge(value="secret", comment="secret")
    page = render(hidden(traces.page(view=view, hide_content=True)))
    assert "secret" not in page.text
    assert "hidden" in page.text


def test_the_page_of_an_agent(traces: Any, model_call: Any, message: Any) -> None:
    """The tree has a line and a bar for each span, one of them is the current one, and headings are in order."""
    traces.add(name="agent", seconds=9, attributes={"gen_ai.operation.name": "invoke_agent", "session.id": "s"})
    traces.add(
        "a", "2", "1", start=1, status="error", message="no", attributes={"gen_ai.operation.name": "execute_tool"}
    )
    traces.add("a", "3", "1", start=3, record="I")
    traces.add("a", "4", "1", start=4, attributes=model_call("Is it?"))
    traces.add("b", start=20, attributes={"session.id": "s"})
    page = render(traces.page())
    assert len(page.all("rect", y="1")) == 4
    assert len(page.all("a", **{"aria-current": "true"})) == 1
    assert page.all("a", rel="next")[0]["href"] == "/trace/" + "b" * 32
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert "interrupted" in page.text


def test_feedback_can_be_given_without_javascript(traces: Any) -> None:
    """The form posts a thumb, a comment and the secret of the page to the trace's own address."""
    traces.add()
    page = render(traces.page())
    (form,) = page.all("form")
    assert (form["method"], form["action"]) == ("post", "/trace/" + "a" * 32 + "/feedback")
    assert page.all("input", name="csrf")[0]["value"] == "token"
    assert [button["value"] for button in page.all("button", name="value")] == ["up", "down"]


def test_what_is_left_out_can_be_asked_for(traces: Any, model_call: Any) -> None:
    """A text that is cut says how much is missing, with a link to more of it."""
    traces.add(attributes=model_call("x" * 30_000))
    page = render(traces.page())
    assert "10,000 more characters" in page.text
    assert any("full=1" in (link["href"] or "") for link in page.all("a"))


KEYS = (
    "gen_ai.system_instructions",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "gen_ai.tool.definitions",
    "gen_ai.response.finish_reasons",
    "gen_ai.request.temperature",
    "gen_ai.request.model",
    "gen_ai.usage.audio.input_tokens",
    "autotrace.tags",
    "input.value",
    "output.value",
    "server.address",
    "server.port",
)
WORDS = ("type", "content", "role", "parts", "name", "text", "blob", "uri", "image/png", "tool_call", "response", "id")
WORDS_TOO = (
    "tool_call_response",
    "arguments",
    "reasoning",
    "function",
    "score",
    "metadata",
    "description",
    "mime_type",
)
TEXTS = st.sampled_from([*WORDS, *WORDS_TOO, EVIL, "data:image/png;base64,AAAA"]) | st.text(max_size=20)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    LEAVES | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=25,
)
EVENTS = st.lists(st.fixed_dictionaries({"name": JSON, "time": JSON, "attributes": JSON}), max_size=3)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8), EVENTS, st.lists(JSON, max_size=2), st.booleans())
def test_whatever_a_program_recorded_has_a_page(
    traces: Any, attributes: dict[str, Any], events: list[Any], links: list[Any], is_text: bool
) -> None:
    """Any JSON in any attribute, event and link, as text or as it is: every view renders, nothing becomes markup."""
    trace_id = token_hex(16)
    body = {"name": "x", "events": [], "links": links, "operation": "chat"}
    record = traces.span(trace_id, attributes=attributes if is_text else {}, **body)
    record.body["attributes"].update({"gen_ai.operation.name": "chat"} if is_text else attributes)
    record.body["events"] = [{**event, "name": str(event["name"])} for event in events] if not is_text else events
    try:
        traces.write(record)
        shown = [traces.page(trace_id, view=view, full="1") for view in VIEWS]
    except AssertionError:
        with TraceReader(traces.path) as reader:
            assert reader.outline(trace_id) is None  # the store did not take it
        return
    for found in shown:
        render(found)
