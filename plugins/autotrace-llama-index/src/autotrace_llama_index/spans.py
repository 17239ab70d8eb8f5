"""Spans that LlamaIndex's dispatcher announces: which of them are steps worth showing, and what they tell."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from autotrace import Call, Ended, RequestValues, ResponseValues, Run

from . import workflows
from .conversation import text_of
from .tools import tool
from .values import documents, given_back, is_own, of_arguments, text_of_query

Find = Callable[[Hashable], Run | None]

#: Results that are answers yet to be read, by the name of their class.
_STREAMED = ("StreamingResponse", "AsyncStreamingResponse")
_IN_BACKGROUND = "StreamingAgentChatResponse"
#: Announced where a step or a workflow has been cancelled; its span then ends as if nothing had happened.
_CANCELLED = "SpanCancelledEvent"
#: Exceptions by which LlamaIndex finds its way, and what an end by one of them is.
_OUTCOMES = {"WaitingForEvent": "paused", "WorkflowCancelledByUser": "cancelled"}
_UUID = 37


class Span(NamedTuple):
    """A span that begins.

    Attributes:
        method: The method's name, or the function's.
        place: What stands before it: a class, or the function that it is defined in.
        instance: What the method was called on; None for a function.
        arguments: What it was given, by name.
        around: The span that it lies in, if it is open.
        is_full: Whether all spans are to be shown.
    """

    method: str
    place: str
    instance: Any
    arguments: Mapping[str, Any]
    around: Run | None
    is_full: bool


class Shown(NamedTuple):
    """What becomes of a span.

    Attributes:
        values: What it tells; None: it is not shown.
        operation: `gen_ai.operation.name`.
        note: For the spans inside it.
    """

    values: RequestValues | Callable[[], RequestValues] | None = None
    operation: str = ""
    note: Any = None


HIDDEN = Shown()
Show = Callable[[Span], Shown]


def started(call: Call, _: Any, find: Find) -> Run | None:
    """A span that begins."""
    get = _arguments(call)
    span_id, instance, bound, parent = get("id_"), get("instance"), get("bound_args"), get("parent_id")
    place, _, method = span_id[:-_UUID].rpartition(".")
    around = find(parent) if parent is not None else None
    show = _function if instance is None else _family(type(instance))
    if show is None:
        return None
    is_full = call.settings.get("detail") == "full"
    shown = show(Span(method, place, instance, bound.arguments, around, is_full))
    if shown.values is None:
        # Only a workflow's run may never end.
        return Run(span_id, parent, note=shown.note, holder=bound if isinstance(shown.note, workflows.Flow) else None)
    return Run(span_id, parent, shown.operation, shown.values, holder=bound, note=shown.note)


def exited(call: Call) -> Ended:
    """A span that ends well."""
    get = _arguments(call)
    span_id, instance, result = get("id_"), get("instance"), get("result")
    kind = type(result).__name__
    if kind in _STREAMED:
        return Ended(span_id, stream=result)
    if kind == _IN_BACKGROUND:
        return _answered_in_background(span_id, result)
    if type(instance).__name__ == _IN_BACKGROUND:
        arguments = get("bound_args").arguments
        return Ended(_answer(instance), lambda: _written(instance, arguments.get("memory")))
    if result is None:
        return Ended(span_id)
    return Ended(span_id, lambda: _given_back(span_id, result))


def dropped(call: Call) -> Ended:
    """A span that ends with an exception."""
    get = _arguments(call)
    span_id, instance, error = get("id_"), get("instance"), get("err")
    if type(instance).__name__ == _IN_BACKGROUND:
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


def _function(span: Span) -> Shown:
    """A step of a workflow, or a function that somebody has put LlamaIndex's decorator on."""
    note = span.around.note if span.around is not None else None
    if isinstance(note, workflows.Flow):
        return Shown(*workflows.step(note, span.method, span.arguments, span.is_full))
    name = f"{span.place}.{span.method}" if span.place else span.method
    is_plumbing = name in ("run_jobs", "run_jobs.<locals>.worker")
    return HIDDEN if is_plumbing and not span.is_full else _any(span)


def _any(span: Span) -> Shown:
    """A step that says what it was called with."""
    place = span.place.rpartition("<locals>")[2].lstrip(".") if span.instance is None else type(span.instance).__name__
    name = f"{place}.{span.method}" if place else span.method
    return Shown(lambda: {"name": name, "input_value": of_arguments(span.arguments)})


def _never(span: Span) -> Shown:
    """What has a span by other means."""
    return HIDDEN


def _plumbing(span: Span) -> Shown:
    return _any(span) if span.is_full else HIDDEN


def _alone(span: Span) -> Shown:
    """Plumbing, unless it is what the program itself has called."""
    return _any(span) if span.is_full or span.around is None else HIDDEN


#: Marks what asks a model for an object: the tool by which the model hands it over is none of the program's.
_STRUCTURED = "structured"


def _structured(span: Span) -> str | None:
    return _STRUCTURED if span.around is not None and span.around.note == _STRUCTURED else None


def _program(span: Span) -> Shown:
    return _alone(span)._replace(note=_STRUCTURED)


