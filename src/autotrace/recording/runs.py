"""Runs: what a framework reports itself, by functions that it calls when a step begins and when it ends.

A run has an id and names the run that it lies in, so the tree is the framework's own, whichever thread or task a
step runs in. Nothing is made current here: `boundaries.py` does that around the work itself.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.context import Context

from .contributions import Contribution
from .current import Entered, current_context, enter, leave
from .families import FAMILY, Family, Waiting, is_closing, surrounding
from .guard import guard
from .messages import RequestValues, ResponseValues
from .recorder import Operation, Recorder
from .suppression import is_suppressed

#: In OpenTelemetry's context: the id of the innermost run with a span (or of the outermost, where none has); the
#: boundary that waits for a run.
RUN = "autotrace.run"
WAITING = "autotrace.waiting"


@dataclass(slots=True)  # not frozen: that takes four times as long to make, eight times a call
class Run:
    """A run that has begun, as a plugin describes it. Not to be changed.

    Example:
        >>> Run("step-7", parent="graph-1", operation="execute_tool", values={"name": "search"}).parent
        'graph-1'

    Attributes:
        id: The framework's own.
        parent: The id of the run that it lies in; None for one that lies in none.
        operation: `gen_ai.operation.name`; empty for a step that is none of the conventions'.
        values: What is known so far, or a function that tells it when it is wanted. None: not worth a span, what runs
            inside belongs to the parent.
        is_hidden: Not worth a span either, unless the boundary that waits for it knows which operation it is.
        holder: An object that is gone when the run cannot end any more, such as the framework's own handle of it: the
            run is then abandoned. None: its end is always reported.
        note: Anything that the description of a later run wants to know of this one.
    """

    id: Hashable
    parent: Hashable | None = None
    operation: str = ""
    values: RequestValues | Callable[[], RequestValues] | None = None
    is_hidden: bool = False
    holder: Any = None
    note: Any = None


@dataclass(slots=True)
class Ended:
    """The end of a run, or of a unit of work, as a plugin describes it. Not to be changed.

    Example:
        >>> Ended("step-7", {"output_value": 42}).outcome is None
        True

    Attributes:
        id: The run's; the `request_id` of a Work.
        values: What has become known, or a function that tells it when it is wanted.
        error: What it failed with.
        outcome: `cancelled`, `paused`, ...: an end that is neither success nor failure.
        stream: What the run gave back and the user has yet to iterate, if it is of one of the instrumentation's
            stream classes: the run then ends with it.
        until: The id of a run that goes on in the background, such as one that writes down the answer: this one ends
            with it, with what is told of its end; at once, and as told here, if it is not open any more.
        began: What it began with, where the framework knows that only now, or a function that tells it.
    """

    id: Hashable
    values: ResponseValues | Callable[[], ResponseValues | None] | None = None
    error: BaseException | None = None
    outcome: str | None = None
    stream: Any = None
    until: Hashable | None = None
    began: RequestValues | Callable[[], RequestValues | None] | None = None


class _Entry:
    """A run that is open.

    Attributes:
        context: Where what runs inside belongs.
        innermost: The id of the innermost run with a span in that context: this one's, or that of one around it; of the
            outermost where none has.
        handling: Identity of the exception that was being handled when it began: it says nothing of the run's end.
        token: Restores what was current before the run, where it was made current.
        others: Runs that end with this one.
    """

    __slots__ = ("context", "handling", "innermost", "operation", "others", "reference", "run", "token")

    def __init__(self, run: Run, operation: Operation | Contribution | None, context: Context) -> None:
        # Neither content nor the holder: that would never be gone.
        is_bare = run.values is None and run.holder is None
        self.run = run if is_bare else Run(run.id, run.parent, run.operation, note=run.note)
        self.operation = operation
        self.context = context
        self.innermost = context.get(RUN)
        self.handling = id(sys.exc_info()[1])
        self.reference: weakref.ref[Any] | None = None
        self.token: Entered | None = None
        self.others: list[Operation | Contribution] | None = None


class Runs:
    """The open runs of one framework.

    Args:
        recorder: The framework's.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open: dict[Hashable, _Entry] = {}

    @property
    def name(self) -> str:
        """The framework, as `autotrace.suppress` takes it."""
        return self._recorder.name

    def are_suppressed(self, current: Context) -> bool:
        """Whether no runs are to be traced in `current`."""
        return is_suppressed(current, self._recorder.name, self._recorder.is_shared)

    def __len__(self) -> int:
        return len(self._open)

    def find(self, run_id: Hashable) -> Run | None:
        """The open run of that id."""
        entry = self._open.get(run_id)
        return entry.run if entry is not None else None

    def around(self, run_id: Hashable) -> Run | None:
        """The open run of that id, if what is current lies in it."""
        entry = self._open.get(run_id)
        return entry.run if entry is not None and current_context().get(RUN) == entry.innermost else None

    def context(self, run_id: Hashable, current: Context) -> Context | None:
        """Where work of an open run belongs; None for an unknown run, and where `current` lies in it already."""
        entry = self._open.get(run_id)
        if entry is None or (entry.innermost is not None and current.get(RUN) == entry.innermost):
            return None
        return entry.context

    def start(self, run: Run, make_current: bool = False) -> None:
        """Begins a run; one that is made current is so until its end, where that comes in the same context."""
        current = current_context()
        known = self._open.get(run.id)
        if known is not None:
            self._say_again(known, run)
            return
        around = surrounding()
        boundary = self._waiting_one(current.get(WAITING))
        waiting = boundary or (self._waiting_one(around.waiting) if around is not None else None)
        values = _values_of(run, waiting.values if waiting is not None else None)
        # Where runs are made current, what is current is right: a framework's own idea of it may be a run of before.
        context = self._place(None if make_current else run.parent, current)
        operation = None
        if values is not None:
            operation, context = self._begin(run, values, context, around)
        elif RUN not in context:
            context = Context({**context, RUN: run.id})  # by which what runs inside is known to lie in it
        entry = self._open[run.id] = _Entry(run, operation, context)
        if run.holder is not None:
            self._hold(entry, run.holder)
        if waiting is not None:
            waiting.context, waiting.operation = context, operation
        if boundary is not None:
            enter(context)  # the boundary restores what was current before
        elif make_current and context is not current:
            entry.token = enter(context)

    def end(self, ended: Ended) -> Operation | Contribution | None:
        """Ends a run. The operation is given back where it goes on: with the stream that the run gave back."""
        entry = self._open.pop(ended.id, None)
        if entry is None:
            return None
        if entry.token is not None:
            leave(entry.token)
        for other in entry.others or ():
            self._finish(other, ended, entry.handling)
        operation = entry.operation
        if operation is None:
            return None
        if ended.stream is not None:
            values = self._values(operation, ended)
            if values is not None:
                operation.set(values)
            return operation
        last = self._open.get(ended.until) if ended.until is not None else None
        if last is not None:
            last.others = [*(last.others or ()), operation]
            if self._open.get(ended.until) is last:
                return None  # else it has ended meanwhile, in another thread: ending twice does no harm
        self._finish(operation, ended, entry.handling)
        return None

    def _finish(self, operation: Operation | Contribution, ended: Ended, handling: int) -> None:
        values = self._values(operation, ended)
        outcome = ended.outcome
        if isinstance(operation, Operation) and is_closing(operation):
            # A framework may leave out the last pieces of a stream that it finds closed: we have counted them.
            values = {**(values or {}), **operation.known}
            if ended.error is None or isinstance(ended.error, GeneratorExit):
                outcome = outcome or "closed"
        if ended.error is not None and outcome is None:
            operation.fail(ended.error, values)
        else:
            operation.finish(values, outcome or _interruption(handling))

    def _values(self, operation: Operation | Contribution, ended: Ended) -> ResponseValues | None:
        try:
            began = ended.began() if callable(ended.began) else ended.began
            if began is not None:
                self._recorder.add(operation, began)
            return ended.values() if callable(ended.values) else ended.values
        except Exception as error:  # noqa: BLE001 (a plugin's function)
            guard.report(f"{self.name}: end of a run", error)
            return None

    def end_all(self, outcome: str) -> None:
        """Ends what is open: nobody will report its end any more."""
        for run_id in list(self._open):
            self.end(Ended(run_id, outcome=outcome))

    def _place(self, parent_id: Hashable | None, current: Context) -> Context:
        """The context that a run begins in: the current one where that lies in its parent, else the parent's."""
        parent = self._open.get(parent_id) if parent_id is not None else None
        if parent is not None and (parent.innermost is None or current.get(RUN) != parent.innermost):
            current = parent.context
        if WAITING in current:
            return Context({key: value for key, value in current.items() if key != WAITING})
        return current

    def _waiting_one(self, found: object) -> Waiting | None:
        """What waits for a run of ours to begin."""
        return found if isinstance(found, Waiting) and found.runs is self and found.context is None else None

    def _begin(
        self, run: Run, values: RequestValues, context: Context, around: Family | None
    ) -> tuple[Operation | Contribution, Context]:
        operation = self._recorder.start(run.operation, values, parent=context)
        inside: dict[str, object] = {**operation.context, RUN: run.id}
        family = context.get(FAMILY)
        if family is None and around is not None:
            inside[FAMILY] = family = around
        if isinstance(family, Family) and isinstance(operation, Operation):
            family.add(operation)
        return operation, Context(inside)

    def _say_again(self, entry: _Entry, run: Run) -> None:
        """A framework that reports a run twice knows more the second time."""
        values = _values_of(run, None)
        if entry.operation is not None and values is not None:
            self._recorder.add(entry.operation, values)

    def _hold(self, entry: _Entry, holder: Any) -> None:
        opened, run_id = self._open, entry.run.id

        def gone(reference: object) -> None:
            found = opened.get(run_id)
            if found is not None and found.reference is reference:
                del opened[run_id]
                for operation in (found.operation, *(found.others or ())):
                    if operation is not None:
                        _abandon(operation)

        try:
            entry.reference = weakref.ref(holder, gone)
        except TypeError:  # its end has to be reported, then
            return


def _values_of(run: Run, told: Mapping[str, Any] | None) -> RequestValues | None:
    """What is known of a run, by itself and by the boundary that waits for it; None for one that has no span."""
    values = run.values
    if values is None or (run.is_hidden and not (told and "operation" in told)):
        return None
    try:
        known = values() if callable(values) else values
    except Exception as error:  # noqa: BLE001 (a plugin's function: the run is told without what it cannot say)
        guard.report(f"{run.operation or 'run'}: start", error)
        known = {}
    return cast(RequestValues, {**known, **told}) if told else known


def _abandon(operation: Operation | Contribution) -> None:
    try:
        is_closed = isinstance(operation, Operation) and is_closing(operation)
        operation.abandon("closed" if is_closed else "abandoned")
    except Exception as error:  # noqa: BLE001 (the interpreter may be half gone)
        guard.report("end of an abandoned run", error)


def _interruption(handling: int) -> str | None:
    """`closed` for a run that ends well only because its stream is being closed."""
    error = sys.exc_info()[1]
    return "closed" if isinstance(error, GeneratorExit) and id(error) != handling else None
