"""An HTTP request that reaches the program as something else, such as the event of a gateway: its root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from ..recording import semconv
from ..recording.held import Description, Held
from ..recording.labels import Labels
from ..recording.messages import RequestValues, ResponseValues
from ..recording.recorder import Recorder
from .exchange import Exchange, Request
from .service import Service
from .work import HttpRequest, HttpResponse, Work


class Relayed(Exchange):
    """Such a request.

    Args:
        recorder: Records it.
        service: The settings that concern requests.
        work: What it is.
        request: The request.
        outer: The context in which it arrives.
        remote: The caller's span, where it names one.
        links: Spans that led to it, in traces of their own.
    """

    __slots__ = ("_work",)

    def __init__(
        self,
        recorder: Recorder,
        service: Service,
        work: Work,
        request: HttpRequest,
        outer: Context,
        remote: SpanContext | None,
        links: Sequence[SpanContext],
    ) -> None:
        arrived = Request(
            request.method,
            request.path,
            request.query,
            lambda: request.headers,
            lambda: request.route,
            lambda: work.server,
        )
        super().__init__(recorder, service, arrived, outer, remote)
        self._work = work
        self._links = links
        self.id = work.request_id
        self.asked(request.body)

    def replies(self, response: HttpResponse) -> None:
        """It has been answered."""
        self.begins(response.status, response.headers)
        self.answered(response.body)
        self.finish()

    def describe(self) -> Description:
        """What is asked, and what else is known of the work."""
        work, (values, labels) = self._work, super().describe()
        told = values["attributes"]
        self._request_id = self._request_id or work.request_id
        attributes = {**work.attributes, **told, semconv.REQUEST_ID: self._request_id}
        said = cast(RequestValues, {**values, "attributes": attributes})
        return Description(said, labels.over(Labels(work.session, work.user)))

    def conclude(self) -> ResponseValues:
        """What it was answered, or came to otherwise."""
        return cast(ResponseValues, {**super().conclude(), **Held.conclude(self)})
