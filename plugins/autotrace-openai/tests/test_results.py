"""What the program gets is what it would have got: results, streams, signatures, copies."""

from __future__ import annotations

import copy
import inspect
import pickle
import typing
from collections.abc import Callable
from typing import Any

import openai
import pytest


@pytest.mark.both_roads
async def test_a_reply_is_what_it_would_have_been(sdk: Any, spans: Any, api: Any) -> None:
    """L01: a plain call returns the same type and value as without autotrace."""
    spans.off()
    expected = await sdk.create(api)
    spans.on()
    reply = await sdk.create(api)
    assert type(reply) is type(expected)
    assert reply.model_dump() == expected.model_dump()
    assert reply.to_dict() == expected.to_dict()
    assert vars(reply).keys() == vars(expected).keys()
    assert reply.model_fields_set == expected.model_fields_set
    assert spans.one()["operation.name"] == api.operation


@pytest.mark.both_roads
@pytest.mark.streams
async def test_a_stream_keeps_its_class_and_its_chunks(sdk: Any, spans: Any, api: Any) -> None:
    """L02: a stream is of the SDK's very class, with its response, its close and its iterator, and gives the same."""
    spans.off()
    plain = await sdk.create(api, stream=True)
    expected = await sdk.all(plain)
    spans.on()
    stream = await sdk.create(api, stream=True)
    assert type(stream) is type(plain) is sdk.stream_class
    assert vars(stream).keys() == vars(plain).keys()
    assert type(stream.response) is type(plain.response)
    assert stream.response.status_code == 200
    assert inspect.iscoroutinefunction(stream.close) is sdk.is_async
    first = await sdk.next(stream)
    chunks = [first, *await sdk.all(stream)]
    assert [type(chunk) for chunk in chunks] == [type(chunk) for chunk in expected]
    assert [chunk.to_dict() for chunk in chunks] == [chunk.to_dict() for chunk in expected]
    assert await sdk.all(stream) == []
    with pytest.raises(StopAsyncIteration):
        await sdk.next(stream)
    assert spans.one().status == "ok"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"model": "gpt-4o"}, {"model": "m", "messages": [], "nonsense": 1}],
    ids=["none", "few", "unknown"],
)
async def test_wrong_arguments_fail_as_ever(sdk: Any, spans: Any, arguments: dict[str, Any]) -> None:
    """L21: a TypeError for wrong arguments is the one that the SDK raises, and there is no span."""
    spans.off()
    with pytest.raises(TypeError) as expected:
        await sdk.wait(sdk.client.chat.completions.create(**arguments))
    spans.on()
    with pytest.raises(TypeError) as error:
        await sdk.wait(sdk.client.chat.completions.create(**arguments))
    assert str(error.value) == str(expected.value)
    assert spans.all() == []


async def test_wrong_arguments_of_the_patched_function_itself(sdk: Any, spans: Any) -> None:
    """L21: `client.request` without its arguments raises the same TypeError."""
    spans.off()
    with pytest.raises(TypeError) as expected:
        await sdk.wait(sdk.client.request())
    spans.on(strict=False)
    with pytest.raises(TypeError) as error:
        await sdk.wait(sdk.client.request())
    assert str(error.value) == str(expected.value)
    spans.expect_failures("request mapper")


def _functions() -> list[Any]:
    from openai import _base_client, _streaming

    found: list[Any] = [_base_client.BaseClient._calculate_retry_timeout]
    for client in (_base_client.SyncAPIClient, _base_client.AsyncAPIClient, openai.OpenAI, openai.AsyncOpenAI):
        found.append(client.request)
    found += [_streaming.Stream.close, _streaming.AsyncStream.close, openai.Stream.close, openai.AsyncStream.close]
    return found


def _outcome(function: Callable[[Any], Any], value: Any) -> Any:
    try:
        return function(value)
    except Exception as error:
        return type(error), str(error)


