"""Where finished spans go: a tracer provider of our own (or the app's), the journal, the drainer, the destinations."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TracerProvider

from .._version import __version__
from ..config import Config
from ..recording.tracer import LeanTracerProvider
from .destinations import Destination
from .drain import Drainer
from .journal import Journal
from .sink import JournalSink


class Pipeline:
    """The way of a span from the recorder to the destinations.

    Args:
        config: The settings.
        provider: The app's own provider. Spans then go where it sends them, and to our destinations only where
            the settings name one.
    """

    def __init__(self, config: Config, provider: TracerProvider | None = None) -> None:
        self._drainer: Drainer | None = None
        self.provider = provider if provider is not None else self._own(config)
        # An app's provider that cannot be extended (one that does nothing, say) is left as it is.
        if provider is not None and "destination" in config.sources and hasattr(provider, "add_span_processor"):
            from .sdk import journal_ours

            journal, drainer = self._journal(config, provider.resource)  # type: ignore[attr-defined]
            journal_ours(provider, journal, drainer.wake)

    def flush(self, timeout: float) -> bool:
        """Delivers what has been recorded; see autotrace.flush."""
        force_flush = getattr(self.provider, "force_flush", None)
        flushed = True if force_flush is None else force_flush(int(timeout * 1000)) is not False
        return (self._drainer is None or self._drainer.flush(timeout)) and flushed

    def close(self, timeout: float) -> None:
        """Delivers what can be delivered within `timeout` seconds; the rest stays in the journal."""
        if self._drainer is not None:
            self._drainer.close(timeout)

    def _own(self, config: Config) -> TracerProvider:
        """A private provider. The SDK's own where its sampler is asked for; ours, many times faster, otherwise.

        Without a sampler every call is recorded: a parent that another tool has not sampled is no reason to lose it.
        """
        resource = Resource.create(_resource(config))
        journal, drainer = self._journal(config, resource)
        if "OTEL_TRACES_SAMPLER" not in os.environ:
            return LeanTracerProvider(JournalSink(journal, drainer.wake))
        from .sdk import sampled_provider

        return sampled_provider(resource, journal, drainer.wake)

    def _journal(self, config: Config, resource: Resource) -> tuple[Journal, Drainer]:
        journal = Journal(config.home, dict(resource.attributes))
        self._drainer = Drainer(journal.folder, _destinations(config.destination, config.home))
        return journal, self._drainer


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
