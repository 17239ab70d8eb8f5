"""What a plugin's mappers return: messages, their parts, and token usage, in the words of every provider.

The shapes follow the message schema of OpenTelemetry's GenAI conventions: a message has a role and parts, a part
has a type. Values, not text: how they become attributes, and what is left out of them, is decided later and once.

They are named tuples because a traced call makes a handful of them: three times faster made than frozen dataclasses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypedDict, Union

Modality = Literal["image", "audio", "video", "document"]


class Part(NamedTuple):
    """One piece of a message.

    Example:
        >>> Part.text("What is in this picture?")
        Part(type='text', content='What is in this picture?', mime_type=None, modality=None, id=None)

    Attributes:
        type: `text`, `reasoning`, `refusal`, `blob`, `uri`, `file`, `tool_call_response`, or a provider's own.
        content: The text; the bytes (or base64 text) of a blob; the address of a uri; a file's id; a tool's result.
        mime_type: Of a blob or uri, where known.
        modality: `image`, `audio`, `video` or `document`, where it is not text.
        id: The call that a `tool_call_response` answers.
    """

    type: str
    content: Any = None
    mime_type: str | None = None
    modality: Modality | None = None
    id: str | None = None

    @classmethod
    def text(cls, content: str) -> Part:
        """Plain text."""
        return cls("text", content)

    @classmethod
    def reasoning(cls, content: str) -> Part:
        """What the model thought, or the summary of it that the provider shows."""
        return cls("reasoning", content)

    @classmethod
    def refusal(cls, content: str) -> Part:
        """Why the model declined."""
        return cls("refusal", content)

    @classmethod
    def blob(cls, content: bytes | str, mime_type: str | None, modality: Modality) -> Part:
        """Data sent along (bytes, or base64 text): a span keeps its size and SHA-256, never the data."""
        return cls("blob", content, mime_type, modality)

    @classmethod
    def media(cls, url: str, modality: Modality, mime_type: str | None = None) -> Part:
        """An image, sound or document by its address; a `data:` address becomes a blob."""
        if url[:5] == "data:":
            head, _, data = url[5:].partition(",")
            return cls("blob", data, head.partition(";")[0] or mime_type, modality)
        return cls("uri", url, mime_type, modality)

    @classmethod
    def file(cls, file_id: str, modality: Modality | None = None) -> Part:
        """A file that the provider holds, by its id."""
        return cls("file", file_id, None, modality)

    @classmethod
    def tool_result(cls, result: Any, id: str | None = None) -> Part:  # noqa: A002 (the conventions' word)
        """What a tool answered."""
        return cls("tool_call_response", result, id=id)


class ToolCall(NamedTuple):
    """A call that the model asks for.

    Example:
        >>> ToolCall("get_weather", '{"city": "Paris"}', id="call_1").name
        'get_weather'

    Attributes:
        name: The tool.
        arguments: JSON text as the model wrote it, or the parsed value.
        id: The call's id, which its result will name.
        server: Whether the provider runs the tool itself (web search, code interpreter).
    """

    name: str
    arguments: Any = None
    id: str | None = None
    server: bool = False


Piece = Union[Part, ToolCall]


class Message(NamedTuple):
    """One turn: a role and its parts.

    Example:
        >>> Message.user("hello").parts[0].content
        'hello'

    Attributes:
        role: `user`, `assistant`, `system`, `developer` or `tool`.
        parts: Text, media, tool calls, tool results, in order.
        name: The participant's name, where one was given.
        finish_reason: Of an output message: why the model stopped.
    """

    role: str
    parts: tuple[Piece, ...]
    name: str | None = None
    finish_reason: str | None = None

    @classmethod
    def of(cls, role: str, content: str | Iterable[Piece] | None) -> Message:
        """A message from a text or from parts."""
        if content is None:
            return cls(role, ())
        return cls(role, (Part("text", content),) if isinstance(content, str) else tuple(content))

    @classmethod
    def user(cls, content: str | Iterable[Piece]) -> Message:
        """What the user said."""
        return cls.of("user", content)

    @classmethod
    def system(cls, content: str | Iterable[Piece]) -> Message:
        """Standing instructions."""
        return cls.of("system", content)

    @classmethod
    def assistant(cls, content: str | Iterable[Piece] | None, finish_reason: str | None = None) -> Message:
        """What the model answered."""
        message = cls.of("assistant", content)
        return cls(message.role, message.parts, None, finish_reason) if finish_reason else message

    @classmethod
    def tool(cls, result: Any, id: str | None = None) -> Message:  # noqa: A002 (the conventions' word)
        """What a tool answered."""
        return cls("tool", (Part.tool_result(result, id),))


class Document(NamedTuple):
    """What a retriever found, or a reranker put in order.

    Example:
        >>> Document("Everyone has 28 days of holiday.", id="handbook-1", score=0.82).score
        0.82

    Attributes:
        content: The text.
        id: By which the store knows it.
        score: How near it is to the query, as the retriever counts.
        metadata: What is known of it: its source, its page.
    """

    content: str | None
    id: str | None = None
    score: float | None = None
    metadata: Mapping[str, Any] | None = None


class Usage(NamedTuple):
    """Tokens that the provider bills for one call.

    The rule of the GenAI conventions: `input_tokens` includes cache reads and writes, `output_tokens` includes
    reasoning. A mapper adds them up where its provider reports them apart.

    Example:
        >>> (Usage(12, 5) + Usage(1, 2, reasoning=1)).output_tokens
        7

    All are in tokens; None where the provider does not say.

    Attributes:
        input_tokens: All that went in.
        output_tokens: All that came out.
        cache_read: Of the input: read from the provider's cache.
        cache_write: Of the input: written to the provider's cache.
        reasoning: Of the output: not shown to the user.
        audio_input: Of the input: sound.
        audio_output: Of the output: sound.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None

    def __add__(self, other: Usage) -> Usage:  # type: ignore[override]
        return Usage(*map(_sum, self, other))


