"""Langfuse: its drop-in for openai; batches go to LANGFUSE_BASE_URL. Content capture is its default."""

import langfuse.openai  # noqa: F401  (importing it patches the openai module)
from langfuse import get_client

_client = get_client()


def flush() -> None:
    """Export every pending observation."""
    _client.flush()
