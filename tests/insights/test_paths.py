"""The way that an agent took through its tools, and calls that it made twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotrace.insights.opening import opened
from autotrace.insights.paths import NO_TOOLS, path
from tests.store.conftest import Store, chat, record


def tool(name: str, arguments: Any = None) -> dict[str, Any]:
    """Attributes of a call of a tool."""
    given = {} if arguments is None else {"gen_ai.tool.call.arguments": json.dumps(arguments)}
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **given}


def kept(store: Store) -> tuple[str, int]:
    """The path of the only trace, and how many of its calls were there already."""
    with opened(store.path.parent) as insights:
        sql = "SELECT n.text, t.repeats FROM traces AS t JOIN names AS n ON n.id = t.path"
        ((way, repeats),) = insights.rows(sql)
        return way, repeats


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], NO_TOOLS),
        (["a"], "a"),
        (["a", "b", "a"], "a → b → a"),
        (["a", "a", "a", "b"], "a ×3 → b"),
        (["a"] * 500, "a ×500"),
        ([str(number) for number in range(13)], " → ".join(map(str, range(12))) + " → …"),
        (["x" * 500], "x" * 100),
    ],
)
def test_path(names: list[str], expected: str) -> None:
    """Steps in order; the same one again and again is told once, and a dozen steps are kept."""
    assert path(names) == expected


@given(st.lists(st.text(max_size=200), max_size=50))
def test_a_path_is_short(names: list[str]) -> None:
    """However many steps there were, and whatever they are called."""
    assert len(path(names)) <= 12 * 120


def test_a_loop(store: Store) -> None:
    """The same tool, again and again with the same arguments, is one step, and all calls but the first are repeats."""
    store.write(
        record("a", "1"), *(record("a", str(n), "1", n, attributes=tool("search", {"q": 1})) for n in (2, 3, 4))
    )
    assert kept(store) == ("search ×3", 2)


def test_other_arguments_are_no_repeat(store: Store) -> None:
    """Nor is another tool with the same ones, nor a call whose arguments nobody knows."""
    calls = [tool("search", {"q": 1}), tool("search", {"q": 2}), tool("fetch", {"q": 1}), tool("fetch"), tool("fetch")]
    store.write(record("a", "1"), *(record("a", str(n), "1", n, attributes=each) for n, each in enumerate(calls, 2)))
    assert kept(store) == ("search ×2 → fetch ×3", 0)


def test_what_was_looked_up_is_a_step(store: Store) -> None:
    """Retrieval and ranking stand between the tools."""
    steps = ({"gen_ai.operation.name": "retrieval"}, {"gen_ai.operation.name": "rerank"}, tool("send"))
    store.write(record("a", "1"), *(record("a", str(n), "1", n, attributes=each) for n, each in enumerate(steps, 2)))
    assert kept(store) == ("retrieval → rerank → send", 0)


def test_tools_that_a_model_asked_for(store: Store) -> None:
    """Where the program runs its tools untraced, the model's calls tell the path."""
    parts = [{"type": "tool_call", "name": "search"}, {"type": "text", "content": "x"}, {"type": "tool_call"}]
    asked = json.dumps([{"role": "assistant", "parts": parts}])
    store.write(record("a", "1"), record("a", "2", "1", attributes=chat("hi") | {"gen_ai.output.messages": asked}))
    assert kept(store) == ("search → tool", 0)


def test_spans_of_tools_count_more_than_what_models_asked_for(store: Store) -> None:
    """A call that is both is one step."""
    asked = json.dumps([{"role": "assistant", "parts": [{"type": "tool_call", "name": "search"}]}])
    store.write(
        record("a", "1"),
        record("a", "2", "1", attributes=chat("hi") | {"gen_ai.output.messages": asked}),
        record("a", "3", "1", 1, attributes=tool("search")),
    )
    assert kept(store) == ("search", 0)


def test_without_a_name(store: Store) -> None:
    """The span's own stands in for the name of the tool."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": 5}
    store.write(record("a", "1"), record("a", "2", "1", name="execute_tool look up", attributes=attributes))
    assert kept(store) == ("look up", 0)
