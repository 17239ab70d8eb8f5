"""Tracers of the openai SDK."""
