"""Runs by their managers, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from autotrace import Call, Ended, ResponseValues

from .values import shown


def of_config(call: Call) -> Hashable:
    """The run whose children a config is made for."""
    config = call.argument("config")
    return getattr(config.get("callbacks"), "parent_run_id", None) if isinstance(config, dict) else None


def of_manager(call: Call) -> Hashable:
    """The run whose manager is passed."""
    return getattr(call.argument("run_manager"), "run_id", None)


def of_managers(call: Call) -> Hashable:
    """The first of several runs that one request serves: its tokens are told with the first."""
    managers = call.argument("run_managers")
    return getattr(managers[0], "run_id", None) if isinstance(managers, list | tuple) and managers else None


def failed(call: Call) -> Ended:
    """A run that ended with an exception."""
    return failure(call.instance.run_id, call.argument("error"))


def _asked(interrupt: BaseException) -> Callable[[], ResponseValues | None]:
    """What an interrupt asks the one who is to decide; a graph around it repeats that, or says nothing."""

    def values() -> ResponseValues | None:
        interrupts = interrupt.args[0] if interrupt.args else None
        asked = (
            [shown(getattr(one, "value", None)) for one in interrupts] if isinstance(interrupts, tuple | list) else []
        )
        return {"output_value": asked[0] if len(asked) == 1 else asked} if asked else None

    return values


def failure(run_id: Hashable, error: Any, values: Any = None) -> Ended:
    """An end by an exception. Those with which LangGraph finds its way (interrupts, commands to a parent) are none."""
    if not isinstance(error, BaseException):
        return Ended(run_id, values)
    names = {kind.__name__ for kind in type(error).__mro__}
    if "GraphInterrupt" in names:
        return Ended(run_id, values if values is not None else _asked(error), outcome="paused")
    if "GraphBubbleUp" in names or "ParentCommand" in names:
        return Ended(run_id, values)
    return Ended(run_id, values, error=error)
