"""Type checkers catch what an author misspells. A line of the sample that is wrong says so; all others are right."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
from collections.abc import Sequence

from autotrace import Call, Document, Ended, Instrumentation, Message, Part, Patch, RequestValues, ResponseValues
from autotrace import Run, RunEnd, RunStart, ToolCall, Usage, hookimpl
from autotrace import Recorder  # wrong


def request(call: Call) -> RequestValues:
    return {"model": call.argument("model"), "input": [Message.user("hi")], "parameters": {"temperature": 1}}


def misspelt_request(call: Call) -> RequestValues:
    return {"modle": call.argument("model")}  # wrong


def wrong_input(call: Call) -> RequestValues:
    return {"input": "hi"}  # wrong


def response(reply: object) -> ResponseValues:
    answer = Message.assistant([ToolCall("f", "{}", id="1"), Part.text("hi")])
    return {"output": [answer], "usage": Usage(1, 2, reasoning=1)}


def misspelt_response(reply: object) -> ResponseValues:
    return {"outputs": []}  # wrong


def misspelt_usage(reply: object) -> ResponseValues:
    return {"usage": Usage(1, 2, cached=1)}  # wrong


def misspelt_attribute(call: Call) -> RequestValues:
    return {"model": call.arguments("model")}  # wrong


Patch("acme", "f", request, operation="chat", response=response)
Patch("acme", "f", response, operation="chat")  # wrong
Patch("acme", "f", request, operation="chat", respond=response)  # wrong
Patch("acme", "f", lambda call: {"model": "m"}, operation="chat", response=lambda reply: {"id": reply.id})
RunEnd("acme", "f", lambda call: Ended(call.argument("id"), {"output_value": 1}))
RunEnd("acme", "f", lambda call: Ended(call.argument("id"), {"output_values": 1}))  # wrong
RunStart("acme", "f", lambda call, result, find: Run(call.argument("id"), operation="chat"))
RunStart("acme", "f", lambda call: Run(call.argument("id")))  # wrong
Document("text", score="high")  # wrong
Part.media("https://example.com/a.png", "picture")  # wrong


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    return [Instrumentation("acme", patches=(Patch("acme", "f", request),))]


Instrumentation("acme", patch=())  # wrong
"""

LINES = SAMPLE.splitlines()
WRONG = {number for number, line in enumerate(LINES, 1) if line.endswith("# wrong")}
#: What each checker is called, and the number of a line in what it prints.
CHECKERS = {
    "mypy": (["-m", "mypy", "--strict", "--no-error-summary"], r"sample\.py:(\d+): error"),
    "pyright": (["-m", "pyright", "--pythonpath", sys.executable], r"sample\.py:(\d+):\d+ - error"),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_misspelt_names_are_errors(tmp_path: Path, checker: str) -> None:
    """Misspelt keys, arguments, attributes and names are errors, and nothing else in the sample is."""
    if shutil.which(checker, path=str(Path(sys.executable).parent)) is None:
        pytest.skip(f"{checker} is not installed")
    (tmp_path / "sample.py").write_text(SAMPLE, encoding="utf-8")
    arguments, pattern = CHECKERS[checker]
    cache = ["--cache-dir", str(tmp_path / "cache")] if checker == "mypy" else []
    done = subprocess.run(
        [sys.executable, *arguments, *cache, "sample.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    found = {int(number) for number in re.findall(pattern, done.stdout)}
    assert found == WRONG, done.stdout + done.stderr
