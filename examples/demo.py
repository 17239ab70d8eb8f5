"""Run ordinary programs under autotrace, look at their traces, and check their tokens against a meter.

    python examples/demo.py
    python examples/demo.py --llama-index-python .venv-llama-index/bin/python

A model server starts on this machine. One program after the other talks to it; `autotrace traces` shows what was
recorded of it, and the tokens on its spans are compared with those that the server itself counted. The exit status
is 1 if they differ, if a program left no traces, or if a step fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from local_model.launch import REAL_MODEL, SCRIPTED_MODEL, LaunchError, ModelServer

Json = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parent

PROGRAM_SECONDS = 180
DELIVERY_SECONDS = 10  # spans reach the store a moment after the program that made them


class DemoError(Exception):
    """A step of the demo failed; the message says which, and why."""


@dataclass(frozen=True)
class Program:
    """An ordinary program.

    Attributes:
        python: The interpreter in whose environment its framework is.
        shown: How many of its traces are shown in full: the last ones.
    """

    file: str
    about: str
    python: str
    shown: int


@dataclass(frozen=True)
class Outcome:
    """What became of a program; tokens are input and output."""

    file: str
    requests: int
    traces: int
    metered: tuple[int, int]
    traced: tuple[int, int]

    @property
    def is_good(self) -> bool:
        """Whether there are traces, and they carry the tokens that the model server counted."""
        return bool(self.traces) and self.metered == self.traced

    @property
    def verdict(self) -> str:
        """The same in words."""
        if not self.traces:
            return "NO TRACES"
        return "equal" if self.is_good else "NOT EQUAL"


def programs(llama_index_python: str) -> list[Program]:
    """Return what the demo runs, in this order."""
    return [
        Program("openai_agent.py", "the OpenAI SDK: tools, embeddings, a stream", sys.executable, shown=2),
        Program("langchain_agent.py", "a LangChain agent: tools, a stream", sys.executable, shown=1),
        Program("langgraph_approval.py", "a LangGraph graph: a branch, a pause for approval", sys.executable, shown=2),
        Program("llama_index_rag.py", "LlamaIndex: retrieval, a streamed answer", llama_index_python, shown=1),
    ]


def start_model() -> ModelServer:
    """Start the real model, or the scripted stand-in where the real one cannot run.

    Raises:
        DemoError: not even the stand-in runs.
    """
    try:
        server = ModelServer(REAL_MODEL)
        print(f"Model: {server.model}, a real language model, on this machine at {server.base_url}")
        return server
    except LaunchError as reason:
        print(f"The real local model cannot run here: {reason}")
    try:
        server = ModelServer(SCRIPTED_MODEL)
    except LaunchError as reason:
        raise DemoError(f"the scripted model does not run either: {reason}") from reason
    print(f"Model: a scripted server stands in; it answers by rule and counts words: {server.base_url}")
    return server


def settings_for(server: ModelServer) -> dict[str, str]:
    """Return the environment that tells a program where the model is."""
    return {
        **os.environ,
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_API_KEY": "local",
        "OPENAI_MODEL": server.model,
        "OPENAI_EMBEDDING_MODEL": server.model,
        "AUTOTRACE_OPENAI_STREAM_USAGE": "always",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
    }


def run_program(program: Program, settings: dict[str, str]) -> None:
    """Run a program as its user would.

    Raises:
        DemoError: it failed or did not end.
    """
    command = [program.python, str(EXAMPLES / program.file)]
    try:
        status = subprocess.run(command, env=settings, timeout=PROGRAM_SECONDS, check=False).returncode
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"{program.file} did not end within {PROGRAM_SECONDS} s") from error
    except OSError as error:
        raise DemoError(f"{program.file} cannot be run by {program.python}: {error}") from error
    if status:
        raise DemoError(f"{program.file} ended with status {status}")


def list_traces(since: str) -> list[Json]:
    """Return the traces that began at `since` or later, the first of them first.

    Raises:
        DemoError: the command failed.
    """
    command = [sys.executable, "-m", "autotrace", "traces", "--json", "--since", since]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DemoError(f"`autotrace traces` ended with status {result.returncode}:\n{result.stderr.strip()}")
    traces: list[Json] = json.loads(result.stdout)
    return sorted(traces, key=lambda trace: str(trace["start_time"]))


def tokens_of(counted: list[Json]) -> tuple[int, int]:
    """Add up the input and output tokens of traces or of a meter's readings; what has none counts as 0."""
    return sum(one["input_tokens"] or 0 for one in counted), sum(one["output_tokens"] or 0 for one in counted)


