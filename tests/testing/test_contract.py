"""The contract finds faults: copies of the example's plugin, each broken in one way, fail the law that they break."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autotrace.testing import InstrumentationContract
from autotrace.testing.contract.forms import turns
from autotrace.testing.contract.snapshots import changes, held, restore, wrapped

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_plugin"
PLUGIN = EXAMPLE / "autotrace-acme"

#: What a plugin does that patches by hand: `{0}` is the method, `{1}` what stands in its place.
BY_HAND = """

_instrumentations = instrumentations


@hookimpl
def instrumentations():
    import acme.client as client

    {code}
    return _instrumentations()
"""

#: A stream that begins a span by itself, and `{ending}` ends it.
BY_ITSELF = """
class Following:
    def __init__(self, chunks, operation):
        self.chunks, self.operation = chunks, operation

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.chunks)
        except StopIteration:
            self.operation.finish()
            raise

    async def __anext__(self):
        try:
            return await self.chunks.__anext__()
        except StopAsyncIteration:
            self.operation.finish()
            raise

    def close(self):
        {closing}


KEPT = []


def started():
    from autotrace.activation import active

    recorder = active().recorder()
    recorder.provider, recorder.name = "acme", "acme"
    KEPT.append(recorder.start("chat", {{"model": "acme-1"}}))
    return KEPT[-1]


def follow(stream):
    stream._chunks = Following(stream._chunks, started())
    {keeping}
    return stream
"""


def by_hand(code: str, before: str = "") -> str:
    """The plugin, and patches of its own making."""
    return f"{source()}\n{before}\n{BY_HAND.format(code=code)}"


def source() -> str:
    return (PLUGIN / "src" / "autotrace_acme" / "__init__.py").read_text(encoding="utf-8")


def changed(*pairs: tuple[str, str]) -> str:
    """The plugin's source with some of it replaced."""
    text = source()
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def without(*targets: str) -> tuple[str, str]:
    """The change that leaves functions to the hand."""
    every = ("Client.complete", "Client.stream", "AsyncClient.complete", "AsyncClient.stream")
    left = tuple(target for target in every if target not in targets)
    return 'targets = ("Client.complete", "Client.stream", "AsyncClient.complete", "AsyncClient.stream")', (
        f"targets = {left!r}"
    )


def streams_by_hand(closing: str = "pass", keeping: str = "") -> str:
    """A plugin that follows streams by itself."""
    code = """
    stream, astream = client.Client.stream, client.AsyncClient.stream
    client.Client.stream = lambda self, *a, **k: follow(stream(self, *a, **k))

    async def followed(self, *a, **k):
        return follow(await astream(self, *a, **k))

    client.AsyncClient.stream = followed
    """
    text = changed(
        without("Client.stream", "AsyncClient.stream"),
        ('                StreamClass("acme.client", "Stream", iterator="_chunks"),\n', ""),
        ('                StreamClass("acme.client", "AsyncStream", iterator="_chunks"),\n', ""),
    )
    return text + BY_ITSELF.format(closing=closing, keeping=keeping) + BY_HAND.format(code=code)


