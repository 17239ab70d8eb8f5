"""Spans that LlamaIndex's dispatcher announces: their beginnings, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from autotrace import Call, Ended, ResponseValues, Run

from .conversation import text_of
from .families import IN_BACKGROUND, Span, show_of
from .values import documents, given_back
from .workflows import Flow

Find = Callable[[Hashable], Run | None]

#: Results that are answers yet to be read, by the name of their class.
_STREAMED = ("StreamingResponse", "AsyncStreamingResponse")
#: Announced where a step or a workflow has been cancelled; its span then ends as if nothing had happened.
_CANCELLED = "SpanCancelledEvent"
#: Exceptions by which LlamaIndex finds its way, and what an end by one of them is.
_OUTCOMES = {"WaitingForEvent": "paused", "WorkflowCancelledByUser": "cancelled"}
_UUID = 37


def started(call: Call, _: Any, find: Find) -> Run | None:
    """A span that begins."""
    get = _arguments(call)
    span_id, instance, bound, parent = get("id_"), get("instance"), get("bound_args"), get("parent_id")
    place, _, method = span_id[:-_UUID].rpartition(".")
    around = find(parent) if parent is not None else None
    show = show_of(instance)
    if show is None:
        return None
    is_full = call.settings.get("detail") == "full"
    shown = show(Span(method, place, instance, bound.arguments, around, is_full))
    if shown.values is None:
        # Only a workflow's run may never end.
        return Run(span_id, parent, note=shown.note, holder=bound if isinstance(shown.note, Flow) else None)
    return Run(span_id, parent, shown.operation, shown.values, holder=bound, note=shown.note)


def exited(call: Call) -> Ended:
    """A span that ends well."""
    get = _arguments(call)
    span_id, instance, result = get("id_"), get("instance"), get("result")
    kind = type(result).__name__
    if kind in _STREAMED:
        return Ended(span_id, stream=result)
    if kind == IN_BACKGROUND:
        return _answered_in_background(span_id, result)
    if type(instance).__name__ == IN_BACKGROUND:
        arguments = get("bound_args").arguments
        return Ended(_answer(instance), lambda: _written(instance, arguments.get("memory")))
    if result is None:
        return Ended(span_id)
    return Ended(span_id, lambda: _given_back(span_id, result))


def dropped(call: Call) -> Ended:
    """A span that ends with an exception."""
    get = _arguments(call)
    span_id, instance, error = get("id_"), get("instance"), get("err")
    if type(instance).__name__ == IN_BACKGROUND:
        return Ended(_answer(instance), lambda: given_back(instance), error=error)
    return Ended(span_id, error=error, outcome=_OUTCOMES.get(type(error).__name__))


def announced(call: Call) -> Ended | None:
    """An event; those of a cancellation say what the span's end will not."""
    event = call.argument("event")
    return Ended(event.span_id, outcome="cancelled") if type(event).__name__ == _CANCELLED else None


def answering(call: Call, _: Any, find: Find) -> Run:
    """An answer of a chat engine that is written down in the background, in pieces, for the program to read."""
    return Run(_answer(call.instance), holder=call.instance)


def answer(text: str) -> ResponseValues:
    """The text of an answer that has been read."""
    return {"output_value": text}


def fold(pieces: list[Any]) -> str:
    """The text of an answer, from pieces of text or from a model's."""
    return "".join(piece if isinstance(piece, str) else getattr(piece, "delta", None) or "" for piece in pieces)


def _arguments(call: Call) -> Callable[[str], Any]:
    """The arguments of an announcement: by name, always, as LlamaIndex itself announces."""
    return call.kwargs.get if call.kwargs else call.argument


def _answered_in_background(span_id: str, result: Any) -> Ended:
    if not getattr(result, "is_writing_to_memory", True):
        return Ended(span_id, stream=result)
    return Ended(span_id, lambda: given_back(result), error=result.exception, until=_answer(result))


def _answer(instance: Any) -> Hashable:
    return "answer", id(instance)


def _written(instance: Any, memory: Any) -> ResponseValues:
    """The text of an answer that is complete. Before 0.12 it stands where it has been written to, if anywhere."""
    if instance.response:
        return {"output_value": instance.response}
    kept = getattr(getattr(memory, "chat_store", None), "store", None)
    said = kept.get(memory.chat_store_key) if isinstance(kept, dict) else None
    text = text_of(said[-1]) if isinstance(said, list) and said else None
    return {"output_value": text or instance.unformatted_response + "".join(_unread(instance))}


def _unread(instance: Any) -> list[str]:
    """Pieces of an answer that the program has not read yet."""
    waiting = (getattr(instance.queue, "queue", ()), getattr(instance.aqueue, "_queue", ()))
    return [piece for queue in waiting for piece in list(queue) if isinstance(piece, str)]


def _given_back(span_id: str, result: Any) -> ResponseValues:
    method = span_id[:-_UUID].rpartition(".")[2]
    return {"documents": documents(result)} if "retrieve" in method else given_back(result)
