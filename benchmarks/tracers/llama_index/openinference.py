"""OpenInference: its instrumentor for LlamaIndex, which records the model calls too. Content capture is its default."""

from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

from ..otlp import flush, provider

LlamaIndexInstrumentor().instrument(tracer_provider=provider)

__all__ = ["flush"]
