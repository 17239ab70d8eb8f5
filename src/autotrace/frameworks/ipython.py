"""Cells that IPython runs: in Jupyter's kernel, in its own shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autotrace import Call, Ended, Instrumentation, Task, Work, hookimpl


def cell(call: Call) -> Work | None:
    """One cell, whatever it is made of."""
    source = call.argument("raw_cell")
    if not isinstance(source, str) or not source.strip():
        return None
    shell: Any = call.instance
    attributes = {"ipython.execution_count": shell.execution_count, "ipython.cell_id": call.argument("cell_id")}
    return Work("cell", input=source, kind="internal", attributes=attributes)


def ran(result: Any) -> Ended:
    """What a cell came to: IPython keeps what it has raised, and the value that it has shown."""
    error = result.error_before_exec or result.error_in_exec
    return Ended(None, None if result.result is None else {"output_value": result.result}, error)


@hookimpl
def instrumentations() -> Sequence[Instrumentation]:
    """One coroutine runs every cell, those that await nothing too."""
    run = Task("IPython.core.interactiveshell", "InteractiveShell.run_cell_async", cell, ran)
    return [Instrumentation("ipython", entries=(run,))]