FAULTS = {
    "wraps twice": (
        changed(
            (
                "patches=tuple(",
                'patches=(Patch("acme.client", "_reply", lambda call: {"model": "m"}, operation="chat"),) + tuple(',
            )
        ),
        "test_a_call_is_one_span[call]",
    ),
    "swallows the error": (
        by_hand(
            """
    complete = client.Client.complete

    def quiet(self, *args, **kwargs):
        try:
            return complete(self, *args, **kwargs)
        except Exception:
            return None

    client.Client.complete = quiet
    """
        ),
        "test_errors_are_untouched[call]",
    ),
    "wraps the error": (
        by_hand(
            """
    complete = client.Client.complete

    def wrapped(self, *args, **kwargs):
        try:
            return complete(self, *args, **kwargs)
        except Exception as error:
            raise RuntimeError("the call failed") from error

    client.Client.complete = wrapped
    """
        ),
        "test_errors_are_untouched[call]",
    ),
    "reads the stream early": (
        by_hand(
            """
    stream = client.Client.stream
    client.Client.stream = lambda self, *a, **k: client.Stream(iter(list(stream(self, *a, **k))))
    """
        ),
        "test_nothing_is_read_ahead[stream]",
    ),
    "reads the async stream early": (
        by_hand(
            """
    stream = client.AsyncClient.stream

    async def early(self, *a, **k):
        pieces = [piece async for piece in await stream(self, *a, **k)]

        async def again():
            for piece in pieces:
                yield piece

        return client.AsyncStream(again())

    client.AsyncClient.stream = early
    """
        ),
        "test_nothing_is_read_ahead[astream]",
    ),
    "changes a stream's type": (
        by_hand(
            """
    stream = client.Client.stream
    client.Client.stream = lambda self, *a, **k: (chunk for chunk in stream(self, *a, **k))
    """
        ),
        "test_streams_keep_their_class[stream]",
    ),
    "changes a reply's type": (
        by_hand(
            """
    complete = client.Client.complete
    client.Client.complete = lambda self, *a, **k: vars(complete(self, *a, **k))
    """
        ),
        "test_results_are_untouched[call]",
    ),
    "loses the span on break": (streams_by_hand(), "test_breaking_out_of_a_stream[stream]"),
    "loses the async span on break": (streams_by_hand(), "test_breaking_out_of_a_stream[astream]"),
    "loses the span on close": (streams_by_hand(), "test_closing_a_stream[stream]"),
    "loses the async span on close": (streams_by_hand(), "test_closing_a_stream[astream]"),
    "loses the span on GC": (
        streams_by_hand("self.operation.abandon('closed')", "KEPT.append(stream)"),
        "test_a_stream_that_is_dropped[stream]",
    ),
    "loses the span of a stream on cancel": (streams_by_hand(), "test_a_cancelled_stream"),
    "loses the span on cancel": (
        changed(without("AsyncClient.complete"))
        + BY_ITSELF.format(closing="pass", keeping="")
        + BY_HAND.format(
            code="""
    complete = client.AsyncClient.complete

    async def traced(self, *args, **kwargs):
        operation = started()
        try:
            reply = await complete(self, *args, **kwargs)
        except Exception as error:
            operation.fail(error)
            raise
        operation.finish()
        return reply

    client.AsyncClient.complete = traced
    """
        ),
        "test_a_cancelled_call",
    ),
    "leaks context": (
        changed(
            (
                '    """What is known before the call is made."""\n',
                "    from opentelemetry import context\n\n    context.attach(context.set_value('acme', 1))\n",
            )
        ),
        "test_a_call_lies_in_the_span_around_it[call]",
    ),
    "leaks context from coroutines": (
        changed(
            (
                '    """What is known before the call is made."""\n',
                "    from opentelemetry import context\n\n    context.attach(context.set_value('acme', 1))\n",
            )
        ),
        "test_a_call_lies_in_the_span_around_it[acall]",
    ),
    "imports its framework when imported": (
        changed(("if TYPE_CHECKING:  #", "if True:  #")),
        "test_the_plugin_imports_no_framework",
    ),
    "does not restore": (
        by_hand(
            """
    complete = client.Client.complete
    client.Client.complete = lambda self, *args, **kwargs: complete(self, *args, **kwargs)
    """
        ),
        "test_switching_off_restores",
    ),
    "counts running totals twice": (
        changed(("last.tokens_in, last.tokens_out)", "last.tokens_in, sum(chunk.tokens_out for chunk in chunks))")),
        "test_tokens_are_those_billed[stream]",
    ),
    "leaks content when content is off": (
        changed(
            ('"model": call.instance.model,', '"model": call.instance.model, "name": str(call.argument("messages")),')
        ),
        "test_content_off[call]",
    ),
    "leaks content in an attribute": (
        changed(
            (
                '"model": call.instance.model,',
                '"model": call.instance.model, "attributes": {"acme.asked": str(call.argument("messages"))},',
            )
        ),
        "test_content_off[astream]",
    ),
    "consumes a generator argument": (
        changed(("for one in messages] if isinstance(messages, list | tuple) else []", "for one in messages]")),
        "test_arguments_are_not_consumed",
    ),
    "misspells a key": (
        changed(('"output": [Message', '"outputs": [Message')),
        "test_it_tells_what_was_asked_and_answered[call]",
    ),
    "names a function that is not there": (
        changed(("targets = (", 'targets = ("Client.gone", ')),
        "test_every_hook_point_is_there",
    ),
    "keeps pieces of streams": (
        changed(
            ("def fold(", "KEPT = []\n\n\ndef digest(chunk):\n    KEPT.append(chunk)\n    return chunk\n\n\ndef fold("),
            ("response=response, fold=fold)", "response=response, fold=fold, digest=digest)"),
        ),
        "test_nothing_of_a_call_is_kept[stream]",
    ),
    "shares state between calls": (
        changed(
            (
                '    return {\n        "model": call.instance.model,',
                '    LAST[0] = call.argument("messages")\n    return {\n        "model": call.instance.model,',
            ),
            ('Message.assistant(reply.text, "stop")', 'Message.assistant(str(LAST[0]), "stop")'),
            ("def request(call", "LAST = [None]\n\n\ndef request(call"),
        ),
        "test_tasks_never_mix",
    ),
    "changes the messages": (
        changed(
            (
                "    if isinstance(messages, str):",
                "    messages.append(1) if isinstance(messages, list) else None\n    if isinstance(messages, str):",
            )
        ),
        "test_arguments_are_not_changed",
    ),
    "keeps replies": (
        changed(
            ('    """What came back."""\n', "    KEPT.append(reply)\n"),
            ("@hookimpl\n", "KEPT = []\n\n\n@hookimpl\n"),
        ),
        "test_nothing_of_a_call_is_kept[call]",
    ),
}


