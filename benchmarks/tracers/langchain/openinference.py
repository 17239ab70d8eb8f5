"""OpenInference: its instrumentor for LangChain, which records the model call too. Content capture is its default."""

from openinference.instrumentation.langchain import LangChainInstrumentor

from ..otlp import flush, provider

LangChainInstrumentor().instrument(tracer_provider=provider)

__all__ = ["flush"]
