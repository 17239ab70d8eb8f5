"""Traces LlamaIndex (llama-index-core 0.11 to 0.14) and its workflows.

LlamaIndex announces every step through its dispatcher: that reports to us too, without a handler of ours among the
user's. The tree is LlamaIndex's own, by span ids; a step is current from its announced start to its end. Calls of
models, embeddings and rerankers are patched where each implementation defines them, as the announcements say little
of them and end before a stream does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autotrace import Instrumentation, Patch, RunEnd, RunStart, StreamClass, hookimpl

from . import embeddings, models, rerankers, spans, workflows

#: Where the dispatcher is defined: in a package of its own since 0.12.46.
_DISPATCHERS = ("llama_index_instrumentation.dispatcher", "llama_index.core.instrumentation.dispatcher")
#: Where workflows are defined: likewise.
_WORKFLOWS = ("workflows.workflow", "llama_index.core.workflow.workflow")
_RESPONSES = "llama_index.core.base.response.schema"
_CHATS = "llama_index.core.chat_engine.types"

#: Base classes of models, and how their methods begin.
_MODELS = (
    ("llama_index.core.base.llms.base", "BaseLLM"),
    ("llama_index.core.multi_modal_llms.base", "MultiModalLLM"),
)
_MODEL_METHODS = {
    "chat": ("chat", models.chat),
    "stream_chat": ("chat", models.stream_chat),
    "complete": ("text_completion", models.complete),
    "stream_complete": ("text_completion", models.stream_complete),
}
_EMBEDDINGS = (
    ("llama_index.core.base.embeddings.base", "BaseEmbedding"),
    ("llama_index.core.base.embeddings.base_sparse", "BaseSparseEmbedding"),
)
_EMBEDDING_METHODS = (
    "get_query_embedding",
    "get_text_embedding",
    "get_text_embedding_batch",
    "get_agg_embedding_from_queries",
)


def _reports() -> Iterator[RunStart | RunEnd]:
    """The functions by which LlamaIndex announces spans."""
    for module in _DISPATCHERS:
        yield RunStart(module, "Dispatcher.span_enter", spans.started, make_current=True)
        yield RunEnd(module, "Dispatcher.span_exit", spans.exited, response=spans.answer, fold=spans.fold)
        yield RunEnd(module, "Dispatcher.span_drop", spans.dropped)
    yield RunEnd(_DISPATCHERS[0], "Dispatcher.event", spans.announced)
    yield RunStart(_CHATS, "StreamingAgentChatResponse.__post_init__", spans.answering)


def _workflow_runs() -> Iterator[Patch]:
    """Before workflows 2.0 a run is announced in the caller's context, and ends in another, without its error."""
    for module in _WORKFLOWS:
        yield Patch(module, "Workflow.run", request=workflows.request, response=workflows.response)


def _model_calls() -> Iterator[Patch]:
    for module, base in _MODELS:
        for name, (operation, request) in _MODEL_METHODS.items():
            for prefix in ("", "a"):
                yield Patch(
                    module,
                    f"{base}.{prefix}{name}",
                    operation=operation,
                    request=request,
                    response=models.response,
                    fold=models.fold,
                    digest=models.digest,
                    subclasses=True,
                    optional=base != "BaseLLM",
                )


def _embedding_calls() -> Iterator[Patch]:
    for module, base in _EMBEDDINGS:
        for name in _EMBEDDING_METHODS:
            for prefix in ("", "a"):
                yield Patch(
                    module,
                    f"{base}.{prefix}{name}",
                    operation="embeddings",
                    request=embeddings.request,
                    response=embeddings.response,
                    subclasses=True,
                    optional=base != "BaseEmbedding",
                )


def _rerankers() -> Iterator[Patch]:
    for name in ("postprocess_nodes", "apostprocess_nodes"):
        yield Patch(
            "llama_index.core.postprocessor.types",
            f"BaseNodePostprocessor.{name}",
            request=rerankers.request,
            response=rerankers.response,
            subclasses=True,
            optional=True,
        )


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    return [
        Instrumentation(
            "llama_index",
            patches=(*_model_calls(), *_embedding_calls(), *_rerankers(), *_workflow_runs()),
            streams=(
                StreamClass(_RESPONSES, "StreamingResponse", "response_gen", close=()),
                StreamClass(_RESPONSES, "AsyncStreamingResponse", "response_gen", close=()),
                StreamClass(_CHATS, "StreamingAgentChatResponse", "chat_stream", close=()),
                StreamClass(_CHATS, "StreamingAgentChatResponse", "achat_stream", close=()),
            ),
            runs=tuple(_reports()),
            is_layered=True,
            settings={"detail": ("steps", "full")},
        )
    ]