def _model(span: Span) -> Shown:
    """Calls of models have spans by other means; one that calls tools too holds several."""
    if span.method in ("predict_and_call", "apredict_and_call"):
        return _alone(span)._replace(note=_structured(span))
    if span.method.startswith(("wrapped", "async_wrapped")) or span.method in _MODEL_CALLS:
        return HIDDEN
    note = _STRUCTURED if "structured_predict" in span.method else None
    return _plumbing(span)._replace(note=note)


_MODEL_CALLS = frozenset(
    f"{prefix}{name}" for name in ("chat", "complete") for prefix in ("", "a", "stream_", "astream_")
)


def _query_engine(span: Span) -> Shown:
    if span.method not in ("query", "aquery"):
        return _plumbing(span)
    return _asked("invoke_workflow", span, span.arguments.get("str_or_query_bundle"))


def _chat_engine(span: Span) -> Shown:
    return _conversed("invoke_workflow", span)


def _older_agent(span: Span) -> Shown:
    """An agent as it was before there were workflows: a chat engine that is also a query engine."""
    if span.method in ("query", "aquery"):
        return _asked("invoke_agent", span, span.arguments.get("str_or_query_bundle"))
    is_step = span.method.endswith(("run_step", "stream_step")) and not span.method.startswith("_")
    return _alone(span) if is_step else _conversed("invoke_agent", span)


def _conversed(operation: str, span: Span) -> Shown:
    if span.method not in ("chat", "achat", "stream_chat", "astream_chat"):
        return _plumbing(span)
    return _asked(operation, span, span.arguments.get("message"))


def _asked(operation: str, span: Span, asked: Any) -> Shown:
    name = type(span.instance).__name__
    return Shown(lambda: {"name": name, "input_value": text_of_query(asked)}, operation)


def _retriever(span: Span) -> Shown:
    if "retrieve" not in span.method or span.method.startswith("_"):
        return _plumbing(span)
    given = span.arguments.get("str_or_query_bundle", span.arguments.get("str_or_query_bundle_or_image"))
    return _asked("retrieval", span, given)


def _pipeline(span: Span) -> Shown:
    if span.method not in ("run", "arun"):
        return _plumbing(span)
    name = type(span.instance).__name__
    return Shown(lambda: {"name": name, "input_value": _pipeline_input(span.arguments)}, "invoke_workflow")


def _pipeline_input(arguments: Mapping[str, Any]) -> Any:
    """Of documents their number."""
    return {
        name: f"<{len(value)} {name}>" if isinstance(value, list) and name in ("documents", "nodes") else value
        for name, value in of_arguments(arguments).items()
        if value is not None
    }


def _tool(span: Span) -> Shown:
    if _structured(span):
        return Shown(note=_STRUCTURED)
    return Shown(*tool(span.instance, span.arguments, span.around))


def _workflow(span: Span) -> Shown:
    if span.method == "run":
        return Shown(*workflows.announced(span.instance, span.arguments))
    if span.method == "run_step":
        return _alone(span)
    # Before workflows were a package of their own, the steps were announced as methods of theirs.
    return Shown(*workflows.step(workflows.flow(span.instance), span.method, span.arguments, span.is_full))


#: What becomes of the methods of a class of LlamaIndex's and of all below it.
_FAMILIES: Mapping[str, Show] = {
    "BaseLLM": _model,
    "MultiModalLLM": _model,
    "BaseLLMPredictor": _model,
    "BaseEmbedding": _never,
    "BaseSparseEmbedding": _never,
    "BaseNodePostprocessor": _never,
    "BaseQueryEngine": _query_engine,
    "BaseChatEngine": _chat_engine,
    "BaseAgent": _older_agent,
    "BaseAgentRunner": _older_agent,
    "BaseRetriever": _retriever,
    "BaseImageRetriever": _retriever,
    "BaseTool": _tool,
    "Workflow": _workflow,
    "QueryPipeline": _pipeline,
    "IngestionPipeline": _pipeline,
    "BaseSynthesizer": _alone,
    "BasePydanticProgram": _program,
    "BaseSelector": _alone,
    "BaseQuestionGenerator": _alone,
    "BaseQueryTransform": _alone,
    "BaseExtractor": _alone,
    "SimpleLLMPathExtractor": _alone,
    "SchemaLLMPathExtractor": _alone,
    "DynamicLLMPathExtractor": _alone,
}

_families: weakref.WeakKeyDictionary[type, Show | None] = weakref.WeakKeyDictionary()
_MISSING: Any = object()


def _family(kind: type) -> Show | None:
    """What becomes of the methods of a class; None for what is no step at all."""
    found: Show | None = _families.get(kind, _MISSING)
    if found is _MISSING:
        found = _families[kind] = _family_of(kind)
    return found


def _family_of(kind: type) -> Show | None:
    if kind.__name__ == _IN_BACKGROUND:
        return None
    own = [known for known in kind.__mro__ if is_own(known)]
    for known in own:
        if known.__name__ in _FAMILIES:
            return _FAMILIES[known.__name__]
    return _plumbing if own else _any
