"""Traces LangChain (langchain-core 0.3 to 1.x) and LangGraph.

LangChain reports every step, a run, through its callback managers: those report to us too, without a handler of ours
among the user's. The tree is LangChain's own, by run ids. Around the functions that do a run's work its span is
current, so that what is called there by other means hangs beneath it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from autotrace import Boundary, Call, Instrumentation, Patch, Run, RunContext, RunEnd, RunStart, hookimpl

from . import chains, embeddings, graphs, models, retrievers, runs, tools
from .conversation import spoken

_MANAGERS = "langchain_core.callbacks.manager"

_Started = Callable[[Call, Any, Callable[[Hashable], Run | None]], Run | Iterable[Run]]
_STARTS: Mapping[str, _Started] = {
    "llm": models.completion_started,
    "chat_model": models.chat_started,
    "chain": chains.started,
    "tool": tools.started,
    "retriever": retrievers.started,
}
#: By the managers of a run: the name under which they report, and how its end is told.
_ENDS = {
    "LLMRun": ("llm", models.ended),
    "ChainRun": ("chain", chains.ended),
    "ToolRun": ("tool", tools.ended),
    "RetrieverRun": ("retriever", retrievers.ended),
}
_FAILURES = {"llm": models.failed, "chain": chains.failed}


def _reports() -> Iterator[RunStart | RunEnd]:
    """The methods by which LangChain reports runs, public and the same since 0.1."""
    for prefix in ("", "Async"):
        for kind, started in _STARTS.items():
            yield RunStart(_MANAGERS, f"{prefix}CallbackManager.on_{kind}_start", started)
        for run, (kind, ended) in _ENDS.items():
            manager = f"{prefix}CallbackManagerFor{run}"
            yield RunEnd(_MANAGERS, f"{manager}.on_{kind}_end", ended)
            yield RunEnd(_MANAGERS, f"{manager}.on_{kind}_error", _FAILURES.get(kind, runs.failed))


#: Where a copied context is prepared for a run. Each module has its own name for the one function: older releases
#: import it by name, LangGraph has a copy.
_PREPARED = (
    "langchain_core.runnables.base",
    "langchain_core.runnables.fallbacks",
    "langchain_core.tools.base",
    "langgraph.utils.runnable",
    "langgraph._internal._runnable",
)


def _boundaries() -> Iterator[RunContext | Boundary]:
    """Where a run's work is done."""
    yield RunContext("langchain_core.runnables.config", "_set_config_context", runs.of_config)
    for module in _PREPARED:
        yield RunContext(module, "_set_config_context", runs.of_config, optional=True)
    chat, text = "langchain_core.language_models.chat_models", "langchain_core.language_models.llms"
    for prefix in ("", "a"):
        failed = runs.failure if prefix else None  # a plain call is reported before anything else can happen
        yield Boundary(chat, f"BaseChatModel._{prefix}generate_with_cache", run=runs.of_manager, failed=failed)
        yield Boundary(
            chat, f"BaseChatModel.{prefix}stream", waits=True, is_family=True, digest=spoken, partial=models.partial
        )
        yield Boundary(chat, f"BaseChatModel._{prefix}iter_v2_events", run=runs.of_manager, optional=True)
        yield Boundary(text, f"BaseLLM._{prefix}generate_helper", run=runs.of_managers)
        yield Boundary(
            text, f"BaseLLM.{prefix}stream", waits=True, is_family=True, digest=spoken, partial=models.partial
        )
        yield Boundary("langchain_core.retrievers", f"BaseRetriever.{prefix}invoke", waits=True)
        yield Boundary("langgraph.pregel", f"Pregel.{prefix}stream", waits=True, values=graphs.told, is_family=True)
    for name, partial in (
        ("stream", chains.partial),
        ("astream", chains.partial),
        ("astream_events", None),
        ("astream_log", None),
    ):
        yield Boundary(
            "langchain_core.runnables.base",
            f"Runnable.{name}",
            values=chains.asked,
            is_family=True,
            digest=spoken if partial else None,
            partial=partial,
            subclasses=True,
        )


def _embeddings() -> Iterator[Patch]:
    """Embeddings report nothing: each implementation is patched."""
    for name in ("embed_documents", "embed_query", "aembed_documents", "aembed_query"):
        yield Patch(
            "langchain_core.embeddings.embeddings",
            f"Embeddings.{name}",
            operation="embeddings",
            request=embeddings.request,
            response=embeddings.response,
            subclasses=True,
        )


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """What this plugin traces."""
    return [
        Instrumentation(
            "langchain",
            patches=tuple(_embeddings()),
            runs=(*_reports(), *_boundaries()),
            is_layered=True,
            settings={"detail": ("steps", "full")},
        )
    ]
