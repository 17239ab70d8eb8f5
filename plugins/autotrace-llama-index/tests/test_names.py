"""What models are called: by their fields, else by what they tell of themselves, else by their class."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import MockEmbedding
from llama_index.core.llms import ChatMessage, CompletionResponse, CustomLLM, LLMMetadata
from pydantic import BaseModel

from .conftest import QUESTION, Kit, Spans, tokens

ASKED = [ChatMessage(role="user", content=QUESTION)]


class City(BaseModel):
    """A city."""

    name: str


class Own(CustomLLM):
    """A model of the program's own, which tells of itself what it is told to."""

    tell: Callable[[], Any]

    @property
    def metadata(self) -> LLMMetadata:
        return self.tell()  # type: ignore[no-any-return]

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return iter([CompletionResponse(text=prompt, delta=prompt)])


class Named(Own):
    """One with a field for its name."""

    model_name: str = "by-field"


@pytest.mark.parametrize(("told", "name"), [({"model_name": "mine"}, "mine"), ({}, "Own"), ({"model_name": ""}, "Own")])
def test_a_model_that_tells_its_name(spans: Spans, told: dict[str, str], name: str) -> None:
    """The name is the one that LlamaIndex is told; where that is none, it is the class's."""
    model = Own(tell=lambda: LLMMetadata(**told))
    model.complete(QUESTION)
    assert spans.tree() == f"text_completion {name}"
    asyncio.run(model.acomplete(QUESTION))
    list(model.stream_complete(QUESTION))
    assert [span.name for span in spans.all()] == [f"text_completion {name}"] * 3


@pytest.mark.parametrize("error", [ConnectionError, None], ids=repr)
def test_a_model_that_cannot_tell_its_name(spans: Spans, error: type[Exception] | None) -> None:
    """That fails no call which LlamaIndex itself asks no name for."""

    def tell() -> Any:
        if error is not None:
            raise error("who am I?")

    assert Own(tell=tell).complete(QUESTION).text == QUESTION
    assert spans.tree() == "text_completion Own"


def test_a_name_in_a_field(spans: Spans) -> None:
    """A model with a field for its name is not asked to tell of itself."""
    asked: list[bool] = []
    Named(tell=lambda: asked.append(True)).complete(QUESTION)
    assert spans.tree() == "text_completion by-field"
    assert asked == []


def test_what_a_model_does_to_tell_its_name(kit: Kit, spans: Spans) -> None:
    """Models that a model asks for its own name are no calls of the program's."""

    def ask() -> LLMMetadata:
        return LLMMetadata(model_name=kit.llm.complete("Who are you?").text[:3])

    Own(tell=ask).complete(QUESTION)
    assert spans.tree() == "text_completion You"


def test_a_structured_model(kit: Kit, spans: Spans) -> None:
    """It is called by the model that it wraps, and is of the same provider; the tokens are those of its call."""
    kit.llm.as_structured_llm(City).chat(ASKED)
    span = spans.root()
    assert spans.tree() == "chat gpt-4o"
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert spans.billed == tokens(kit.server.billed) != (0, 0)


def test_embeddings_without_a_name(spans: Spans) -> None:
    """LlamaIndex's own word for a name that it does not know is none."""
    MockEmbedding(embed_dim=3).get_query_embedding(QUESTION)
    assert spans.tree() == "embeddings MockEmbedding"