LOOKS: dict[str, Callable[[Any], Any]] = {
    "signature": inspect.signature,
    "iscoroutinefunction": inspect.iscoroutinefunction,
    "isfunction": inspect.isfunction,
    "isroutine": inspect.isroutine,
    "name": lambda function: function.__name__,
    "qualname": lambda function: function.__qualname__,
    "module": lambda function: function.__module__,
    "doc": lambda function: function.__doc__,
    "annotations": lambda function: function.__annotations__,
    "hints": typing.get_type_hints,
    "source": inspect.getsource,
    "defaults": lambda function: (function.__defaults__, function.__kwdefaults__),
}


@pytest.mark.parametrize("look", LOOKS)
def test_wrapped_functions_look_as_before(spans: Any, look: str) -> None:
    """L24: signature, name, doc, type hints and the rest of every wrapped function are unchanged."""
    spans.off()
    expected = [_outcome(LOOKS[look], function) for function in _functions()]
    spans.on()
    assert [_outcome(LOOKS[look], function) for function in _functions()] == expected


@pytest.mark.parametrize("look", ["signature", "iscoroutinefunction", "name", "doc", "hints"])
def test_methods_of_a_client_look_as_before(sdk: Any, spans: Any, look: str) -> None:
    """L24: so are the bound methods that programs ask."""

    def methods() -> list[Any]:
        client = sdk.client
        return [client.request, client.post, client.chat.completions.create, client.embeddings.create]

    spans.off()
    expected = [_outcome(LOOKS[look], method) for method in methods()]
    spans.on()
    assert [_outcome(LOOKS[look], method) for method in methods()] == expected


def _cloudpickled(value: Any) -> Any:
    cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
    return pickle.loads(cloudpickle.dumps(value))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "cloudpickle": _cloudpickled,
}


@pytest.mark.parametrize("way", COPIES)
async def test_replies_can_be_copied(sdk: Any, spans: Any, api: Any, way: str) -> None:
    """L25: a reply survives copying and pickling as without autotrace: no span is attached to it."""
    reply = await sdk.create(api)
    twin = COPIES[way](reply)
    assert type(twin) is type(reply)
    assert twin.to_dict() == reply.to_dict()
    assert b"autotrace" not in pickle.dumps(reply)


@pytest.mark.parametrize("way", COPIES)
async def test_clients_can_be_copied_as_ever(sdk: Any, spans: Any, way: str) -> None:
    """L25: a client copies or refuses to be copied exactly as without autotrace."""

    def attempt() -> Any:
        try:
            return type(COPIES[way](sdk.client))
        except Exception as error:
            return type(error)

    spans.off()
    expected = attempt()
    spans.on()
    assert attempt() is expected


@pytest.mark.parametrize("way", COPIES)
def test_classes_can_be_copied_as_ever(spans: Any, way: str) -> None:
    """L25: the SDK's classes copy and pickle, by reference."""
    for kind in (openai.OpenAI, openai.AsyncOpenAI, openai.Stream, openai.AsyncStream):
        assert COPIES[way](kind) is kind


@pytest.mark.parametrize("way", COPIES)
def test_wrapped_functions_can_be_copied_as_ever(spans: Any, way: str) -> None:
    """L25: the wrapped functions themselves copy and pickle as without autotrace."""

    def attempt() -> list[Any]:
        return [_outcome(lambda value: COPIES[way](value).__qualname__, function) for function in _functions()]

    spans.off()
    expected = attempt()
    spans.on()
    assert attempt() == expected


async def test_a_bound_method_of_a_copied_client_is_traced(sdk: Any, spans: Any, api: Any) -> None:
    """L25: a copy of a client (`with_options`, `copy.copy`) is traced like the client."""
    await sdk.create(api, client=sdk.client.with_options(timeout=30))
    await sdk.create(api, client=copy.copy(sdk.client))
    assert len(spans.all()) == 2
