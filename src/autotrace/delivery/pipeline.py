"""Where finished spans go: a tracer provider of our own (or the app's), the journal, the drainer, the destinations."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import TracerProvider as AbstractTracerProvider

from .._version import __version__
from ..config import Config
from .destinations import Destination
from .drain import Drainer
from .journal import Journal
from .processor import JournalProcessor


class SystemRandomIds(IdGenerator):
    """Ids from the system's randomness.

    OpenTelemetry's own generator draws from `random`: a program that seeds it (as experiments do) gives the same
    ids in every run, and forked processes whose fork hooks are not called (uWSGI) give the same ids as each other.
    """

    def generate_trace_id(self) -> int:
        """128 random bits, not all zero."""
        return int.from_bytes(os.urandom(16), "big") or 1

    def generate_span_id(self) -> int:
        """64 random bits, not all zero."""
        return int.from_bytes(os.urandom(8), "big") or 1

    def is_trace_id_random(self) -> bool:
        """Whether all bits of a trace id are random (W3C Trace Context level 2)."""
        return True


class Pipeline:
    """The way of a span from the recorder to the destinations.

    Args:
        config: The settings.
        provider: The app's own provider. Spans then go where it sends them, and to our destinations only where
            the settings name one.
    """

    def __init__(self, config: Config, provider: AbstractTracerProvider | None = None) -> None:
        self._drainer: Drainer | None = None
        if provider is None:
            own = _provider(config)
            own.add_span_processor(self._processor(config, own.resource))
            self.provider: AbstractTracerProvider = own
            return
        self.provider = provider
        if "destination" in config.sources and isinstance(provider, TracerProvider):
            provider.add_span_processor(_OursOnly(self._processor(config, provider.resource)))

    def flush(self, timeout: float) -> bool:
        """Delivers what has been recorded; see autotrace.flush."""
        flushed = True
        if isinstance(self.provider, TracerProvider):
            flushed = self.provider.force_flush(int(timeout * 1000))
        return (self._drainer is None or self._drainer.flush(timeout)) and flushed

    def close(self, timeout: float) -> None:
        """Delivers what can be delivered within `timeout` seconds; the rest stays in the journal."""
        if self._drainer is not None:
            self._drainer.close(timeout)

    def _processor(self, config: Config, resource: Resource) -> SpanProcessor:
        journal = Journal(config.home, dict(resource.attributes))
        self._drainer = Drainer(journal.folder, _destinations(config.destination, config.home))
        return JournalProcessor(journal, self._drainer.wake)


class _OursOnly(SpanProcessor):
    """Lets only the spans that autotrace made pass: the app's other spans are the app's affair."""

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner

    def on_start(self, span: Span, parent_context: object = None) -> None:
        if _is_ours(span):
            self._inner.on_start(span, cast("None", parent_context))

    def on_end(self, span: ReadableSpan) -> None:
        if _is_ours(span):
            self._inner.on_end(span)


def _is_ours(span: ReadableSpan) -> bool:
    scope = span.instrumentation_scope
    return scope is not None and scope.name.partition(".")[0] == "autotrace"


def _provider(config: Config) -> TracerProvider:
    # Every call is recorded unless the operator asks for less: a parent that another tool has not sampled is no
    # reason to lose ours.
    sampler = None if "OTEL_TRACES_SAMPLER" in os.environ else ALWAYS_ON
    return TracerProvider(
        sampler, Resource.create(_resource(config)), shutdown_on_exit=False, id_generator=SystemRandomIds()
    )


def _resource(config: Config) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "deployment.environment.name": config.environment,
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "telemetry.distro.name": "autotrace",
        "telemetry.distro.version": __version__,
    }
    if config.service is not None:
        found["service.name"] = config.service
    if config.release is not None:
        found["service.version"] = config.release
    return found


def _destinations(names: Sequence[str], home: Path) -> list[Destination]:
    """The destinations by name. An unknown one is left out (the settings have told of it)."""
    found: list[Destination] = []
    for name in names:
        if name == "store":
            from .destinations.sqlite import StoreDestination

            found.append(StoreDestination(home / "traces.db"))
        elif name == "console":
            from .destinations.console import ConsoleDestination

            found.append(ConsoleDestination())
    return found
