"""Each program that the demo runs, against the scripted model."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from .conftest import EXAMPLES, RunningModel, scripted_only

#: What a program asks the model for.
PLAIN, STREAMED, EMBEDDINGS = ("chat", False), ("chat", True), ("embeddings", False)


@dataclass(frozen=True)
class Program:
    """A program, the distributions that it needs, a part of what it prints, and its requests in their order."""

    file: str
    needs: tuple[str, ...]
    prints: tuple[str, ...]
    requests: list[tuple[str, bool]]


PROGRAMS = [
    Program(
        "openai_agent.py",
        ("openai",),
        ("The weather in Oslo is 4 degrees and light snow.", "everyone has 28 days of paid holiday"),
        [PLAIN, PLAIN, PLAIN, EMBEDDINGS, PLAIN, STREAMED],
    ),
    Program(
        "langchain_agent.py",
        ("langchain>=1", "langchain-openai"),
        (
            "  The weather in Paris is 18 degrees",
            "  get_opening_hours -> The Louvre",
            "  The Louvre is open from 9 to 18",
        ),
        [PLAIN, PLAIN, STREAMED, STREAMED],
    ),
    Program(
        "langgraph_approval.py",
        ("langgraph>=1", "langchain-openai"),
        ("a train ticket is paid this week.", "Pay 900 euros for a desk? Yes.", "a desk is paid this week."),
        [PLAIN, PLAIN],
    ),
    Program(
        "llama_index_rag.py",
        ("llama-index-llms-openai-like", "llama-index-embeddings-openai"),
        ("Read 6 pages: expenses, holiday,", "  Everyone has 28 days of paid holiday a year.", "from: holiday"),
        [EMBEDDINGS, EMBEDDINGS, STREAMED],
    ),
]


def is_installed(requirement: Requirement) -> bool:
    """Whether what a program needs is in this environment."""
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


@scripted_only
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.file)
def test_program_does_its_work(served: RunningModel, tmp_path: Path, program: Program) -> None:
    """A program ends well and quietly, answers with what it found out, and asks the model for no more than it needs."""
    for needed in program.needs:
        if not is_installed(Requirement(needed)):
            pytest.skip(f"{needed} is not installed")
    before = served.meter()["requests"]
    settings = {
        "OPENAI_BASE_URL": served.base_url,
        "OPENAI_API_KEY": "local",
        "OPENAI_MODEL": served.model,
        "OPENAI_EMBEDDING_MODEL": served.model,
        "AUTOTRACE_HOME": str(tmp_path / "traces"),
    }
    command = [sys.executable, str(EXAMPLES / program.file)]
    result = subprocess.run(
        command, env={**os.environ, **settings}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    metered = served.meter()["by_request"][before:]

    assert (result.returncode, result.stderr) == (0, "")
    assert [text for text in program.prints if text not in result.stdout] == []
    assert [(reading["operation"], reading["streamed"]) for reading in metered] == program.requests
