"""What autotrace's wrapper costs when it is not wanted: runs in its environment and prints one line of JSON.

The functions that the openai plugin may wrap are replaced, before autotrace patches them, by one that does
nothing, so that a difference of nanoseconds can be seen. Every figure is nanoseconds per call.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from types import MethodType
from typing import Any

import openai
from openai._base_client import SyncAPIClient
from openai._models import FinalRequestOptions
from openai.resources.chat.completions import Completions

import autotrace

CALLS = 20_000
BLOCKS = 25
LookUp = Callable[[], Callable[..., Any]]
OPTIONS = FinalRequestOptions.construct(method="get", url="/models")


def do_nothing(self: Any, cast_to: Any, options: Any, **kwargs: Any) -> None:
    """Stands where the plugin expects the framework's function."""


def nanoseconds(call: Callable[[], Any]) -> float:
    """The median time of one call."""
    blocks = []
    for _ in range(BLOCKS):
        before = time.perf_counter_ns()
        for _ in range(CALLS):
            call()
        blocks.append((time.perf_counter_ns() - before) / CALLS)
    return statistics.median(blocks)


def main() -> None:
    """Measure untouched, on, off, and off through a method that was looked up while it was on."""
    setattr(SyncAPIClient, "request", do_nothing)  # noqa: B010
    setattr(Completions, "create", do_nothing)  # noqa: B010
    client = openai.OpenAI(api_key="sk-bench")
    look_ups: dict[str, LookUp] = {
        "OpenAI.request": lambda: client.request,
        "Completions.create": lambda: client.chat.completions.create,
    }
    bare = {name: (_looked_up(look_up), _held(look_up())) for name, look_up in look_ups.items()}
    autotrace.autolog()
    wrapped = [name for name, look_up in look_ups.items() if not _is_bare(look_up())]
    if not wrapped:
        raise SystemExit("autotrace wrapped none of " + ", ".join(look_ups))
    name = wrapped[0]
    look_up, (bare_ns, bare_held_ns) = look_ups[name], bare[name]
    on_ns = _looked_up(look_up)
    held = look_up()
    autotrace.autolog("openai", disable=True)
    result = {
        "function": name,
        "restored": _is_bare(look_up()),
        "bare_ns": bare_ns,
        "off_added_ns": _looked_up(look_up) - bare_ns,
        "held_off_added_ns": _held(held) - bare_held_ns,
        # To a wrapped `request`, OPTIONS is a call that is not traced; to a wrapped `create` it is a span.
        "on_untraced_added_ns": on_ns - bare_ns if name == "OpenAI.request" else None,
    }
    print(json.dumps(result))


def _looked_up(look_up: LookUp) -> float:
    return nanoseconds(lambda: look_up()(object, OPTIONS))


def _held(method: Callable[..., Any]) -> float:
    return nanoseconds(lambda: method(object, OPTIONS))


def _is_bare(method: Any) -> bool:
    # Not isinstance, nor __func__ alone: a wrapt proxy answers both as the function that it wraps.
    return type(method) is MethodType and method.__func__ is do_nothing


if __name__ == "__main__":
    main()
