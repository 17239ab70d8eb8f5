"""A client of language models that needs no model: it answers with the question, in capitals."""

from .client import AcmeError, AsyncClient, AsyncStream, Chunk, Client, Message, Reply, Stream

__all__ = ["AcmeError", "AsyncClient", "AsyncStream", "Chunk", "Client", "Message", "Reply", "Stream"]
