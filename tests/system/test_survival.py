"""No call is lost: killed processes, forked processes, processes that exit in every way."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from autotrace.testing.openai_server import Hang, OpenAIServer

from .conftest import PREAMBLE, Program


def test_killed_the_moment_the_call_returns(program: Program, server: OpenAIServer) -> None:
    """L44: a process that is killed with SIGKILL when its call has returned has its trace in the store afterwards."""
    status, _, errors = program.run("ask('before the end'); os.kill(os.getpid(), 9)")
    assert status == -signal.SIGKILL, errors
    (trace,) = program.traces()
    assert (trace["status"], trace["request"]) == ("ok", "before the end")
    assert (trace["input_tokens"], trace["output_tokens"]) == (server.billed.input_tokens, server.billed.output_tokens)


def test_killed_when_a_stream_has_ended(program: Program, server: OpenAIServer) -> None:
    """L44: the same for a stream read to its end (which asks for usage itself)."""
    status, _, errors = program.run(
        """
        for _ in ask("streamed", stream=True, stream_options={"include_usage": True}):
            pass
        os.kill(os.getpid(), 9)
        """
    )
    assert status == -signal.SIGKILL, errors
    (trace,) = program.traces()
    assert (trace["status"], trace["input_tokens"]) == ("ok", server.billed.input_tokens)
    assert trace["response"]


def test_killed_in_the_middle_of_a_call(
    program: Program, server: OpenAIServer, until: Callable[[Callable[[], bool]], None]
) -> None:
    """A process that is killed in the middle of a call shows an interrupted trace, with its question."""
    server.script(Hang(after=0))
    process = program.start("ask('never answered')")
    try:
        until(lambda: len(server.requests) == 1 or process.poll() is not None)
        until(lambda: [trace["status"] for trace in program.traces()] == ["running"])
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    (trace,) = program.traces()
    assert (trace["status"], trace["request"]) == ("interrupted", "never answered")


def test_twenty_forked_children(program: Program, server: OpenAIServer) -> None:
    """L43: children forked after activation and after a call each record their own, and nothing twice."""
    status, _, errors = program.run(
        """
        ask("parent")
        children = []
        for number in range(20):
            pid = os.fork()
            if pid == 0:
                client = connect()  # the parent's connection is the parent's
                ask(f"child {number}")
                os.kill(os.getpid(), 9)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        ask("parent again")
        """
    )
    assert status == 0, errors
    asked = sorted(trace["request"] for trace in program.traces())
    assert asked == sorted(["parent", "parent again", *(f"child {number}" for number in range(20))])
    assert sum(trace["input_tokens"] for trace in program.traces()) == server.billed.input_tokens


@pytest.mark.parametrize("leaving", ["os._exit(3)", "sys.exit(3)", "raise SystemExit(3)"])
def test_every_way_to_leave(program: Program, leaving: str) -> None:
    """L44: however a process ends, its trace is there and its exit status is its own."""
    status, _, errors = program.run(f"ask('bye'); {leaving}")
    assert (status, errors) == (3, "")
    assert [trace["request"] for trace in program.traces()] == ["bye"]


def test_sigterm(program: Program, server: OpenAIServer, until: Callable[[Callable[[], bool]], None]) -> None:
    """L44: SIGTERM ends the process as ever, and what had returned is there."""
    process = program.start("ask('first'); print('ready', flush=True); sys.stdin.read()")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert [trace["request"] for trace in program.traces()] == ["first"]


def test_multiprocessing(program: Program) -> None:
    """L43: workers of multiprocessing, forked or spawned, record their calls."""
    status, _, errors = program.run(
        """
        import multiprocessing
        def work(text):
            ask(text)
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                worker = multiprocessing.get_context(method).Process(target=work, args=(method,))
                worker.start(); worker.join()
                assert worker.exitcode == 0
        """
    )
    assert status == 0, errors
    assert sorted(trace["request"] for trace in program.traces()) == ["fork", "spawn"]


def test_open_stream_at_exit(program: Program) -> None:
    """A stream that is still open when the process exits ends its span, not as ok, with what had come."""
    code = "stream = ask('half', stream=True); next(stream); next(stream)"
    bare = PREAMBLE.replace("import autotrace.auto", "")
    # Python 3.13.0 crashes at exit with an open stream, traced or not.
    without_us, _, _ = program.run(code, preamble=bare)
    status, _, errors = program.run(code)
    assert (status, errors) == (without_us, "")
    (trace,) = program.traces()
    assert trace["status"] in ("exited", "abandoned", "closed")
    assert trace["request"] == "half"
