"""Hook points: what became of each function that a plugin wraps, and who else has wrapped it."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from ..conftest import Interpreter, Site

PLUGIN = """
from autotrace import Event, Instrumentation, Patch, StreamClass, hookimpl
nothing = lambda call: None

@hookimpl
def instrumentations():
    return [Instrumentation(
        "points",
        patches=(
            Patch("acme.client", "Client.search", nothing),
            Patch("acme.client", "Client.gone", nothing),
            Patch("acme.client", "Client.maybe", nothing, optional=True),
            Patch("acme.extra", "summarise", nothing),
            Patch("acme.gone", "function", nothing),
            Patch("acme.maybe", "function", nothing, optional=True),
            Patch("nothing_of_this_name", "function", nothing),
        ),
        streams=(StreamClass("acme.client", "Stream"), StreamClass("acme.client", "Gone")),
        events=(Event("acme.client", "Client.retry", "retry", lambda call: None),),
    )]
"""

PROGRAM = """
import json
import autotrace.auto, acme
from autotrace import activation
{code}
points = [point for point in activation.hook_points() if point.framework == "points"]
print(json.dumps({{point.target: [point.state, *point.wrapped_by] for point in points}}))
"""


@pytest.fixture
def points(python: Interpreter, site: Site) -> Any:
    """The hook points of a plugin, after some code."""
    site.plugin("aaa-points", PLUGIN, wakes="acme.client")
    python.path.append(site.folder)

    def run(code: str = "") -> Any:
        return json.loads(python.run(PROGRAM.format(code=textwrap.dedent(code))).splitlines()[-1])

    return run


def test_states(points: Any) -> None:
    """Found, missing, absent where the plugin says so, waiting where no distribution is there; modules are tried."""
    assert points() == {
        "acme.client.Stream": ["found"],
        "acme.client.Gone": ["missing"],
        "acme.client.Client.retry": ["found"],
        "acme.client.Client.search": ["found"],
        "acme.client.Client.gone": ["missing"],
        "acme.client.Client.maybe": ["absent"],
        "acme.extra.summarise": ["found"],
        "acme.gone.function": ["missing"],
        "acme.maybe.function": ["absent"],
        "nothing_of_this_name.function": ["waiting"],
    }


def test_off(points: Any) -> None:
    """What is switched off has no state."""
    assert set(map(tuple, points("autotrace.autolog('points', disable=True)").values())) == {("off",)}


@pytest.mark.parametrize("when", ["before", "after"])
def test_wrapped_with_wrapt(points: Any, python: Interpreter, site: Site, when: str) -> None:
    """A wrapper of wrapt's is named, whether it lies around ours or beneath."""
    site.module(
        "other_tool",
        """
        import wrapt, acme.client
        def wrapper(wrapped, instance, args, kwargs):
            return wrapped(*args, **kwargs)
        wrapt.wrap_function_wrapper("acme.client", "Client.search", wrapper)
    """,
    )
    code = "import other_tool" if when == "after" else ""
    if when == "before":
        (python.folder / "pyproject.toml").write_text("[tool.autotrace]\ndisable = ['points']\n")
        code = "import other_tool\nautotrace.autolog('points', disable=False)"
    assert points(code)["acme.client.Client.search"] == ["found", "other_tool"]


@pytest.mark.parametrize("how", ["functools.wraps(original)", "(lambda function: function)"])
def test_wrapped_by_hand(points: Any, site: Site, how: str) -> None:
    """A plain function around ours, or in its place, is named by the module that made it."""
    site.module(
        "other_tool",
        f"""
        import functools, acme.client
        original = acme.client.Client.search
        @{how}
        def search(*args, **kwargs):
            return original(*args, **kwargs)
        acme.client.Client.search = search
    """,
    )
    assert points("import other_tool")["acme.client.Client.search"] == ["found", "other_tool"]


def test_replaced(points: Any, site: Site) -> None:
    """A function put in place of ours that knows nothing of it is told apart from one that goes around it."""
    site.module(
        "other_tool",
        """
        import acme.client
        def search(self, prompt):
            return [prompt]
        acme.client.Client.search = search
    """,
    )
    assert points("import other_tool")["acme.client.Client.search"] == ["replaced", "other_tool"]
