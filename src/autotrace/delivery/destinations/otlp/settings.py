"""The settings of the OTLP destination: our own, and OpenTelemetry's variables.

Of one thing our own setting counts most, then the variable for traces, then the one for all signals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from autotrace.errors import ConfigError

from .dialects import DIALECTS, Dialect

#: Seconds: the default, and the most that one request may take.
TIMEOUT_S, TIMEOUT_LIMIT_S = 10.0, 30.0
#: From here on a timeout can only be meant in milliseconds, as OpenTelemetry has it outside of Python.
_MILLISECONDS = 1000
GRPC_PORT = 4317
_PATH = "/v1/traces"
PROTOCOLS = ("http/protobuf", "http/json", "grpc")
_TRUE, _FALSE = ("true", "1"), ("false", "0")


class Given(Protocol):
    """A setting as it was found: `autotrace.config.Setting`."""

    @property
    def value(self) -> Any:
        """What it says."""
        ...

    @property
    def source(self) -> str:
        """Where it was found."""
        ...


@dataclass(frozen=True)
class Settings:
    """Where spans go and how.

    Attributes:
        url: Of the request with `http/*`; the address of the server with `grpc`.
        headers: Sent along, by names in small letters; hidden in every text of this object.
        protocol: One of PROTOCOLS.
        compresses: Whether requests are gzipped.
        timeout_s: Seconds that one request may take.
        certificate: File of the certificates that the server is judged by; the system's when None.
        client_certificate: File of our own certificate.
        client_key: File of its key.
        is_insecure: Whether `grpc` goes without TLS.
        dialect: What becomes of the attributes.
        max_rate: Spans a second that the server is sent at most; None: as many as there are.
        standard: Proxies and certificates of every HTTP client.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    protocol: str = "http/protobuf"
    compresses: bool = True
    timeout_s: float = TIMEOUT_S
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    is_insecure: bool = True
    dialect: Dialect = DIALECTS["genai"]
    max_rate: float | None = None
    standard: Mapping[str, str] = field(default_factory=dict, repr=False)


#: What may be set: `[tool.autotrace.otlp] NAME`, and but for the last two `OTEL_EXPORTER_OTLP_[TRACES_]NAME`.
NAMES = (
    "endpoint",
    "headers",
    "protocol",
    "compression",
    "timeout",
    "certificate",
    "client_certificate",
    "client_key",
    "insecure",
    "dialect",
    "max_rate",
)
_OUR_OWN = NAMES[-2:]


def read(
    own: Mapping[str, Given],
    standard: Mapping[str, str],
    written: Callable[[str, str], str] = lambda key, source: key,
) -> tuple[Settings, list[ConfigError]]:
    """The settings, and what could not be used among those that were given.

    Args:
        own: Those of `[tool.autotrace.otlp]`, `AUTOTRACE_OTLP_*`, `autolog("otlp", ...)`.
        standard: Variables of other projects, by their names.
        written: How the user wrote a setting (`otlp.dialect`) in its source.
    """
    found = _Found(own, standard, written)
    endpoint = found.get("endpoint", _address)
    protocol = found.get("protocol", _choice(PROTOCOLS)) or _guessed_protocol(endpoint)
    dialect = DIALECTS[found.get("dialect", _choice(tuple(DIALECTS))) or "genai"]
    rate = found.get("max_rate", _rate)
    settings = Settings(
        url=_url(endpoint, found.is_whole("endpoint"), protocol),
        headers={**dialect.headers, **(found.get("headers", _headers) or {})},
        protocol=protocol,
        compresses=found.get("compression", _choice(("gzip", "none"))) != "none",
        timeout_s=found.get("timeout", _timeout) or TIMEOUT_S,
        certificate=found.get("certificate", _text),
        client_certificate=found.get("client_certificate", _text),
        client_key=found.get("client_key", _text),
        is_insecure=_is_insecure(endpoint, found.get("insecure", _flag)),
        dialect=dialect,
        max_rate=dialect.max_rate if rate is None else rate or None,
        standard=standard,
    )
    return settings, [*found.problems, *found.unknown()]