class Site:
    """A folder with the example's framework and plugin as pip would install them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(EXAMPLE / "acme" / "src" / "acme", folder / "acme")
        shutil.copytree(PLUGIN / "src" / "autotrace_acme", folder / "autotrace_acme")
        self._distribution("acme_example-1.0.0", "Name: acme-example\nVersion: 1.0.0\n")
        requires = 'Provides-Extra: instruments\nRequires-Dist: acme-example<2,>=1; extra == "instruments"\n'
        metadata = f"Name: autotrace-acme-example\nVersion: 0.1.0\n{requires}"
        self._distribution("autotrace_acme_example-0.1.0", metadata, "[autotrace]\nacme = autotrace_acme\n")

    def _distribution(self, name: str, metadata: str, entry_points: str = "") -> None:
        folder = self.folder / f"{name}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\n{metadata}", encoding="utf-8")
        (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")

    def contract(self, *arguments: str) -> str:
        """What pytest prints about the example's own test."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AUTOTRACE_", "PYTEST_"))}
        options = ["-q", "-rfEs", "-p", "no:cacheprovider", "--tb=line", "--rootdir", str(self.folder)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *arguments, str(PLUGIN / "tests" / "test_acme.py")],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The example, installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


def test_misspelt_methods_are_refused() -> None:
    """A method whose name is nearly one of the contract's is an error: its law would be skipped in silence."""
    with pytest.raises(TypeError, match=r"TestAcme\.brokenstream: .* is 'broken_stream' meant\?"):
        type("TestAcme", (InstrumentationContract,), {"brokenstream": lambda self, prompt: None})
    type("TestAcme", (InstrumentationContract,), {"client": None, "test_own": None, "_calll": None})


def test_a_good_plugin_keeps_every_law(site: Site) -> None:
    """The example's plugin passes the whole contract, and nothing of it is skipped."""
    printed = site.contract()
    assert re.search(r"^\d\d passed in ", printed, re.MULTILINE), printed


@pytest.mark.parametrize(("broken", "law"), FAULTS.values(), ids=FAULTS)
def test_the_contract_finds(site: Site, broken: str, law: str) -> None:
    """A plugin with this fault fails the law that it breaks."""
    (site.folder / "autotrace_acme" / "__init__.py").write_text(broken, encoding="utf-8")
    name, _, form = law.partition("[")
    printed = site.contract("-k", f"{name} and {form.rstrip(']')}" if form else name)
    assert re.search(rf"^(FAILED|ERROR) \S*::TestAcme::{re.escape(law)}", printed, re.MULTILINE), printed


def test_what_an_event_loop_has_opened_is_closed_in_it() -> None:
    """`aclose` runs in the loop of the law that has been tried, whether it has failed or not."""
    loops: list[Any] = []

    class Acme(InstrumentationContract):
        async def aclose(self) -> None:
            loops.append(asyncio.get_running_loop())

    async def works() -> None:
        loops.append(asyncio.get_running_loop())

    async def fails() -> None:
        await works()
        raise AssertionError("the law is broken")

    Acme()._in_loop(works)
    with pytest.raises(AssertionError, match="the law is broken"):
        Acme()._in_loop(fails)
    assert loops[0] is loops[1]
    assert loops[2] is loops[3]


class Cyclic:
    """A stream that holds a method of its own."""

    def __init__(self) -> None:
        self.again = self.__aiter__

    async def __aiter__(self) -> AsyncIterator[int]:
        yield 1


def test_a_stream_in_a_cycle_is_gone_after_some_turns() -> None:
    """A stream that is left is gone when the loop has gone round, though the loop must close its generator before."""

    async def leave() -> weakref.ref[Cyclic]:
        stream = Cyclic()
        async for _ in stream:
            break
        return weakref.ref(stream)

    async def whole() -> bool:
        left = await leave()
        await turns()
        return left() is None

    assert asyncio.run(whole())


def test_what_stands_for_a_missing_module_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a module that is not installed raises when its class is asked for: the contract does not ask."""

    class StandIn:
        @property
        def __class__(self) -> type:
            raise ImportError("pip install acme[cloud]")

    module = ModuleType("acme_cloud")
    module.login = StandIn()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_cloud", module)
    before = held("acme_cloud")
    module.Client = type("Client", (), {"__module__": "acme_cloud"})  # type: ignore[attr-defined]
    assert changes(before, held("acme_cloud")) == []
    assert wrapped(before) == []
    restore(before)
