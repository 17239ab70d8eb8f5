"""Delivers traces, feedback and later changes to MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrace.recording.guard import guard

from .. import Record, RetryLater
from .settings import Settings

if TYPE_CHECKING:  # imported in the delivering thread, with protobuf and urllib3
    from .api import Api
    from .completion import Completion
    from .experiment import Experiment
    from .traces import Trace

#: How long feedback waits for its trace, and a trace that the server stumbles over for a better server.
PATIENCE_NS = 24 * 3600 * 1_000_000_000


class MlflowDestination:
    """Sends to one experiment of one server.

    Everything may come twice: spans take the place of themselves, feedback and changes are looked up first.

    Args:
        settings: Where to.
    """

    name = "mlflow"
    wants_traces = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Records that the server has refused for good.
        self.rejected = 0
        self._api: Api | None = None
        self._experiment: Experiment | None = None
        self._told: set[str] = set()

    def deliver(self, records: Sequence[Record], resource: Mapping[str, Any]) -> Sequence[Record]:
        """Sends the records; what is said of a trace that MLflow does not know yet is not taken yet.

        Raises:
            RetryLater: MLflow takes nothing now.
        """
        api, experiment = self._opened()
        left = self._deliver_traces(api, experiment, records, resource)
        return [*left, *self._deliver_words(api, records)]

    def close(self) -> None:
        """Closes the connections; the next `deliver` opens others."""
        api, self._api = self._api, None
        if api is not None:
            api.close()

    def _opened(self) -> tuple[Api, Experiment]:
        from .api import Api
        from .experiment import Experiment

        if self._api is None:
            self._api = Api(self.settings)
        if self._experiment is None:
            self._experiment = Experiment(self.settings)
        return self._api, self._experiment

    def _deliver_traces(
        self, api: Api, experiment: Experiment, records: Sequence[Record], resource: Mapping[str, Any]
    ) -> list[Record]:
        from .completion import Completion
        from .traces import traces_in

        traces = traces_in(records, lambda spans, why: self._reject(len(spans), f"broken: {why}"))
        if not traces:
            return []
        completion = Completion(api, experiment.id(api), resource)
        counted = {trace.id for trace in traces if self._announce(completion, trace, api, experiment)}
        taken, left = self._send(api, experiment, traces, resource)
        for trace in taken:
            self._complete(completion, trace, trace.id in counted)
        return left

    def _announce(self, completion: Completion, trace: Trace, api: Api, experiment: Experiment) -> bool:
        """Whether the server's sums of this trace have to be made anew."""
        from autotrace.delivery.replies import Refused

        from .api import NotFound

        try:
            if trace.ends_here:
                return completion.announce(trace)
            if self.settings.is_databricks:
                completion.complete(trace)
            return True
        except (NotFound, Refused) as error:
            experiment.forget()
            # Raises where it has been deleted meanwhile: the trace is not to blame for that.
            if experiment.id(api) != completion.experiment_id:
                raise RetryLater("the experiment has been made anew") from None
            self._tell("info", f"trace {trace.id}: MLflow takes its spans alone: {error}")
            return True

    def _send(
        self, api: Api, experiment: Experiment, traces: Sequence[Trace], resource: Mapping[str, Any]
    ) -> tuple[list[Trace], list[Record]]:
        """The traces that MLflow has taken, and the records that may be tried again."""
        from .databricks import send as send_files
        from .traces import send

        if self.settings.is_databricks:
            taken, refused = send_files(api, traces)
        else:
            taken, refused = send(api, experiment, traces, resource)
        left: list[Record] = []
        for trace, status, reason in refused:
            if status == 500 and not taken:
                raise RetryLater(f"the server answers 500: {reason}")
            if status in (404, 500) and _is_young(trace.spans[0].body["start"]):
                left += trace.spans
            else:
                self._reject(len(trace.spans), f"{status}: trace {trace.id}: {reason}")
        return taken, left

    def _complete(self, completion: Completion, trace: Trace, is_counted: bool) -> None:
        from autotrace.delivery.replies import Refused

        from .api import NotFound

        try:
            if not (trace.ends_here or self.settings.is_databricks):
                completion.complete(trace)
            if is_counted:
                completion.recount(trace)
        except (NotFound, Refused) as error:  # its spans are there: nothing of it is lost
            self._tell("completion", f"trace {trace.id} is there, but not what belongs to it besides spans: {error}")

    def _deliver_words(self, api: Api, records: Sequence[Record]) -> list[Record]:
        """Feedback and later changes, in their order; the records that MLflow knows no trace for yet."""
        from autotrace.delivery.replies import Refused

        from . import assessments, updates
        from .api import NotFound

        left = []
        for record in records:
            deliver = {"F": assessments.deliver, "U": updates.deliver}.get(record.kind)
            if deliver is None:
                continue
            try:
                deliver(api, record)
            except NotFound:
                if _is_young(record.body["time"]):
                    left.append(record)
                else:
                    self._reject(1, f"404: trace {record.trace_id} has not come within a day: what was said of it")
            except Refused as error:
                self._reject(1, f"{error.status}: trace {record.trace_id}: {error.words}")
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                self._reject(1, f"broken: what was said of trace {record.trace_id} cannot be read: {error!r}")
        return left

    def _reject(self, count: int, why: str) -> None:
        self.rejected += count
        self._tell(why.partition(":")[0], f"{count} record(s) refused for good ({why})")

    def _tell(self, kind: str, what: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            guard.tell(f"mlflow: {what}. Said once for each kind; all are counted.")


def _is_young(nanoseconds: int) -> bool:
    return abs(time.time_ns() - nanoseconds) < PATIENCE_NS
