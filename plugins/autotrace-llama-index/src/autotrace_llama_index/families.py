"""Which of the spans that LlamaIndex announces are steps worth showing, by the class whose method it is."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autotrace import RequestValues, Run

from . import workflows
from .tools import tool
from .values import is_own, of_arguments, text_of_query

#: An answer that is written down in the background: no step, but what steps end with.
IN_BACKGROUND = "StreamingAgentChatResponse"


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


def show_of(instance: Any) -> Show | None:
    """What becomes of an instance's methods, or of functions; None for what is no step at all."""
    return _function if instance is None else _family(type(instance))


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
    if kind.__name__ == IN_BACKGROUND:
        return None
    own = [known for known in kind.__mro__ if is_own(known)]
    for known in own:
        if known.__name__ in _FAMILIES:
            return _FAMILIES[known.__name__]
    return _plumbing if own else _any
