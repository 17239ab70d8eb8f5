"""Ray: remote functions, methods of actors, and calls of Serve's deployments, each in the process that does the work.

Serve tells the callee who calls: the message has a place for it. A remote function's message has none, but where Ray's
own tracing is on: without it, its trace is linked to nothing.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autotrace import Call, HttpRequest, Instrumentation, ResponseValues, Sender, Task, Work, hookimpl

#: Where Ray's tracing puts what the caller sent along, and where we put it into Serve's metadata.
_RAY, _SERVE = "_ray_trace_ctx", "autotrace"
_SERVER = "ray-serve"


def execution(call: Call) -> Work | None:
    """One run of a remote function or of an actor's method; none of Ray's own."""
    made: Any = call.instance
    function = made.argument("function_descriptor")
    if function.module_name.partition(".")[0] == "ray" or function.function_name.startswith("__ray"):
        return None
    names, args = call.parameters, call.args
    if function.class_name:
        actor, args = args[0], args[1:]
        names = _parameters(getattr(type(actor), function.function_name, None))
    kwargs = {name: value for name, value in call.kwargs.items() if name != _RAY}
    carrier = call.kwargs.get(_RAY)
    context = sys.modules["ray"].get_runtime_context()
    task = context.get_task_id()
    name = ".".join(filter(None, (function.class_name.rpartition(".")[2], function.function_name.rpartition(".")[2])))
    return Work(
        f"process {name}",
        input=lambda: _named(names, args, kwargs),
        carrier=carrier if isinstance(carrier, Mapping) else None,
        request_id=task,
        attributes={"ray.job_id": context.get_job_id(), "ray.task_id": task, "ray.actor_id": context.get_actor_id()},
    )


def deployed(call: Call) -> Work:
    """One call of a deployment's method, by a handle."""
    wrapper: Any = call.instance
    metadata = call.argument("request_metadata")
    args, kwargs = call.argument("request_args") or (), call.argument("request_kwargs") or {}
    method = metadata.call_method
    function = getattr(wrapper.user_callable, method, None)
    return Work(
        f"process {_name_of(wrapper)}" + (f".{method}" if method != "__call__" else ""),
        input=lambda: _named(_parameters(function), args, kwargs),
        carrier=vars(metadata).get(_SERVE),
        session=metadata.session_id if hasattr(metadata, "session_id") else None,
        request_id=metadata.request_id,
        server=_SERVER,
        attributes={"ray.serve.application": metadata.app_name},
    )


def requested(call: Call) -> Work | None:
    """One HTTP request to a deployment that is no ASGI application; those are traced as any application is.

    Serve reads the request for the deployment, so that what it asks is not seen here.
    """
    wrapper: Any = call.instance
    scope = call.argument("scope")
    if call.argument("user_method_info").is_asgi_app or scope.get("type") != "http":
        return None
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Work(
        f"process {_name_of(wrapper)}",
        carrier=headers,
        continues="traceparent" in headers,
        server=_SERVER,
        request=HttpRequest(scope["method"], scope["path"], headers, query=scope.get("query_string", b"")),
    )


def value(result: Any) -> ResponseValues:
    """What came back."""
    return {} if result is None else {"output_value": result}


def put(call: Call, headers: Mapping[str, str]) -> None:
    """The metadata of a call, which is pickled whole, carries the headers."""
    vars(call.argument("request_meta"))[_SERVE] = dict(headers)


def _name_of(wrapper: Any) -> str:
    return type(wrapper.user_callable).__name__


def _parameters(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """Names of a method's parameters, without its first."""
    try:
        names = tuple(inspect.signature(inspect.unwrap(function)).parameters) if function is not None else ()
    except (TypeError, ValueError):
        return ()
    return names[1:] if names[:1] == ("self",) else names


def _named(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if len(args) > len(names):
        return {"args": list(args), "kwargs": dict(kwargs)}
    return {**dict(zip(names, args, strict=False)), **kwargs}


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """A worker asks one method for each function that it runs; a replica has one method for each way to call it."""
    replica = "ray.serve._private.replica"
    entries = (
        Task(
            "ray._private.function_manager",
            "FunctionActorManager.get_execution_info",
            execution,
            value,
            makes="function",
        ),
        Task(replica, "UserCallableWrapper.call_user_method", deployed, value),
        Task(replica, "UserCallableWrapper.call_user_generator", deployed, optional=True),
        Task(replica, "UserCallableWrapper._call_http_entrypoint", requested, optional=True),
    )
    senders = (
        Sender("ray.serve._private.router", "SingletonThreadRouter.assign_request", put, optional=True),
        Sender("ray.serve._private.router", "CurrentLoopRouter.assign_request", put, optional=True),
    )
    return [Instrumentation("ray", entries=entries, senders=senders)]
