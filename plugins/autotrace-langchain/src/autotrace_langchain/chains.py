"""Chain runs: everything in LangChain and LangGraph that is neither a model, nor a tool, nor a retriever."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autotrace import Call, Ended, RequestValues, ResponseValues, Run

from .conversation import joined, message, messages
from .runs import failure
from .values import shown

#: Names that LangChain gives to what holds other steps together, and private ones: they say nothing of what is done.
_PLUMBING = re.compile(
    r"Runnable(Sequence|Parallel|Assign|Passthrough|Pick|Lambda|Generator|Binding|WithFallbacks|Retry|Branch|Each|Seq"
    r"|Callable|WithMessageHistory|Map|Configurable\w*)([<(].*)?"
    r"|(ChannelWrite|ChannelRead|Branch)(<.*)?|branch:.*|Prompt|StateModifier|identity"
    r"|<lambda>|call_runnable|insert_history|check_sync_or_async|load_history|_\w*"
)
#: How LangChain tags the steps of a sequence, which LangGraph makes of a node: all but the first.
_LATER_STEP = re.compile(r"seq:step:(?!1$)")
#: The function in the node of LangGraph's ready-made agents.
_BODIES = frozenset({"call_model", "acall_model"})

Find = Callable[[Hashable], Run | None]


def started(call: Call, manager: Any, find: Find) -> Run:
    """A chain run that has begun."""
    name = str(call.kwargs.get("name") or _own_name(call.argument("serialized")) or "chain")
    tags, metadata = call.instance.tags, call.instance.metadata
    is_node = metadata.get("langgraph_node") == name and any(tag.startswith("graph:step:") for tag in tags)
    parent = manager.parent_run_id
    is_full = call.settings.get("detail") == "full"
    hidden = not is_full and (
        call.kwargs.get("run_type") in ("prompt", "parser")
        or "langsmith:hidden" in tags
        or (parent is not None and not is_node and _is_plumbing(name, tags, find(parent)))
    )
    is_root = parent is None

    def values() -> RequestValues:
        return _request(name, metadata, call.argument("inputs"), is_root)

    return Run(
        manager.run_id,
        parent=parent,
        operation=_operation(name, metadata) if is_root else "",
        values=values,
        is_hidden=hidden,
        holder=manager,
        note=name if is_node else None,
    )


def ended(call: Call) -> Ended:
    """A chain run that has ended well."""
    outputs = call.argument("outputs")
    return Ended(call.instance.run_id, lambda: _response(outputs), began=_began(call))


def failed(call: Call) -> Ended:
    """A chain run that ended with an exception."""
    return replace(failure(call.instance.run_id, call.argument("error")), began=_began(call))


def asked(call: Call) -> Mapping[str, Any] | None:
    """What a stream is given, which its run is told only when it has ended."""
    given = call.argument("input")
    return _input(given) if given is not None else None


#: What LangChain says of a stream's input before it has come to its end.
_NOT_YET = {"input": ""}


def _began(call: Call) -> Callable[[], RequestValues] | None:
    """The input of a run that was streamed."""
    inputs = call.kwargs.get("inputs")
    return None if inputs is None or inputs == _NOT_YET else lambda: _input(inputs)


def _own_name(serialized: Any) -> str | None:
    if not isinstance(serialized, Mapping):
        return None
    path = serialized.get("id")
    return serialized.get("name") or (path[-1] if isinstance(path, list) and path else None)


def _is_plumbing(name: str, tags: list[str], parent: Run | None) -> bool:
    """Whether a step says nothing by itself. In a node (whose run notes its name) that is also the node's own function;
    what follows the first step are its writes and its branches.
    """
    if _PLUMBING.fullmatch(name) is not None:
        return True
    node = parent.note if parent is not None else None
    return node is not None and (name == node or name in _BODIES or any(_LATER_STEP.match(tag) for tag in tags))


def _operation(name: str, metadata: Mapping[str, Any]) -> str:
    is_agent = name == "AgentExecutor" or metadata.get("ls_integration") == "langchain_create_agent"
    return "invoke_agent" if is_agent else "invoke_workflow"


def _request(name: str, metadata: Mapping[str, Any], inputs: Any, is_root: bool) -> RequestValues:
    found: RequestValues = {"name": name}
    thread = metadata.get("thread_id")
    if is_root and thread is not None:
        found["session"] = str(thread)
    if isinstance(metadata.get("langgraph_node"), str):
        found["attributes"] = {
            "autotrace.langgraph.node": metadata["langgraph_node"],
            "autotrace.langgraph.step": metadata.get("langgraph_step"),
        }
    if inputs != _NOT_YET:
        found.update(_input(inputs))
    return found


def _input(inputs: Any) -> RequestValues:
    """A conversation where it is one, with what else there is beside it."""
    said = messages(inputs.get("messages")) if isinstance(inputs, dict) else None
    if not said:
        return {"input_value": shown(inputs)}
    rest = {key: value for key, value in inputs.items() if key != "messages"}
    return {"input": said, "input_value": shown(rest)} if rest else {"input": said}


def partial(pieces: Sequence[Any]) -> ResponseValues | None:
    """What had come out of a chain's stream when it was left: a text or an answer, as far as it went."""
    if all(isinstance(piece, str) for piece in pieces):
        return {"output_value": "".join(pieces)}
    said = joined(pieces)
    return {"output": [said]} if said is not None else None


def _response(outputs: Any) -> ResponseValues:
    if isinstance(outputs, str):
        return {"output_value": str.__str__(outputs)}  # not LangChain's own kind of text
    if isinstance(outputs, dict) and isinstance(outputs.get("messages"), list) and outputs["messages"]:
        # The whole conversation so far: what is new is its last word.
        last = message(outputs["messages"][-1])
        if last is not None and last.role == "assistant":
            rest = {key: value for key, value in outputs.items() if key != "messages"}
            return {"output": [last], "output_value": shown(rest)} if rest else {"output": [last]}
    last = message(outputs)
    if last is not None:
        return {"output": [last]}
    return {"output_value": shown(outputs)} if outputs is not None else {}
