"""Units of work: a trace each if something traced happens inside, whatever form the framework gives them."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import autotrace
from autotrace.recording.guard import guard
from autotrace.testing import Spans

from .conftest import FAKES

CALLER = f"00-{'1' * 32}-{'2' * 16}-01"


@pytest.fixture
def jobs(traced: Spans, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The fake worker, traced."""
    monkeypatch.syspath_prepend(str(FAKES))
    import acme_jobs
    import acme_jobs_tracing

    acme_jobs.stored.clear()
    acme_jobs.sent.clear()
    acme_jobs_tracing.mischief.clear()
    traced.on(plugins=["acme_jobs_tracing"])
    return acme_jobs


@pytest.fixture
def mischief(jobs: ModuleType, traced: Spans) -> Any:
    """What the plugin does wrong; errors are counted, as in a program."""
    import acme_jobs_tracing

    traced.on(plugins=["acme_jobs_tracing"], strict=False)
    yield acme_jobs_tracing.mischief
    guard.failures.clear()


def ask() -> str:
    """Something traced."""
    with autotrace.span("chat"):
        return "because"


def nothing() -> str:
    """Nothing traced."""
    return "because"


def fail() -> None:
    """Something traced that fails."""
    with autotrace.span("chat"):
        raise LookupError("no")


def result_of(worker: Any, way: str, job: Any) -> Any:
    """What a job comes to, run in a way."""

    async def awaited() -> Any:
        if way == "later":
            return await worker.later(job)
        return [piece async for piece in worker.pieces_later(job)][-1]

    if way in ("later", "pieces_later"):
        return asyncio.run(awaited())
    if way in ("handler", "found"):
        made = getattr(worker, way)("it")
        return (made.run if way == "found" else made)(job)
    result = getattr(worker, way)(job)
    return list(result)[-1] if way == "pieces" else result.result() if way == "soon" else result


WAYS = pytest.mark.parametrize("way", ["run", "later", "pieces", "pieces_later", "soon", "handler", "found"])


@WAYS
def test_a_unit_of_work_is_a_trace(jobs: ModuleType, traced: Spans, way: str) -> None:
    """Called at once, awaited, in pieces, into a future, by a function that was made: the same trace."""
    assert result_of(jobs.Worker(), way, jobs.Job("j-1", ask)) == "because"
    assert traced.outline() == "run j-1\n  chat"
    root = traced.named("run j-1")
    assert (root.kind, root["input.value"], root["autotrace.request.id"]) == ("consumer", "j-1", "j-1")
    assert root["output.value"] == (None if way in ("pieces", "pieces_later") else "because")


@WAYS
def test_without_a_traced_call_no_trace(jobs: ModuleType, traced: Spans, way: str) -> None:
    """Work that leads to no traced call leaves nothing; what the plugin says is none, has no root."""
    assert result_of(jobs.Worker(), way, jobs.Job("j-1", nothing)) == "because"
    assert traced.all() == []
    result_of(jobs.Worker(), way, jobs.Job("none", ask))
    assert traced.outline() == "chat"


@WAYS
def test_failures(jobs: ModuleType, traced: Spans, way: str) -> None:
    """The exception that comes out is the framework's own; the root has failed with it."""
    with pytest.raises(LookupError, match="no"):
        result_of(jobs.Worker(), way, jobs.Job("j-1", fail))
    assert traced.outline() == "run j-1 !\n  chat !"


@pytest.mark.parametrize("form", ["by position", "by name"])
def test_a_function_that_is_given(jobs: ModuleType, traced: Spans, form: str) -> None:
    """The framework is given the function that does the work, however it is passed; nothing where that is none."""

    def run(job: Any) -> Any:
        return job.work()

    job = jobs.Job("j-1", ask)
    found = jobs.handed(7, run, job) if form == "by position" else jobs.handed(job=job, number=7, run=run)
    assert found == (7, "because")
    assert traced.outline() == "run j-1\n  chat"
    with pytest.raises(TypeError, match="not callable"):
        jobs.handed(7, None, job)


def test_outcomes(jobs: ModuleType, traced: Spans) -> None:
    """What comes back may tell of an end that is neither success nor failure."""

    def ignored() -> str:
        ask()
        return "ignored"

    assert jobs.Worker().run(jobs.Job("j-1", ignored)) == "ignored"
    assert traced.outline() == "run j-1 (ignored)\n  chat"


def test_pieces_that_are_left(jobs: ModuleType, traced: Spans) -> None:
    """A generator that is closed, and one that is thrown into, behave as without us."""
    closed, thrown = (jobs.Worker().pieces(jobs.Job(name, ask)) for name in ("j-1", "j-2"))
    assert (inspect.isgenerator(closed), closed.__name__) == (True, "pieces")
    assert [next(closed), next(closed), next(thrown), next(thrown)] == ["first", "because", "first", "because"]
    closed.close()
    with pytest.raises(KeyError):
        thrown.throw(KeyError("x"))
    assert traced.outline() == "run j-1 (closed)\n  chat\nrun j-2 !\n  chat"


def test_cancelled(jobs: ModuleType, traced: Spans) -> None:
    """Work that is cancelled has not failed."""

    async def main() -> None:
        started = asyncio.Event()

        async def wait() -> None:
            ask()
            started.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(jobs.Worker().later(jobs.Job("j-1", wait)))
        await started.wait()
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)

    asyncio.run(main())
    assert traced.outline() == "run j-1 (cancelled)\n  chat"


