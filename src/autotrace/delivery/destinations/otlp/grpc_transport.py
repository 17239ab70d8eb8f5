"""OTLP over gRPC, with the extra `otlp-grpc`."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.replies import RETRY_AFTER_LIMIT_S, Refused, printable, without_secrets

from .rpc_status import RpcStatus, status_of
from .settings import Settings
from .transport import Answer, answer_of

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_REFUSALS = frozenset({"INVALID_ARGUMENT"})
_BUSY = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE"})
_ADVICE = {
    "UNAUTHENTICATED": "check OTEL_EXPORTER_OTLP_HEADERS",
    "PERMISSION_DENIED": "check OTEL_EXPORTER_OTLP_HEADERS",
    "UNIMPLEMENTED": "check OTEL_EXPORTER_OTLP_ENDPOINT",
    "NOT_FOUND": "check OTEL_EXPORTER_OTLP_ENDPOINT",
}
_DETAILS = "grpc-status-details-bin"


class GrpcTransport:
    """One channel, opened in the process that sends.

    Raises:
        RetryLater: grpcio is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._grpc: Any = import_module("grpc")
        except ImportError:
            raise RetryLater(
                "OTLP over gRPC needs grpcio: pip install 'autotrace-ai[otlp-grpc]', "
                "or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and an address that ends in :4318"
            ) from None
        self._settings = settings
        self._target = settings.url.partition("://")[2].partition("/")[0] if "://" in settings.url else settings.url
        self._metadata = tuple(settings.headers.items())
        self._channel: Any = None
        self._export: Any = None
        self._pid = 0

    def send(self, request: ExportTraceServiceRequest) -> Answer:
        """Sends one request."""
        if self._pid != os.getpid():  # an inherited channel is not touched: its threads are our parent's
            self._open()
        try:
            response: ExportTraceServiceResponse = self._export(
                request, timeout=self._settings.timeout_s, metadata=self._metadata
            )
        except self._grpc.RpcError as error:
            self._raise(error)
        except ValueError:  # its text would show the value
            raise RetryLater("a header cannot be sent as it is: check OTEL_EXPORTER_OTLP_HEADERS") from None
        return answer_of(response)

    def close(self) -> None:
        """Closes the channel."""
        channel, self._channel = self._channel, None
        if channel is not None and self._pid == os.getpid():
            channel.close()
        self._pid = 0

    def _open(self) -> None:
        grpc, settings = self._grpc, self._settings
        compression = grpc.Compression.Gzip if settings.compresses else grpc.Compression.NoCompression
        if settings.is_insecure:
            self._channel = grpc.insecure_channel(self._target, compression=compression)
        else:
            credentials = grpc.ssl_channel_credentials(
                root_certificates=_read(settings.certificate or settings.standard.get("SSL_CERT_FILE")),
                private_key=_read(settings.client_key),
                certificate_chain=_read(settings.client_certificate),
            )
            self._channel = grpc.secure_channel(self._target, credentials, compression=compression)
        self._export = self._channel.unary_unary(
            _METHOD,
            request_serializer=ExportTraceServiceRequest.SerializeToString,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        self._pid = os.getpid()

    def _raise(self, error: Any) -> None:
        code, details = error.code().name, _status(error)
        words = printable(without_secrets(error.details() or details.message, self._settings.headers))
        if code in _REFUSALS or (code == "RESOURCE_EXHAUSTED" and _is_too_large(words)):
            raise Refused(code, words) from None
        seconds = details.retry_after
        parts = [f"the server answers {code}", _ADVICE.get(code, ""), words]
        raise RetryLater(
            ": ".join(part for part in parts if part), None if seconds is None else min(seconds, RETRY_AFTER_LIMIT_S)
        ) from None


def _status(error: Any) -> RpcStatus:
    for name, value in error.trailing_metadata() or ():
        if name == _DETAILS and isinstance(value, bytes):
            return status_of(value)
    return RpcStatus("", None)


def _is_too_large(words: str) -> bool:
    """Whether what is exhausted is a request's size: a limit of the server's rate says nothing of that."""
    return "larger than" in words or "too large" in words


def _read(file: str | None) -> bytes | None:
    if not file:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise RetryLater(f"{file} cannot be read ({type(error).__name__})") from None
