"""A real Jupyter kernel: `import autotrace.auto` in a cell, and each cell after that is a trace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autotrace.store.reader import Reader

from ..conftest import by_hand

if os.environ.get("REQUIRE_NOTEBOOKS") != "1":
    pytest.importorskip("ipykernel", reason="Jupyter's kernel is not installed: tox -e notebooks")


@pytest.fixture
def execute(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Runs a cell in a kernel of its own; `ok` or `error`."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    # Not the kernel that happens to be registered for this user.
    manager.kernel_spec.argv[0] = sys.executable
    manager.start_kernel(env={**by_hand(), "AUTOTRACE_HOME": str(tmp_path / "home")}, cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def execute(source: str) -> str:
        reply = client.execute_interactive(source, timeout=60, output_hook=lambda _: None)
        status: str = reply["content"]["status"]
        return status

    yield execute
    client.stop_channels()
    manager.shutdown_kernel()


@pytest.mark.filterwarnings("ignore")  # of the client's
def test_cells_of_a_notebook(execute: Callable[[str], str], tmp_path: Path) -> None:
    """Cells, those that await among them; and what the program is, by where it runs."""
    cells = [
        "import autotrace.auto, autotrace, asyncio\ndef ask(text):\n    with autotrace.span('chat', input=text): pass",
        "ask('why')\n1 + 1",
        "await asyncio.sleep(0)\nask('how')",
        "2 + 2",
        "ask('who')\nraise LookupError('no')",
        "assert autotrace.flush(30)",
    ]
    assert [execute(cell) for cell in cells] == ["ok", "ok", "ok", "ok", "error", "ok"]
    with Reader(tmp_path / "home" / "traces.db") as reader:
        found = [trace.summary for trace in map(reader.trace, reader.trace_ids()) if trace is not None]
    assert [(trace.name, trace.status, trace.request) for trace in found] == [
        ("cell", "ok", cells[1]),
        ("cell", "ok", cells[2]),
        ("cell", "error", cells[4]),
    ]
    assert {trace.environment for trace in found} == {"development"}