def test_who_is_told_of_the_end_has_a_trace(jobs: ModuleType, traced: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """The root ends before the result is stored; not by the storing of another job's."""
    seen: list[int] = []

    class Stored(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            seen.append(len([span for span in traced.all() if span.name.startswith("run ")]))
            super().__setitem__(key, value)

    def others() -> str:
        jobs.store("another", 1)
        return ask()

    monkeypatch.setattr(jobs, "stored", Stored())
    jobs.Worker().keep(jobs.Job("j-1", others))
    assert (seen, jobs.stored) == ([0, 1], {"another": 1, "j-1": "because"})
    assert traced.named("run j-1")["output.value"] == "because"


def test_linked_to_its_sender(jobs: ModuleType, traced: Spans) -> None:
    """A trace of its own; whose the sender's is, comes along. A header that makes no sense is passed over."""
    with autotrace.context(session="s-1", user="ann"), autotrace.span("ask"):
        jobs.send("work")
    ((_, headers),) = jobs.sent
    ask_ = traced.named("ask")
    assert headers == {
        "traceparent": f"00-{ask_.trace_id:032x}-{ask_.span_id:016x}-01",
        "autotrace-session": "s-1",
        "autotrace-user": "ann",
    }
    for number, sent in enumerate([headers, {"traceparent": "nonsense", "autotrace-user": ["x"]}, {"traceparent": 1}]):
        jobs.Worker().run(jobs.Job(f"j-{number}", ask, sent))
    roots = [traced.named(f"run j-{number}") for number in range(3)]
    assert [(root["session.id"], root["user.id"]) for root in roots] == [("s-1", "ann"), (None, None), (None, None)]
    assert len({ask_.trace_id, *(root.trace_id for root in roots)}) == 4


def test_sent_by_work_without_a_trace(jobs: ModuleType, traced: Spans) -> None:
    """Sending is no reason to record the sender: the ids that its root would have are told, or its own sender's."""

    def send_then_ask() -> None:
        jobs.send("work")
        ask()

    worker = jobs.Worker()
    worker.run(jobs.Job("j-1", lambda: jobs.send("work")))
    worker.run(jobs.Job("j-2", lambda: jobs.send("work"), {"traceparent": CALLER, "autotrace-session": "s-1"}))
    worker.run(jobs.Job("j-3", send_then_ask))
    first, second, third = (headers for _, headers in jobs.sent)
    assert second == {"traceparent": CALLER, "autotrace-session": "s-1"}
    root = traced.named("run j-3")
    assert third["traceparent"] == f"00-{root.trace_id:032x}-{root.span_id:016x}-01"
    assert first["traceparent"] != third["traceparent"]
    assert traced.outline() == "run j-3\n  chat"


def test_work_within_work(jobs: ModuleType, traced: Spans) -> None:
    """What work runs at once lies in it; what a thread of it does, too, also when that is over."""
    worker, go = jobs.Worker(), threading.Event()

    def outer() -> None:
        worker.run(jobs.Job("inner", ask))
        threads.append(threading.Thread(target=lambda: (go.wait(20), ask())))
        threads[0].start()

    threads: list[threading.Thread] = []
    worker.run(jobs.Job("outer", outer))
    go.set()
    threads[0].join()
    assert traced.outline() == "run outer\n  run inner\n    chat\n  chat"


def test_forked_within_work(jobs: ModuleType, traced: Spans) -> None:
    """A process that is forked in its midst cannot speak for it: what happens there is a trace of its own."""
    read, write = os.pipe()

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            ask()
            os.write(write, traced.outline().encode())
            os._exit(0)
        os.waitpid(pid, 0)

    jobs.Worker().run(jobs.Job("j-1", fork))
    assert (os.read(read, 100), traced.all()) == (b"chat", [])


def test_signatures(jobs: ModuleType) -> None:
    """The framework's functions are what they were; a made function keeps its name, its attributes, its signature."""
    assert inspect.iscoroutinefunction(jobs.Worker.later)
    made = jobs.Worker().handler("it")
    assert (made.__name__, made.__doc__, made.name) == ("handle", "Runs one.", "it")
    assert list(inspect.signature(made).parameters) == ["job"]
    found = jobs.Worker().found("it")
    assert (type(found).__name__, found.number, found.run.name) == ("Handler", 7, "it")


@pytest.mark.parametrize("off", [lambda: autotrace.autolog("acme_jobs", disable=True), None])
def test_switched_off(jobs: ModuleType, traced: Spans, off: Callable[[], None] | None) -> None:
    """Switched off, or suppressed: no root, no headers; functions that were made before are quiet too."""
    made = jobs.Worker().handler("it")

    def run() -> None:
        assert made(jobs.Job("j-1", ask)) == "because"
        with autotrace.span("ask"):
            jobs.send("work")

    if off is not None:
        off()
        run()
        assert sorted(span.name for span in traced.all()) == ["ask", "chat"]
    else:
        with autotrace.suppress("acme_jobs"):
            run()
        assert sorted(span.name for span in traced.all()) == ["ask", "chat"]
    assert jobs.sent == [("work", {})]


def test_plugins_that_fail(jobs: ModuleType, mischief: dict[str, Any], traced: Spans) -> None:
    """What a plugin's functions raise is counted, and nobody else's business."""
    mischief["describe"] = ValueError("odd")
    assert jobs.Worker().run(jobs.Job("j-1", ask)) == "because"
    assert traced.outline() == "chat"
    del mischief["describe"]
    mischief["response"] = ValueError("odd")
    assert jobs.Worker().run(jobs.Job("j-2", ask)) == "because"
    assert traced.outline() == "chat\nrun j-2\n  chat"
    assert sum(failure.count for failure in guard.failures.values()) == 2
