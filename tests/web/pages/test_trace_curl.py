"""A model call as a command."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

EVIL = "'; touch gone; echo '$(touch gone) `touch gone` \" \\ \n\x00\x7f\u202e @file"


def command(traces: Any, attributes: dict[str, Any]) -> str | None:
    traces.add(attributes=attributes)
    found: str | None = traces.page()["span"]["curl"]
    return found


def body(text: str) -> Any:
    words = shlex.split(text.replace("\\\n", ""))
    return json.loads(words[words.index("--data-raw") + 1])


def test_a_call_with_tools_is_made_again(traces: Any, model_call: Any, message: Any) -> None:
    """Messages, calls, results, tools and parameters stand in the shape of chat completions."""
    call = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Paris"}}
    result = {"type": "tool_call_response", "id": "c1", "response": "21"}
    tool = {"type": "function", "name": "weather", "parameters": {}}
    text = command(
        traces,
        model_call(
            "Warm?",
            message("assistant", call),
            message("tool", result),
            **{
                "server.address": "127.0.0.1",
                "server.port": 8080,
                "gen_ai.request.temperature": 0,
                "gen_ai.tool.definitions": [tool],
            },
        ),
    )
    assert text is not None
    assert text.startswith("curl http://127.0.0.1:8080/v1/chat/completions \\\n")
    assert '"Authorization: Bearer $OPENAI_API_KEY"' in text
    assert body(text) == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "user", "content": "Warm?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "21"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        "temperature": 0,
    }


def test_a_shell_takes_hostile_text_as_text(traces: Any, model_call: Any, tmp_path: Any) -> None:
    """Run by a shell, the command passes on exactly the body, and does nothing else."""
    text = command(traces, model_call(EVIL, **{"gen_ai.request.model": EVIL}))
    assert text is not None
    assert text.isascii()
    fake = f"curl() {{ {shlex.quote(sys.executable)} -c 'import sys,json; print(json.dumps(sys.argv[1:]))' \"$@\"; }}\n"
    ran = subprocess.run(["sh", "-c", fake + text], cwd=tmp_path, capture_output=True, text=True, check=True)
    arguments = json.loads(ran.stdout)
    assert arguments[0] == "https://api.openai.com/v1/chat/completions"
    assert json.loads(arguments[-1])["messages"] == [{"role": "user", "content": EVIL}]
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "more",
    [
        {"server.address": "x.example/'; rm"},
        {"server.address": "-o"},
        {"server.address": 5},
        {"gen_ai.provider.name": "anthropic"},
        {"gen_ai.provider.name": "acme"},
        {"gen_ai.operation.name": "execute_tool"},
        {"gen_ai.input.messages": "not JSON"},
    ],
)
def test_what_cannot_be_made_again_has_no_command(traces: Any, model_call: Any, more: dict[str, Any]) -> None:
    """No command for what is no model call, speaks no such API, or whose server has no proper name."""
    assert command(traces, model_call("x", **more)) is None


def test_a_call_that_no_shell_would_take_has_no_command(traces: Any, model_call: Any) -> None:
    """A command longer than a shell takes is left out."""
    assert command(traces, model_call("x" * 200_000)) is None


def test_embeddings_are_made_again(traces: Any) -> None:
    """What was embedded is sent to the address of embeddings."""
    attributes = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "input.value": '["a", "b"]',
    }
    text = command(traces, attributes)
    assert text is not None
    assert body(text) == {"model": "text-embedding-3-small", "input": ["a", "b"]}