def _sum(one: int | None, other: int | None) -> int | None:
    """The sum of what are counts; a provider may say something else."""
    counts = [count for count in (one, other) if type(count) is int]
    return sum(counts) if counts else None


class RequestValues(TypedDict, total=False):
    """What a `request` mapper says of a call before it is made. All keys may be left out.

    Example:
        >>> values: RequestValues = {"model": "acme-1", "input": [Message.user("hi")], "parameters": {"temperature": 0}}

    Attributes:
        operation: `gen_ai.operation.name`, where it differs from the patch's.
        provider: `gen_ai.provider.name`, where it differs from the instrumentation's.
        name: What the span is named after (`chat gpt-5`): the model unless said; the name of a tool, agent, workflow.
        model: The model asked for.
        input: The messages sent.
        input_value: What was sent, where it is no conversation: any value; a tool's arguments, a retriever's query.
        instructions: Standing instructions sent beside the messages.
        tools: The tools offered, in the provider's own shape.
        parameters: `gen_ai.request.*` by the last word: temperature, top_p, max_tokens, seed, stream, ...
        output_type: `text`, `json`, `image` or `speech`.
        server: Host and port that the request goes to.
        session: The conversation, where the framework knows it.
        attributes: More, by full name.
    """

    operation: str
    provider: str
    name: str
    model: str | None
    input: list[Message]
    input_value: Any
    instructions: str | None
    tools: Any
    parameters: Mapping[str, Any]
    output_type: str | None
    server: tuple[str | None, int | None]
    session: str | None
    attributes: Mapping[str, Any]


class ResponseValues(TypedDict, total=False):
    """What a `response` mapper says of a reply. All keys may be left out.

    Example:
        >>> values: ResponseValues = {"id": "r-1", "output": [Message.assistant("hello")], "usage": Usage(5, 1)}

    Attributes:
        model: The model that answered.
        id: The provider's id of the reply.
        output: The messages that came back: one a choice.
        output_value: What came back, where it is no conversation: any value; a tool's result.
        documents: What a retriever or a reranker found, in its order.
        usage: The tokens billed. None for a reply that repeats an earlier one (polling, retrieving).
        finish_reasons: Why each choice ended.
        error: What went wrong, where the reply says so without raising: type and message.
        attributes: More, by full name.
    """

    model: str | None
    id: str | None
    output: list[Message]
    output_value: Any
    documents: list[Document]
    usage: Usage | None
    finish_reasons: list[str]
    error: tuple[str, str] | None
    attributes: Mapping[str, Any]


REQUEST_KEYS = frozenset(RequestValues.__annotations__)
RESPONSE_KEYS = frozenset(ResponseValues.__annotations__)


class UnknownKey(LookupError):
    """A mapper has returned a key that does not exist: most likely misspelt.

    Args:
        found: The keys of what it has returned.
        known: Those that exist.
    """

    def __init__(self, found: Iterable[object], known: frozenset[str]) -> None:
        unknown = ", ".join(sorted(str(key)[:50] for key in found if key not in known))
        super().__init__(f"{unknown}: no such key; there are {', '.join(sorted(known))}")