class _Found:
    """What is given of each setting, and where."""

    def __init__(
        self, own: Mapping[str, Given], standard: Mapping[str, str], written: Callable[[str, str], str]
    ) -> None:
        self._own, self._standard, self._written = own, standard, written
        self._source: dict[str, str] = {}
        self.problems: list[ConfigError] = []

    def get(self, name: str, read: Callable[[Any], Any]) -> Any:
        """The strongest value that can be used; None where there is none."""
        for shown, source, value in self._given(name):
            try:
                result = read(value)
            except ValueError as error:
                self.problems.append(ConfigError(shown, source, str(error)))
            else:
                self._source[name] = shown
                return result
        return None

    def is_whole(self, name: str) -> bool:
        """Whether a setting comes from the variable for traces alone."""
        return self._source.get(name, "").startswith("OTEL_EXPORTER_OTLP_TRACES_")

    def _given(self, name: str) -> list[tuple[str, str, Any]]:
        found: list[tuple[str, str, Any]] = []
        if name in self._own:
            given = self._own[name]
            found.append((self._written(f"otlp.{name}", given.source), given.source, given.value))
        if name in _OUR_OWN:
            return found
        for variable in (f"OTEL_EXPORTER_OTLP_TRACES_{name.upper()}", f"OTEL_EXPORTER_OTLP_{name.upper()}"):
            if self._standard.get(variable, "").strip():
                found.append((variable, "environment", self._standard[variable].strip()))
        return found

    def unknown(self) -> list[ConfigError]:
        why = f"no such setting; there are {', '.join(NAMES)}"
        return [
            ConfigError(self._written(f"otlp.{name}", given.source), given.source, why)
            for name, given in self._own.items()
            if name not in NAMES
        ]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value.strip()


def _address(value: Any) -> str:
    text = _text(value)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        is_good = parts.scheme in ("http", "https", "grpc", "grpcs") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        is_good = False
    if not is_good:  # without the text: it may hold a password
        raise ValueError("must be an address such as http://localhost:4318")
    return text


def _choice(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = _text(value).lower()
        if text not in choices:
            raise ValueError(f"{text[:40]!r} is none of {', '.join(choices)}")
        return text

    return read


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError("must be true or false")
    return text in _TRUE


def _number(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if isinstance(value, bool) or not 0 <= found < float("inf"):
        raise ValueError("must be a number, and not below 0")
    return found


def _timeout(value: Any) -> float:
    seconds = _number(value)
    if seconds >= _MILLISECONDS:
        seconds /= 1000
    return min(seconds, TIMEOUT_LIMIT_S)


def _rate(value: Any) -> float:
    return _number(value)


def _headers(value: Any) -> dict[str, str]:
    """`name=value,name=value` as the variable has it, percent-encoded; or a table."""
    if isinstance(value, Mapping):
        pairs = [(str(name), str(text)) for name, text in value.items()]
    else:
        pieces = [piece for piece in _text(value).split(",") if piece.strip()]
        if any("=" not in piece for piece in pieces):
            raise ValueError("must be name=value, more of them after commas")
        pairs = [(unquote(name), unquote(text)) for name, _, text in (piece.partition("=") for piece in pieces)]
    found = {name.strip().lower(): text.strip() for name, text in pairs}
    for name, text in found.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or not (text.isascii() and text.isprintable()):
            raise ValueError("a name or a value cannot stand in a header")
    return found


def _guessed_protocol(endpoint: str | None) -> str:
    """gRPC where the address has its port (OpenTelemetry's own default in Python), and HTTP everywhere else."""
    parts = urlsplit(endpoint if endpoint and "://" in endpoint else f"http://{endpoint or ''}")
    return "grpc" if parts.port == GRPC_PORT or parts.scheme in ("grpc", "grpcs") else "http/protobuf"


def _url(endpoint: str | None, is_whole: bool, protocol: str) -> str:
    if protocol == "grpc":
        return endpoint or f"http://localhost:{GRPC_PORT}"
    address = endpoint or "http://localhost:4318"
    address = address if "://" in address else f"http://{address}"
    return address if is_whole else address.rstrip("/").removesuffix(_PATH) + _PATH


def _is_insecure(endpoint: str | None, insecure: bool | None) -> bool:
    scheme = (endpoint or "http://").partition("://")[0].lower() if "://" in (endpoint or "http://") else ""
    return {"http": True, "grpc": True, "https": False, "grpcs": False}.get(scheme, bool(insecure))
