"""What the variables of other projects say: MLflow's, Databricks', OpenTelemetry's, and those of every HTTP client.

A deployment that sets them for those tools needs nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES = ("MLFLOW_", "DATABRICKS_", "OTEL_", "ENABLE_MLFLOW_TRACING")
_HTTP = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"})
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def taken(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that count here, without the empty ones; proxies by their names in capitals."""
    found = {name: text for name, text in environ.items() if name.startswith(_PREFIXES) and text.strip()}
    for name, text in environ.items():
        # In small letters they count more, as with every other client (and CGI cannot set those).
        if name.upper() in _HTTP and text.strip() and (name.islower() or name not in found):
            found[name.upper()] = text
    return found


def destinations(standard: Mapping[str, str]) -> tuple[str, ...]:
    """Where spans go by these variables; none where they name no place.

    MLflow's is a server's address or Databricks (a folder or a database file is no server), OpenTelemetry's an
    endpoint. `ENABLE_MLFLOW_TRACING` (Databricks Model Serving) switches the former on and off,
    `OTEL_TRACES_EXPORTER` the latter.
    """
    found = []
    if _names_mlflow(standard):
        found.append("mlflow")
    exporters = [name.strip() for name in standard.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    has_endpoint = any(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT" in standard for kind in ("", "TRACES_"))
    if "otlp" in exporters or (has_endpoint and not exporters):
        found.append("otlp")
    return tuple(found)


def _names_mlflow(standard: Mapping[str, str]) -> bool:
    switch = standard.get("ENABLE_MLFLOW_TRACING", "").strip().lower()
    if switch in _FALSE:
        return False
    address = standard.get("MLFLOW_TRACKING_URI", "").strip()
    if address.lower().startswith(("http://", "https://")) or address.partition(":")[0] == "databricks":
        return True
    return switch in _TRUE and not address and "DATABRICKS_HOST" in standard
