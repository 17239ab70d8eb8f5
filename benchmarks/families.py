"""What is traced: one `Family` per framework, with the calls that are measured on it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import workload


@dataclass(frozen=True)
class Case:
    """A kind of call, and the method of `calls.<family>.Calls` that makes it.

    Attributes:
        block: Calls between two flushes. Small enough that the spans of a block fit in the 2,048 places of a batch
            processor's queue, so that nobody drops any.
        calls_each: How many calls the method makes; figures are per call.
        billed: The input tokens that the model and the embedding model report for a call, together.
    """

    name: str
    title: str
    block: int
    calls_each: int = 1
    billed: int = workload.PROMPT_TOKENS


@dataclass(frozen=True)
class Family:
    """A framework.

    Attributes:
        name: Also that of `calls.<name>`, and of the folder of the tracers that are its own.
        requirements: What pip installs of it in every environment.
        pinned: The distributions of which all its environments have the same version.
        cases: What is measured by calling it.
        others: What is measured besides, as whole programs.
        trees: A call leaves a tree of spans, of which one is the model call; otherwise it leaves one span.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    pinned: tuple[str, ...]
    cases: tuple[Case, ...]
    others: tuple[str, ...] = ()
    trees: bool = False

    @property
    def measurements(self) -> tuple[str, ...]:
        """The names of all that is measured: its part of the report."""
        return (*(case.name for case in self.cases), *self.others)


ACTIVATION, SWITCHED_OFF = "activation", "switched_off"

OPENAI = Family(
    name="openai",
    title="The openai SDK",
    requirements=("openai",),
    pinned=("openai", "pydantic", "httpx2"),
    cases=(
        Case("chat", "A chat call", 400),
        Case("stream", f"A stream of {workload.CHUNKS} chunks, consumed to the end", 100),
        Case(
            "concurrent",
            f"{workload.CONCURRENCY} concurrent asynchronous chat calls, per call",
            400,
            calls_each=workload.CONCURRENCY,
        ),
    ),
    others=(ACTIVATION, SWITCHED_OFF),
)
LANGCHAIN = Family(
    name="langchain",
    title="LangChain",
    # langchain itself is not called: OpenTelemetry's instrumentation stays off where it is not installed.
    requirements=("langchain", "langchain-openai"),
    pinned=("langchain", "langchain-core", "langchain-openai", "langgraph", "openai", "pydantic", "httpx2"),
    cases=(
        Case("chain", "A chain of prompt, model and parser", 100),
        Case("chain_stream", f"The same chain as a stream of {workload.CHUNKS} chunks, consumed to the end", 50),
    ),
    trees=True,
)
LLAMA_INDEX = Family(
    name="llama_index",
    title="LlamaIndex",
    requirements=("llama-index-core", "llama-index-llms-openai", "llama-index-embeddings-openai"),
    pinned=(
        "llama-index-core",
        "llama-index-llms-openai",
        "llama-index-embeddings-openai",
        "llama-index-instrumentation",
        "llama-index-workflows",
        "openai",
        "pydantic",
        "httpx",
    ),
    cases=(
        Case(
            "query",
            f"A question to a query engine over {len(workload.DOCUMENTS)} documents",
            100,
            billed=workload.PROMPT_TOKENS + workload.QUESTION_TOKENS,
        ),
    ),
    trees=True,
)
FAMILIES = (OPENAI, LANGCHAIN, LLAMA_INDEX)
CASES = {case.name: case for family in FAMILIES for case in family.cases}
