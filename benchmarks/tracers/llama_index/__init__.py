"""Tracers of LlamaIndex."""
