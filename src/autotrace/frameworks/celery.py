"""Tasks that Celery's workers run, in whichever pool, and the messages that they are sent by."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from autotrace import Amendment, Call, Ended, Instrumentation, Sender, Task, TaskEnd, Work, hookimpl

#: What becomes of a task that has neither a result nor an error.
_OUTCOMES = {"RETRY": "retried", "IGNORED": "ignored", "REJECTED": "rejected"}


def task(call: Call) -> Work:
    """One run of a task. The maker of the function that runs it was given the task, that function its message."""
    made: Any = call.instance
    run, request = made.argument("task"), call.argument("request") or {}
    args, kwargs = call.argument("args") or (), call.argument("kwargs") or {}
    delivery = request.get("delivery_info") or {}
    task_id = call.argument("uuid")
    attributes = {
        "messaging.system": "celery",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": delivery.get("routing_key"),
        "messaging.message.id": task_id,
        "celery.task_name": run.name,
        "celery.retries": request.get("retries") or 0,
    }
    is_eager = bool(request.get("is_eager"))
    return Work(
        f"process {run.name}",
        input=lambda: arguments(run, args, kwargs),
        carrier=_carrier(request),
        request_id=task_id,
        server="" if is_eager else "celery",
        kind="internal" if is_eager else "consumer",
        attributes=attributes,
    )


def arguments(run: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a task was given, by the names of its parameters."""
    try:
        return dict(inspect.signature(run.run).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # too many, or too few: the task fails by it
        return {"args": list(args), "kwargs": dict(kwargs)}


def _carrier(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message's headers: its own fields in the second protocol, a field of their own in the first."""
    headers = request.get("headers")
    return {**request, **headers} if isinstance(headers, Mapping) else request


def traced(result: Any) -> Ended | None:
    """What came of a task that nothing was stored of: `result` is what Celery's own function returned."""
    info = result.info
    if info is None:
        return None
    outcome = _OUTCOMES.get(info.state)
    return Ended(None, outcome=outcome, error=None if outcome else info.retval)


def done(call: Call) -> Ended:
    """A task's result is about to be stored."""
    return Ended(call.argument("task_id"), {"output_value": call.argument("result")})


def failed(call: Call) -> Ended:
    """A task's failure is about to be stored: `instance` knows the exception as it was raised."""
    info: Any = call.instance
    return Ended(call.argument("req").id, error=info.retval)


def put_off(call: Call) -> Ended:
    """A task is about to be tried again, dropped, or given back."""
    info: Any = call.instance
    return Ended(call.argument("req").id, outcome=_OUTCOMES.get(info.state))


def put(call: Call, headers: Mapping[str, str]) -> Amendment:
    """The message carries the headers, unless it has its own of that name."""
    known = call.kwargs.get("headers") or {}
    return Amendment(call.args, {**call.kwargs, "headers": {**headers, **known}})


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """Celery makes a function for each task that runs it and stores what comes of it; every message has one way out."""
    entries = (
        Task("celery.app.trace", "build_tracer", task, traced, makes=True),
        TaskEnd("celery.backends.base", "Backend.mark_as_done", done),
        TaskEnd("celery.app.trace", "TraceInfo.handle_failure", failed),
        TaskEnd("celery.app.trace", "TraceInfo.handle_retry", put_off),
        TaskEnd("celery.app.trace", "TraceInfo.handle_ignore", put_off),
        TaskEnd("celery.app.trace", "TraceInfo.handle_reject", put_off),
    )
    senders = (Sender("celery.app.base", "Celery.send_task", put),)
    return [Instrumentation("celery", entries=entries, senders=senders)]
