"""A plugin as its author writes it: pure functions, and data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autotrace import (
    Call,
    Ended,
    Event,
    Instrumentation,
    Message,
    Patch,
    RequestValues,
    ResponseValues,
    Run,
    RunEnd,
    RunStart,
    StreamClass,
    Usage,
    hookimpl,
)


def request(call: Call) -> RequestValues | None:
    """The prompt and the model; None where there is no prompt."""
    prompt = call.argument("prompt")
    if prompt is None:
        return None
    return {"model": call.argument("model", "acme-1"), "input": [Message.user(prompt)]}


def response(reply: Any) -> ResponseValues:
    """The text, and the tokens."""
    usage = Usage(reply.tokens_in, reply.tokens_out)
    return {"model": reply.model, "output": [Message.assistant(reply.text, "stop")], "usage": usage}


def fold(words: list[str]) -> Any:
    """The reply that the words make."""
    import acme

    return acme.Reply(" ".join(words), tokens_out=len(words))


def query(call: Call) -> RequestValues:
    """What is searched for."""
    return {"input_value": call.argument("prompt")}


def attempt(call: Call) -> Mapping[str, Any]:
    """Which attempt it is."""
    return {"attempt": call.argument("attempt")}


def started(call: Call, result: Any, find: Any) -> Run:
    """A step of the pipeline: the first is a workflow, the others are tools."""
    parent = call.argument("parent")
    operation = "invoke_workflow" if parent is None else "execute_tool"
    known: RequestValues = {"name": call.argument("name"), "input_value": call.argument("given")}
    return Run((call.instance, call.argument("step")), parent and (call.instance, parent), operation, known)


def ended(call: Call) -> Ended:
    """What came of a step: its result, or its error."""
    run, error, result = (call.instance, call.argument("step")), call.argument("error"), call.argument("result")
    return Ended(run, error=error) if error else Ended(run, {"output_value": getattr(result, "text", result)})


def _chat(target: str, module: str = "acme.client") -> Patch:
    return Patch(module, target, operation="chat", request=request, response=response, fold=fold)


@hookimpl
def instrumentations() -> list[Instrumentation]:
    """The framework."""
    shapes = ["complete", "complete_async", "later", "words", "words_async", "stream", "stream_async"]
    shapes += ["measure", "quick"]
    return [
        Instrumentation(
            "acme",
            provider="acme",
            patches=(
                *(_chat(f"Client.{name}") for name in shapes),
                _chat("complete", "acme"),
                _chat("summarise", "acme.extra"),
                Patch("acme.client", "Client.search", operation="retrieval", request=query),
                Patch("acme.client", "Client.gone_in_this_version", request=query, optional=True),
            ),
            streams=(StreamClass("acme.client", "Stream"), StreamClass("acme.client", "AsyncStream")),
            runs=(
                RunStart("acme.events", "Bus.started", started, make_current=True),
                RunEnd("acme.events", "Bus.ended", ended),
                RunEnd("acme.events", "Bus.failed", ended),
            ),
            events=(Event("acme.client", "Client.retry", "retry", attempt),),
            settings={"detail": ("low", "high")},
        )
    ]
