"""Run an ordinary OpenAI program under autotrace, look at its traces, and check their tokens against a meter.

    python examples/demo.py

A model server starts on this machine, openai_agent.py talks to it, `autotrace traces` shows what was
recorded, and the tokens on the spans are compared with those that the server itself counted. The exit status
is 1 if they differ, if there are no traces, or if a step fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

Json = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parent
REAL_MODEL = EXAMPLES / "local_model" / "server.py"
SCRIPTED_MODEL = EXAMPLES / "local_model" / "scripted.py"

START_SECONDS = 60  # a busy machine needs more than the usual one second
AGENT_SECONDS = 180
DELIVERY_SECONDS = 10  # spans reach the store a moment after the program that made them


class DemoError(Exception):
    """A step of the demo failed; the message says which, and why."""


class ModelServer:
    """A model server in a process of its own.

    Raises:
        DemoError: it did not become ready; the message is what it said.
    """

    def __init__(self, script: Path) -> None:
        with tempfile.TemporaryFile("w+") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, str(script), "--port", "0"],
                stdin=subprocess.PIPE,  # its lifeline: it stops when this pipe closes, however that happens
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
            words = self._first_line().split()
            if words[:1] != ["READY"]:
                self.stop()
                complaints.seek(0)
                status = self._process.returncode
                raise DemoError(complaints.read().strip() or f"the model server ended with status {status}")
        self.base_url = words[1]
        self.model = words[2].removeprefix("model=")

    def _first_line(self) -> str:
        assert self._process.stdout is not None
        alarm = threading.Timer(START_SECONDS, self._process.kill)
        alarm.start()
        try:
            return self._process.stdout.readline()
        finally:
            alarm.cancel()

    def meter(self) -> Json:
        """Return what the server has counted so far."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy reaches this machine
        with direct.open(self.base_url.removesuffix("/v1") + "/meter", timeout=10) as reply:
            figures: Json = json.load(reply)
        return figures

    def stop(self) -> None:
        """End the server and wait until it is gone."""
        self._process.terminate()
        self._process.communicate()


def start_model() -> ModelServer:
    """Start the real model, or the scripted stand-in where the real one cannot run."""
    try:
        server = ModelServer(REAL_MODEL)
        print(f"Model: {server.model}, a real language model, on this machine at {server.base_url}")
    except DemoError as reason:
        server = ModelServer(SCRIPTED_MODEL)
        print(f"The real local model cannot run here: {reason}")
        print(f"Model: a scripted server stands in; it answers by rule and counts words: {server.base_url}")
    return server


def run_agent(server: ModelServer) -> None:
    """Run the program as its user would: told by the environment where the model is.

    Raises:
        DemoError: it failed or did not end.
    """
    print("Setting: AUTOTRACE_OPENAI_STREAM_USAGE=always")
    print("  A stream reports its tokens only if asked. autotrace asks hosts that are known to support it,")
    print("  and with `always` this one too; the program does not see the extra chunk.")
    print("Running: openai_agent.py\n")
    settings = {
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "local",
        "OPENAI_MODEL": server.model,
        "OPENAI_EMBEDDING_MODEL": server.model,
        "AUTOTRACE_OPENAI_STREAM_USAGE": "always",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
    }
    agent = [sys.executable, str(EXAMPLES / "openai_agent.py")]
    try:
        status = subprocess.run(agent, env={**os.environ, **settings}, timeout=AGENT_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"openai_agent.py did not end within {AGENT_SECONDS} s") from error
    if status:
        raise DemoError(f"openai_agent.py ended with status {status}")


def list_traces(since: str) -> list[Json]:
    """Return the traces that began at `since` or later.

    Raises:
        DemoError: the command failed.
    """
    command = [sys.executable, "-m", "autotrace", "traces", "--json", "--since", since]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DemoError(f"`autotrace traces` ended with status {result.returncode}:\n{result.stderr.strip()}")
    traces: list[Json] = json.loads(result.stdout)
    return sorted(traces, key=lambda trace: str(trace["start_time"]))


def show(trace: Json) -> None:
    """Print one trace as `autotrace traces show` does.

    Raises:
        DemoError: the command failed.
    """
    command = ["traces", "show", trace["trace_id"]]
    print(f"\n$ autotrace {' '.join(command)}")
    if subprocess.run([sys.executable, "-m", "autotrace", *command], check=False).returncode:
        raise DemoError("`autotrace traces show` failed")


def tokens_of(traces: list[Json]) -> tuple[int, int]:
    """Add up the input and output tokens of traces; one without model calls has none."""
    return sum(t["input_tokens"] or 0 for t in traces), sum(t["output_tokens"] or 0 for t in traces)


def await_traces(since: str, metered: tuple[int, int]) -> list[Json]:
    """Return this run's traces, waiting for the last to be delivered while tokens are missing."""
    deadline = time.monotonic() + DELIVERY_SECONDS
    while True:
        traces = list_traces(since)
        if (traces and tokens_of(traces) == metered) or time.monotonic() > deadline:
            return traces
        time.sleep(0.2)


def compare(metered: tuple[int, int], traced: tuple[int, int]) -> bool:
    """Print both sums; return whether they are equal."""
    equal = metered == traced
    width = len(str(max(metered + traced)))
    print(f"\nmodel server counted  input {metered[0]:{width}}  output {metered[1]:{width}}")
    verdict = "equal" if equal else "NOT EQUAL"
    print(f"spans carry           input {traced[0]:{width}}  output {traced[1]:{width}}  -> {verdict}")
    return equal


def run() -> bool:
    """Run the demo; return whether the traces carry the tokens that the model server counted.

    Raises:
        DemoError: a step failed.
    """
    since = datetime.now(timezone.utc).isoformat()
    server = start_model()
    try:
        run_agent(server)
        figures = server.meter()
    finally:
        server.stop()
    metered = (figures["input_tokens"], figures["output_tokens"])
    traces = await_traces(since, metered)
    print(f"\nRecorded: {len(traces)} traces of {figures['requests']} requests to the model")
    for trace in traces:
        show(trace)
    return compare(metered, tokens_of(traces)) and bool(traces)


def main() -> int:
    """Run the demo and return its exit status."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # in order with what the children print
    try:
        return 0 if run() else 1
    except DemoError as error:
        print(f"The demo stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
