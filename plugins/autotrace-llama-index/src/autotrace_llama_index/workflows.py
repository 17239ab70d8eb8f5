"""Workflows and their steps; agents are workflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autotrace import Call, RequestValues, ResponseValues

from .tools import Called
from .values import fields, given_back, is_a, shown

Values = Callable[[], RequestValues]

#: The steps that LlamaIndex's own agents are made of.
_AGENT_STEPS = frozenset(
    {
        "init_run",
        "setup_agent",
        "run_agent_step",
        "parse_agent_output",
        "call_tool",
        "aggregate_tool_results",
    }
)


class Flow(NamedTuple):
    """A workflow that runs.

    Attributes:
        is_agent: Whether it is one of LlamaIndex's agents.
        is_team: Whether it is made of several.
    """

    is_agent: bool
    is_team: bool


def flow(workflow: Any) -> Flow:
    """What kind of workflow it is."""
    is_team = is_a(workflow, "AgentWorkflow")
    return Flow(is_team or is_a(workflow, "BaseWorkflowAgent"), is_team)


def announced(workflow: Any, arguments: Mapping[str, Any]) -> tuple[Values | None, str, Flow]:
    """What a run that is announced tells: where its work is done, since workflows 2.0, else nothing."""
    known = flow(workflow)
    if not _runs_elsewhere(workflow):
        return None, "", known
    return lambda: _began(workflow, arguments), _operation(known), known


def request(call: Call) -> RequestValues | None:
    """What is known of a run when it is asked for; None where it will be announced."""
    workflow = call.instance
    if _runs_elsewhere(workflow):
        return None
    arguments = {"start_event": call.argument("start_event"), "kwargs": call.kwargs}
    return {**_began(workflow, arguments), "operation": _operation(flow(workflow))}


def response(result: Any) -> ResponseValues:
    """What a run came to."""
    return given_back(result)


def _runs_elsewhere(workflow: Any) -> bool:
    """Whether runs are handed to a runtime: since workflows 2.0."""
    return hasattr(workflow, "runtime")


def _operation(known: Flow) -> str:
    return "invoke_agent" if known.is_agent else "invoke_workflow"


def _began(workflow: Any, arguments: Mapping[str, Any]) -> RequestValues:
    own = getattr(workflow, "name", None) if flow(workflow).is_agent else None
    found: RequestValues = {"name": own if isinstance(own, str) and own else type(workflow).__name__}
    given = _given(arguments)
    if given is not None:
        found["input_value"] = given
    return found


def step(around: Flow, name: str, arguments: Mapping[str, Any], is_full: bool) -> tuple[Values | None, str, Any]:
    """What a step of a workflow tells: the event that it was given."""
    event = _event(arguments)
    if around.is_team and name == "run_agent_step":
        agent = str(getattr(event, "current_agent_name", "") or name)
        return lambda: {"name": agent, "input_value": _last_said(event)}, "invoke_agent", None
    note = Called(getattr(event, "tool_id", None)) if around.is_agent and name == "call_tool" else None
    if (name == "_done" or (around.is_agent and name in _AGENT_STEPS)) and not is_full:
        return None, "", note
    return lambda: {"name": name, "input_value": shown(event)}, "", note


def _event(arguments: Mapping[str, Any]) -> Any:
    """The event among a step's arguments; all events where it waits for several."""
    known = arguments.get("kwargs", arguments)
    events = {name: value for name, value in known.items() if is_a(value, "Event")}
    return next(iter(events.values())) if len(events) == 1 else events


def _given(arguments: Mapping[str, Any]) -> Any:
    """What a run was started with: to an agent, what the user says."""
    event = arguments.get("start_event")
    given = fields(event) if event is not None else dict(arguments.get("kwargs") or {})
    for name in ("ctx", "memory", "start_event", "stepwise", "checkpoint_callback"):
        given.pop(name, None)
    said = given.get("user_msg")
    if said is not None:
        return shown(said)
    known = {name: shown(value) for name, value in given.items() if value is not None}
    return known or None


def _last_said(event: Any) -> Any:
    said = getattr(event, "input", None)
    return shown(said[-1]) if isinstance(said, list) and said else None
