"""From what traced processes left beside their journals, and what waits there, to findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from autotrace.delivery.health import DestinationHealth, ProcessHealth
from autotrace.delivery.queue import Queue

from .figures import local_time
from .findings import Finding, Level

#: Nanoseconds for which what a process told makes a problem; later it is a note.
RECENT_NS = 24 * 3600 * 10**9


@dataclass(frozen=True)
class DestinationState:
    """What is known of one destination.

    Attributes:
        name: Its name.
        queued_bytes: In the journal, not taken yet.
        queued_records: Starts and ends of spans among them.
        delivered: Records that it has taken from the processes that are known.
        failures: How often in a row it has refused, in the process where that is most.
        last_delivery: When it last took any, in nanoseconds since 1970; None: not known.
        last_error: What it last said when it refused, in the process that wrote last.
        dropped: Records lost to it, for the journal had reached its bounds.
        rejected: Records that it has refused for good.
    """

    name: str
    queued_bytes: int
    queued_records: int
    delivered: int
    failures: int
    last_delivery: int | None
    last_error: str | None
    dropped: int = 0
    rejected: int = 0


def destination_states(queues: Sequence[Queue], processes: Sequence[ProcessHealth]) -> list[DestinationState]:
    """Each destination with what all processes told of it.

    Args:
        queues: What waits for each; they name the destinations.
        processes: Newest first.
    """
    return [_state(queue, [one for process in processes for one in _of(process, queue)]) for queue in queues]


def _of(process: ProcessHealth, queue: Queue) -> list[DestinationHealth]:
    return [one for one in process.destinations if one.name == queue.destination]


def _state(queue: Queue, told: Sequence[DestinationHealth]) -> DestinationState:
    deliveries = [one.last_delivery for one in told if one.last_delivery is not None]
    errors = [one.last_error for one in told if one.last_error is not None]
    return DestinationState(
        queue.destination,
        queue.bytes,
        queue.records,
        sum(one.delivered for one in told),
        max((one.failures for one in told), default=0),
        max(deliveries, default=None),
        errors[0] if errors else None,
        sum(one.dropped for one in told),
        sum(one.rejected for one in told),
    )


def delivery_findings(
    processes: Sequence[ProcessHealth],
    destinations: Sequence[DestinationState],
    unreadable: Mapping[str, str],
    now: int,
) -> Iterator[Finding]:
    """What is wrong with the traced processes and what they deliver to.

    Args:
        processes: How each fares.
        destinations: What is known of each.
        unreadable: Files that could not be read, and why.
        now: Nanoseconds since 1970.
    """
    for process in processes:
        level: Level = "problem" if now - process.written < RECENT_NS else "note"
        others = [one for other in processes if other is not process for one in other.destinations]
        mended = {one.name for one in others if _is_later(one, process)}
        if process.state != "running":  # what it left has been delivered since, by `autotrace drain` perhaps
            mended |= {state.name for state in destinations if not state.queued_records}
        yield from _process_findings(process, level, mended)
    is_running = any(process.state == "running" for process in processes)
    for state in destinations:
        if state.queued_records and not is_running and not state.failures:
            yield Finding(
                "note",
                f"destination {state.name}",
                f"{state.queued_records:,} records of ended processes wait in the journal",
                "The next traced process delivers them, and so does `autotrace drain`.",
            )
    for file, reason in unreadable.items():
        yield Finding("note", f"file {file}", f"it cannot be read: {reason}", "Delete it.")


def _is_later(one: DestinationHealth, process: ProcessHealth) -> bool:
    """Whether a destination has taken records after a process last told of it."""
    return one.last_delivery is not None and one.last_delivery > process.written


def _process_findings(process: ProcessHealth, level: Level, mended: AbstractSet[str]) -> Iterator[Finding]:
    about = f"process {process.pid} ({process.state}, {local_time(process.written)})"
    for failure in process.failures:
        yield Finding(
            level,
            about,
            f"{failure.where} failed {_times(failure.count)}, last: {failure.last}",
            "Spans lack what this place reads; the program is not affected. Upgrade the plugin, or report it.",
        )
    if process.dropped:
        yield Finding(
            level,
            about,
            f"{process.dropped:,} records were lost: neither the disk nor the memory set aside took them",
            "Free disk space, and see that the home can be written.",
        )
    if process.damaged:
        yield Finding(
            level,
            about,
            f"{process.damaged:,} lines of the journal were damaged and skipped",
            "Look at the disk: a full one cuts lines short.",
        )
    for one in process.destinations:
        yield from _destination_findings(one, about, level, one.name in mended)


def _destination_findings(one: DestinationHealth, about: str, level: Level, is_mended: bool) -> Iterator[Finding]:
    if one.dropped:
        yield Finding(
            level,
            about,
            f"destination {one.name} has lost {one.dropped:,} records: the journal had reached its bounds",
            "See that the destination takes records, or raise journal_size and journal_age.",
        )
    if one.rejected:
        yield Finding(
            level,
            about,
            f"destination {one.name} has refused {one.rejected:,} records for good",
            "The program's log says why, once.",
        )
    if one.failures and is_mended:
        yield Finding(
            "note",
            about,
            f"destination {one.name} had refused {_times(one.failures)}: {one.last_error}",
            "Nothing: it has taken records since, or none are left.",
        )
    elif one.failures:
        yield Finding(
            level,
            about,
            f"destination {one.name} has refused {_times(one.failures)} in a row: {one.last_error}",
            "Mend what the error names; the records stay in the journal and are tried again.",
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
