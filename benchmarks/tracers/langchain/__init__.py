"""Tracers of LangChain."""
