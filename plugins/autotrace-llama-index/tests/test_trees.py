"""Whatever is called, and in whichever form: one root, the same tree, the tokens that were billed."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from opentelemetry.context import get_current

from .cases import CASES
from .conftest import QUESTION, Kit, Spans, input_text, output_text, tokens


def run(case: Any, kit: Kit) -> Any:
    """Runs a case to its end, and looks whether it has left something current in this thread or task."""
    if not inspect.iscoroutinefunction(case.run):
        found = case.run(kit)
        assert not get_current()
        return found

    async def main() -> Any:
        found = await case.run(kit)
        assert not get_current()
        return found

    return asyncio.run(main())


@pytest.mark.parametrize("name", CASES)
def test_tree(kit: Kit, spans: Spans, name: str) -> None:
    """One root, the expected tree, tokens equal to the meter's, input and output; nothing is left (laws L17, L39)."""
    case = CASES[name]
    expected = case.expected
    answer = run(case, kit)
    spans.settle()
    assert spans.tree() == expected
    root = spans.root()
    assert spans.billed == tokens(kit.server.billed)
    assert QUESTION in input_text(root)
    if case.has_output:
        assert answer.strip()
        assert answer.strip() in _unescaped(output_text(root))
    # What comes next is another trace.
    kit.llm.complete("Next, please.")
    assert spans.all()[-1].parent is None
    assert len({span.context.trace_id for span in spans.all()}) == 2


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\n", "\n")


#: Those that ask a model for more than embeddings, which tell no tokens.
ASKING = [name for name in CASES if not name.startswith(("embed", "ingest", "retrieve", "aretrieve"))]


@pytest.mark.parametrize("name", ASKING)
def test_without_the_providers_plugin(kit: Kit, spans: Spans, name: str) -> None:
    """With LlamaIndex's plugin alone the tree is the same; the figures are those of LlamaIndex's replies (law L17)."""
    import autotrace

    case = CASES[name]
    expected = case.expected
    autotrace.autolog("openai", disable=True)
    kit.llm = kit.model(additional_kwargs={"stream_options": {"include_usage": True}})
    run(case, kit)
    spans.settle()
    assert spans.tree() == expected
    if "structured" in name and "as_structured" in name:
        return  # LlamaIndex keeps nothing of the reply but the object made of it
    chats = [one for one in kit.server.requests if not one.path.endswith("/embeddings")]
    assert spans.billed == tokens(sum((one.billed for one in chats), type(kit.server.billed)()))
