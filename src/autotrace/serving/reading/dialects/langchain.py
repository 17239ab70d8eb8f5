"""LangChain's events, LangServe's log of patches, and what LangGraph's nodes add."""

from __future__ import annotations

from typing import Any

from ....read import field, items, text
from ..assembly import Assembly, Heard
from ..conversation import messages, role_of
from ..turns import MOST
from .messages import chat_message

JSON = dict[str, Any]


def model_stream(assembly: Assembly, event: JSON) -> Heard | None:
    """`astream_events`: of the events that tell the same words, the model's."""
    return _chunk(assembly, field(event, "data", "chunk"))


def chain_end(assembly: Assembly, event: JSON) -> None:
    """The end of a chain: the outermost one's is the last. It counts where nothing came in pieces."""
    output = field(event, "data", "output")
    if output is not None:
        assembly.result = output


def _chunk(assembly: Assembly, chunk: Any) -> Heard | None:
    if role_of(chunk) is not None:
        return chat_message(assembly, chunk)
    if type(chunk) is not str:
        return None
    assembly.words.add(chunk)
    return assembly.words.add, chunk


def log_patch(assembly: Assembly, operations: list[Any]) -> None:
    """LangServe's `stream_log`: patches of JSON, of which those of the streamed output bring the answer."""
    for operation in operations[:MOST]:
        if text(operation, "path") == "/streamed_output/-":
            _chunk(assembly, field(operation, "value"))


def graph_update(assembly: Assembly, update: JSON) -> bool:
    """LangGraph's `updates`: what each node added. False where it is something else."""
    nodes = [node for node in update.values() if type(node) is dict and messages(node.get("messages")) is not None]
    for node in nodes[:MOST]:
        for one in items(node, "messages"):
            chat_message(assembly, one)
    return bool(nodes)
