"""The plugin for it, as a project's own."""

from __future__ import annotations

from typing import Any

from autotrace import Amendment, Call, Ended, Instrumentation, Sender, Task, TaskEnd, Work, hookimpl

#: What `describe` and `response` do beside, for tests of plugins that fail.
mischief: dict[str, Any] = {}


def described(call: Call) -> Work | None:
    """A job."""
    if "describe" in mischief:
        raise mischief["describe"]
    job = call.argument("job")
    return (
        None
        if job.id == "none"
        else Work(f"run {job.id}", input=lambda: job.id, carrier=job.headers, request_id=job.id)
    )


def told(result: Any) -> dict[str, Any] | Ended:
    """What came of it."""
    if "response" in mischief:
        raise mischief["response"]
    return Ended(None, outcome="ignored") if result == "ignored" else {"output_value": result}


def kept(call: Call) -> Ended:
    """It is about to be stored."""
    return Ended(call.argument("id"), {"output_value": call.argument("result")})


def put(call: Call, headers: Any) -> Amendment:
    """What is sent carries them."""
    return Amendment(call.args, {**call.kwargs, "headers": dict(headers)})


@hookimpl
def instrumentations() -> list[Instrumentation]:
    """Every way to run one."""
    ways = ("run", "later", "pieces", "pieces_later", "soon", "keep")
    entries = (
        *(Task("acme_jobs", f"Worker.{way}", described, told) for way in ways),
        Task("acme_jobs", "Worker.handler", described, told, makes=True),
        Task("acme_jobs", "Worker.found", described, told, makes="run"),
        Task("acme_jobs", "handed", described, told, takes="run"),
        TaskEnd("acme_jobs", "store", kept),
    )
    return [Instrumentation("acme_jobs", entries=entries, senders=(Sender("acme_jobs", "send", put),))]