def await_traces(since: str, metered: tuple[int, int]) -> list[Json]:
    """Return the traces since then, waiting for the last to be delivered while tokens are missing."""
    deadline = time.monotonic() + DELIVERY_SECONDS
    while True:
        traces = list_traces(since)
        if (traces and tokens_of(traces) == metered) or time.monotonic() > deadline:
            return traces
        time.sleep(0.2)


def show(*command: str) -> None:
    """Print what `autotrace` prints for a command, below the command.

    Raises:
        DemoError: the command failed.
    """
    line = " ".join(["autotrace", *command])
    print(f"\n$ {line}")
    if subprocess.run([sys.executable, "-m", "autotrace", *command], check=False).returncode:
        raise DemoError(f"`{line}` failed")


def demonstrate(program: Program, server: ModelServer) -> Outcome:
    """Run a program, show its traces, and count.

    Raises:
        DemoError: a step failed.
    """
    print(f"\n━━━━ {program.file}: {program.about}\n")
    since, before = datetime.now(timezone.utc).isoformat(), len(server.readings())
    run_program(program, settings_for(server))
    readings = server.readings()[before:]
    metered = tokens_of(readings)
    traces = await_traces(since, metered)
    show("traces", "--since", since)
    for trace in traces[-program.shown :]:
        show("traces", "show", trace["trace_id"][:8])
    outcome = Outcome(program.file, len(readings), len(traces), metered, tokens_of(traces))
    print_count(outcome)
    return outcome


def print_count(outcome: Outcome) -> None:
    """Print both sums, one above the other."""
    (read, written), (traced_read, traced_written) = outcome.metered, outcome.traced
    width = len(str(max(outcome.metered + outcome.traced)))
    print(f"\nmodel server counted  input {read:{width}}  output {written:{width}}")
    print(f"spans carry           input {traced_read:{width}}  output {traced_written:{width}}  -> {outcome.verdict}")


def print_summary(outcomes: list[Outcome]) -> None:
    """Print a line a program."""
    print("\n━━━━ All programs\n")
    for outcome in outcomes:
        read, written = outcome.metered
        counts = f"{outcome.requests:2} requests in {outcome.traces} traces"
        print(f"{outcome.file:21}  {counts}  tokens {read:4} in {written:4} out  -> {outcome.verdict}")
    print()
    show("stats", "--since", "1h")
    print(f"\nLook at it in a browser: {Path(sys.executable).parent / 'autotrace'} ui")


def run(llama_index_python: str) -> bool:
    """Run the demo; return whether all traces carry the tokens that the model server counted.

    Raises:
        DemoError: a step failed.
    """
    server = start_model()
    print("Setting: AUTOTRACE_OPENAI_STREAM_USAGE=always")
    print("  A stream reports its tokens only if asked. autotrace asks hosts that are known to support it,")
    print("  and with `always` this one too; the program does not see the extra chunk.")
    try:
        outcomes = [demonstrate(program, server) for program in programs(llama_index_python)]
    finally:
        server.stop()
    print_summary(outcomes)
    return all(outcome.is_good for outcome in outcomes)


def main() -> int:
    """Run the demo and return its exit status."""
    parser = argparse.ArgumentParser(description="Ordinary programs under autotrace, on a local model.")
    parser.add_argument(
        "--llama-index-python", default=sys.executable, help="the Python that has LlamaIndex, by default this one"
    )
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # in order with what the children print
    try:
        return 0 if run(parser.parse_args().llama_index_python) else 1
    except DemoError as error:
        print(f"The demo stopped: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
