"""Where finished spans go: a tracer provider of our own (or the app's), the journal, the drainer, the destinations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import TracerProvider

from ..config import Config
from ..errors import AutotraceError
from ..recording.guard import guard
from ..recording.tracer import LeanTracerProvider
from .destinations import Destination
from .destinations.known import Maker, make, nothing_offered
from .drain import Drainer
from .encoding import dumps
from .health import SUFFIX as HEALTH
from .journal import Journal
from .limits import Limits
from .outlets import Outlet
from .platform import detect
from .queue import queues
from .resource import known_late, resource_of
from .sink import JournalSink

if TYPE_CHECKING:
    from .sampling import Sampler


#: The part of `exit_timeout` that delivery may take; the interpreter's own end takes the rest.
WAITS = 0.8


@dataclass(frozen=True)
class Arrival:
    """Whether a destination has what this process has journalled.

    Attributes:
        destination: Its name.
        state: `delivered`; `waiting`: it is in the journal, and the next process delivers it; `refused`: the other
            side will never take some of it; `lost`: it could neither be delivered nor written.
        last_error: Why it is not there, where that is known.
    """

    destination: str
    state: Literal["delivered", "waiting", "refused", "lost"]
    last_error: str | None = None


class Pipeline:
    """The way of a span from the recorder to the destinations.

    Args:
        config: The settings.
        provider: The app's own provider. Spans then go where it sends them, and to our destinations only where
            the settings name one.
        offered: What plugins add to the destinations, by name.
    """

    def __init__(
        self,
        config: Config,
        provider: TracerProvider | None = None,
        offered: Callable[[str], Maker | None] = nothing_offered,
    ) -> None:
        self._drainer: Drainer | None = None
        self._offered = offered
        self._config = config
        self._platform = detect(config.variables, sys.argv, sys.modules)
        #: Whether what is said of the process is ours to say: an app's provider has said it.
        self._is_ours = provider is None
        self._journal: Journal | None = None
        self.provider = provider if provider is not None else self._own(config)
        # An app's provider that cannot be extended (one that does nothing, say) is left as it is.
        if provider is not None and "destination" in config.sources and hasattr(provider, "add_span_processor"):
            from .sdk import journal_ours

            journal, drainer = self._begin(config, provider.resource)  # type: ignore[attr-defined]
            journal_ours(provider, journal, drainer.wake)

    def served_by(self, server: str) -> None:
        """Takes note that a server hands the program requests: one that calls its server itself is production then.

        What was recorded before stays what it is; the next record begins a segment that says otherwise.

        Args:
            server: The server's name, such as `uvicorn` or `Werkzeug/3.1`.
        """
        platform = self._platform.served_by(server, sys.modules)
        if platform is not self._platform and self._journal is not None and self._is_ours:
            self._platform = platform
            self._journal.describe({**self._journal.resource, **known_late(self._config, platform)})

    def flush(self, timeout: float) -> bool:
        """Delivers what has been recorded; see autotrace.flush."""
        force_flush = getattr(self.provider, "force_flush", None)
        flushed = True if force_flush is None else force_flush(int(timeout * 1000)) is not False
        return (self._drainer is None or self._drainer.flush(timeout)) and flushed

    def close(self) -> None:
        """Delivers what can be delivered within the setting `exit_timeout`; the rest stays in the journal."""
        if self._drainer is not None:
            self._drainer.close(self._config.exit_timeout * WAITS)

    def finish(self, timeout_s: float) -> list[Arrival]:
        """Delivers once what there is, and closes: for a process that has nothing else to do. How it went.

        Args:
            timeout_s: Seconds that it may take.
        """
        if self._drainer is None or self._journal is None:
            return []
        outlets = self._drainer.outlets
        is_done = self._drainer.close(timeout_s)
        if not is_done and not self._journal.has_begun:
            return [Arrival(outlet.name, "lost", outlet.last_error) for outlet in outlets]
        process, folder = self._journal.process, self._journal.folder
        left = queues(folder, [outlet.name for outlet in outlets], process=process)
        waiting = {queue.destination for queue in left if queue.records}
        if not waiting:  # nothing is left to tell of it
            with suppress(OSError):
                (folder / (process + HEALTH)).unlink(missing_ok=True)
        return [_arrival(outlet, outlet.name in waiting) for outlet in outlets]

    def _own(self, config: Config) -> TracerProvider:
        """A private provider. The SDK's own where its sampler is asked for; ours, many times faster, otherwise.

        Without a sampler every call is recorded: a parent that another tool has not sampled is no reason to lose it.
        """
        resource = resource_of(config, self._platform)
        journal, drainer = self._begin(config, resource)
        if "OTEL_TRACES_SAMPLER" not in config.standard:
            return LeanTracerProvider(JournalSink(journal, drainer.wake))
        from .sdk import sampled_provider

        return sampled_provider(resource, journal, drainer.wake)

    def note(self, kind: str, key: str, body: Mapping[str, Any]) -> bool:
        """Journals feedback (`F`) or an update (`U`); False where there is no journal, for the app's provider has all.

        Args:
            kind: `F` or `U`.
            key: Trace id and span id, a space between them.
            body: The keys are those of `encoding`.
        """
        if self._journal is None or self._drainer is None:
            return False
        self._journal.note(kind, key, dumps(dict(body)))
        self._drainer.wake()
        return True

    def _begin(self, config: Config, resource: Resource) -> tuple[Journal, Drainer]:
        self._drainer = drainer_of(config, self._offered)
        # Not the console: what is left over is no news for another process's terminal.
        names = [outlet.name for outlet in self._drainer.outlets if outlet.name != "console"]
        size = Limits(config.journal_size).segment_size
        self._journal = Journal(config.home, dict(resource.attributes), size, names)
        return self._journal, self._drainer


def _arrival(outlet: Outlet, is_waiting: bool) -> Arrival:
    if is_waiting:
        return Arrival(outlet.name, "waiting", outlet.last_error)
    return Arrival(outlet.name, "refused" if outlet.rejected else "delivered")


def drainer_of(config: Config, offered: Callable[[str], Maker | None] = nothing_offered) -> Drainer:
    """What takes the journal in the home folder to the destinations that the settings name.

    Args:
        config: The settings.
        offered: What plugins add to the destinations, by name.
    """
    limits = Limits(config.journal_size, config.journal_age)
    destinations = _destinations(config, offered)
    return Drainer(config.home / "journal", destinations, limits=limits, sampler=sampler_of(config))


def _destinations(config: Config, offered: Callable[[str], Maker | None]) -> list[Destination]:
    """The destinations that the settings name; the store where none of them can be had, so that no span is lost."""
    found: list[Destination] = []
    for name in config.destination:
        try:
            found.append(make(name, config, offered))
        except AutotraceError as error:
            guard.tell(error)
        except Exception as error:  # noqa: BLE001 (whatever it is, the spans must go somewhere)
            guard.count(f"destination {name}", error)
    if config.destination and not found:
        found.append(make("store", config))
    return found


def sampler_of(config: Config) -> Sampler | None:
    """What the settings say of which traces are kept; None: all are."""
    if config.sample >= 1:
        return None
    from .costs import cost_usd
    from .sampling import Sampler

    return Sampler(config.sample, config.keep_slow, config.keep_cost, cost_usd)
