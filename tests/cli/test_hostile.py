"""Text from a trace may come from anybody: on a terminal, and in JSON, it is only ever text."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from autotrace.cli.terminal import UNSAFE, json_bytes, visible

from .conftest import Command, Fill

HOSTILE = (
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil\x1b\\x\x9b31m\r\b\x7f\x00 \u202egnp.exe\u2066\u200b\u2028"
    " [red]markup[/red] [link=http://evil]x[/link] [/] :skull: \U000e0041 \u05d0"
)
#: Of the format characters: Arabic, Syriac, Kaithi and Egyptian signs that can be seen, and the two joiners.
HARMLESS = re.compile(
    "[\u200c\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]"
)


def hostile_trace(write: Fill) -> None:
    """A trace whose every text is hostile."""
    parts = [
        {"type": "text", "content": HOSTILE},
        {"type": "tool_call", "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}},
        {"type": "blob", "modality": HOSTILE, "mime_type": HOSTILE, "size": 10, "sha256": HOSTILE},
        {"type": HOSTILE, "content": HOSTILE},
    ]
    said = [{"role": HOSTILE, "name": HOSTILE, "parts": parts}, {"role": "user", "parts": parts}]
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": HOSTILE,
        "gen_ai.provider.name": HOSTILE,
        "gen_ai.request.model": HOSTILE,
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.input.messages": said,
        "gen_ai.output.messages": [{"role": "assistant", "parts": parts}],
        "session.id": HOSTILE,
        "user.id": HOSTILE,
        "autotrace.tags": {HOSTILE: HOSTILE},
        "error.type": HOSTILE,
        HOSTILE: HOSTILE,
    }
    stack = {"exception.type": HOSTILE, "exception.message": HOSTILE, "exception.stacktrace": HOSTILE}
    event = {"name": "exception", "time": HOSTILE, "attributes": stack}
    write(name=HOSTILE, attributes=attributes, status="error", message=HOSTILE, events=[event], scope=HOSTILE)
    write("a", "2", "1", {"autotrace.outcome": HOSTILE, "input.value": HOSTILE})


def test_every_control_and_format_character() -> None:
    """Nothing that Unicode calls control, format, surrogate or separator passes, but for what can be seen."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        acts = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        if acts and character not in "\n\t" and not HARMLESS.match(character):
            assert UNSAFE.match(character), hex(code)
    assert visible("a\n\tb c\u00e9\u6f22\U0001f600") == "a\n\tb c\u00e9\u6f22\U0001f600"
    assert visible("\x1b\x9b\u202e\ud800\U000e0041") == r"\x1b\x9b\u202e\ud800\U000e0041"


@pytest.mark.parametrize("command", [("traces",), ("traces", "show", "aaaa")])
def test_terminal(write: Fill, command: tuple[str, ...]) -> None:
    """On a real terminal only our own colours are control sequences."""
    hostile_trace(write)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen([sys.executable, "-m", "autotrace", *command], stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # Linux: the other side is closed
                break
            if not read:
                break
            shown += read
    os.close(ours)
    assert process.returncode == 0
    colours = re.compile(r"\x1b\[[0-9;]*m")
    text = shown.decode().replace("\r\n", "\n")
    assert colours.search(text)
    assert UNSAFE.findall(colours.sub("", text)) == []
    assert "[red]markup[/red]" in text or command == ("traces",)


@pytest.mark.parametrize("command", [("traces",), ("traces", "show", "aaaa")])
def test_pipe(autotrace: Command, write: Fill, command: tuple[str, ...]) -> None:
    """In a pipe nothing is a control sequence, and markup stands as it was written."""
    hostile_trace(write)
    result = autotrace(*command)
    assert result.exit_code == 0
    assert UNSAFE.findall(result.stdout) == []
    if "show" in command:
        assert "[red]markup[/red] [link=http://evil]x[/link] [/] :skull:" in result.stdout


def test_json(autotrace: Command, write: Fill) -> None:
    """JSON holds the very text, escaped, so that it can be shown on a terminal too."""
    hostile_trace(write)
    result = autotrace("traces", "show", "aaaa", "--json")
    assert UNSAFE.findall(result.stdout_bytes.decode()) == []
    found = json.loads(result.stdout_bytes)
    assert (found["name"], found["request"], found["tags"]) == (HOSTILE, HOSTILE, {HOSTILE: HOSTILE})
    assert found["error"] == {"type": HOSTILE, "message": HOSTILE}
    assert found["spans"][0]["events"][0]["time"] is None


def test_json_of_what_utf_8_cannot_hold() -> None:
    """Lone surrogates, huge integers and infinities leave valid JSON."""
    found = json_bytes({"a\ud800": ["\udfff", "\ud83d\ude00", 2**80, float("inf"), float("nan")]})
    assert json.loads(found.decode("utf-8")) == {"a\ufffd": ["\ufffd", "\U0001f600", 2**80, None, None]}


def test_narrow_encoding(home: Path, write: Fill) -> None:
    """A terminal that knows only ASCII gets escapes, no crash."""
    write(name="caf\u00e9 \u6f22", attributes={"input.value": "\u6f22"})
    for command in (["traces"], ["traces", "show", "aaaa"], ["traces", "--json"]):
        result = subprocess.run(
            [sys.executable, "-m", "autotrace", *command],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            timeout=60,
        )
        assert (result.returncode, result.stderr) == (0, b"")


def test_deep_tree(autotrace: Command, write: Fill) -> None:
    """Spans nested deeper than a screen is wide are all shown."""
    digits = "123456789abcdef"
    write("a", "1")
    for digit in digits[1:]:
        write("a", digit, digits[digits.index(digit) - 1])
    shown = autotrace("traces", "show", "aaaa").stdout
    assert all(f"span {digit}" in shown for digit in digits)
