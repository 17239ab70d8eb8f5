"""A framework that talks to no model: every shape that a call can have, and nothing else."""

from .client import AsyncStream, Client, Loud, Reply, Stream, complete

__all__ = ["AsyncStream", "Client", "Loud", "Reply", "Stream", "complete"]
