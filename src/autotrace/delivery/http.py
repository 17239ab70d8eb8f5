"""HTTP as a destination needs it: one request at a time, bounded in time, and two ways to fail.

`RetryLater`: nothing of what was sent is to blame. `Refused`: what was sent is. Neither holds a credential.
"""

from __future__ import annotations

import gzip
import os
import ssl
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Timeout, Url, make_headers, parse_url

from .._version import __version__
from .connections import pool_classes
from .destinations import RetryLater
from .replies import Reply, printable, without_secrets

#: Bytes of an answer that are kept.
BODY_LIMIT = 1024 * 1024


class Client:
    """Sends requests, one at a time, over connections that are kept.

    Nothing is opened before the first request. A forked process opens its own.

    Args:
        timeout_s: Seconds that sending may take, and as many that the answer may take, to its last byte.
        connect_timeout_s: Seconds that it may take to connect.
        headers: Sent with every request; their values are kept out of every error.
        ca_file: Certificates that servers are judged by; those of `environ` or of the system when None.
        cert_file: Our own certificate, with its key unless `key_file` names that.
        key_file: Our own key; it must need no password.
        environ: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, SSL_CERT_FILE; nothing else is read.
        verify: Whether a server's certificate is looked at.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        environ: Mapping[str, str] | None = None,
        verify: bool = True,
    ) -> None:
        self._headers = {"user-agent": f"autotrace/{__version__}", **(headers or {})}
        self._timeout_s = timeout_s
        self._timeout = Timeout(connect=connect_timeout_s, read=timeout_s)
        self._environ = environ or {}
        self._ca_file = ca_file or self._environ.get("REQUESTS_CA_BUNDLE") or self._environ.get("SSL_CERT_FILE")
        self._cert_file, self._key_file, self._verify = cert_file, key_file, verify
        #: Connections by proxy.
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._pid = 0

    def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        body_limit: int = BODY_LIMIT,
    ) -> Reply:
        """Sends one request and reads its answer, whatever its status.

        Args:
            method: `GET`, `POST`, ...
            url: With its query; a user and password in it become a header.
            body: What to send.
            headers: More headers; they count more than the client's.
            body_limit: Bytes of the answer that are kept.

        Raises:
            RetryLater: There is no whole answer.
        """
        target = _parsed(url)
        given = {**self._headers, **(headers or {})}
        if target.auth:
            given.update(make_headers(basic_auth=unquote(target.auth)))
        try:
            response, content = self._exchange(method, target, body, given, body_limit)
        except (HTTPError, OSError) as error:
            raise RetryLater(f"{_place(target)}: {_reason(error)}") from None
        except ValueError:  # its text would show the value
            raise RetryLater(f"{_place(target)}: a header, a method or the address cannot be sent as it is") from None
        if not 200 <= response.status < 300:
            content = without_secrets(content.decode("latin-1"), given).encode("latin-1")
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def _exchange(
        self, method: str, target: Url, body: bytes | None, headers: Mapping[str, str], limit: int
    ) -> tuple[urllib3.BaseHTTPResponse, bytes]:
        response = self._manager(target).request(
            method,
            target._replace(auth=None, fragment=None).url,
            body=body,
            headers=headers,
            timeout=self._timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return response, self._read(response, limit)
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Closes the connections; the next request opens new ones."""
        managers, self._managers = self._managers, {}
        for manager in managers.values():
            manager.clear()

    def _manager(self, target: Url) -> urllib3.PoolManager:
        if self._pid != os.getpid():  # an inherited connection is our parent's
            self.close()
            self._pid = os.getpid()
        proxy = _proxy(target, self._environ)
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers[proxy] = self._opened(proxy)
        return manager

    def _opened(self, proxy: str) -> urllib3.PoolManager:
        options: dict[str, Any] = {"ssl_context": self._tls(), "maxsize": 1}
        manager: urllib3.PoolManager
        if proxy:
            address = parse_url(proxy if "://" in proxy else f"http://{proxy}")
            if address.scheme not in ("http", "https"):
                raise RetryLater(f"proxies of the kind {address.scheme!r} cannot be used, only http and https")
            user = make_headers(proxy_basic_auth=unquote(address.auth)) if address.auth else None
            options["proxy_ssl_context"] = self._tls()
            manager = urllib3.ProxyManager(address._replace(auth=None).url, proxy_headers=user, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = pool_classes(self._timeout_s)
        return manager

    def _tls(self) -> ssl.SSLContext:
        file, folder = self._ca_file or None, None
        if file and Path(file).is_dir():
            file, folder = None, file
        try:
            context = ssl.create_default_context(cafile=file, capath=folder)
        except (OSError, ValueError) as error:
            raise RetryLater(f"the certificates in {self._ca_file} cannot be read ({type(error).__name__})") from None
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self._cert_file:
            try:
                # With no password OpenSSL would ask for one at the terminal.
                context.load_cert_chain(self._cert_file, self._key_file, password="")
            except (OSError, ValueError) as error:
                files = " or ".join(file for file in (self._cert_file, self._key_file) if file)
                reason = type(error).__name__
                raise RetryLater(f"the client certificate in {files} cannot be used ({reason})") from None
        return context

    def _read(self, response: urllib3.BaseHTTPResponse, limit: int) -> bytes:
        kept = bytearray()
        while len(kept) <= limit:
            piece = response.read(limit + 1 - len(kept))
            if not piece:
                response.release_conn()
                return bytes(kept)
            kept += piece
        response.close()  # the connection with it: the rest of the answer is on its way
        return bytes(kept[:limit])


def _parsed(url: str) -> Url:
    try:
        target = parse_url(url)
    except LocationValueError:
        target = Url()
    if target.scheme not in ("http", "https") or not target.host:
        raise RetryLater("the address is no http(s) address")
    return target


def _place(target: Url) -> str:
    return f"{target.scheme}://{target.host}" + (f":{target.port}" if target.port else "")


def _proxy(target: Url, environ: Mapping[str, str]) -> str:
    exceptions = environ.get("NO_PROXY", environ.get("no_proxy", ""))
    host = (target.host or "").strip("[]")
    if exceptions and urllib.request.proxy_bypass_environment(host, {"no": exceptions}):  # type: ignore[attr-defined]
        return ""
    names = [f"{target.scheme}_proxy", "all_proxy"]
    return next((environ[name] for given in names for name in (given, given.upper()) if environ.get(name)), "")


def _reason(error: BaseException) -> str:
    """What went wrong, in words that hold nothing of the request."""
    if isinstance(error, ProxyError):
        return f"the proxy: {_reason(error.original_error)}"
    if isinstance(error, NameResolutionError):
        return "the host's name is not known"
    if isinstance(error, NewConnectionError) and error.__cause__ is not None:
        return _reason(error.__cause__)
    if isinstance(error, ProtocolError) and len(error.args) > 1 and isinstance(error.args[1], Exception):
        return _reason(error.args[1])
    if isinstance(error, ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return "no answer in time"
    if isinstance(error, (SSLError, ssl.SSLError)):
        return f"TLS: {_tls_reason(error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"no whole answer ({type(error).__name__})"


def _tls_reason(error: BaseException) -> str:
    inner = error.args[0] if isinstance(error, SSLError) and error.args else error
    words = getattr(inner, "verify_message", None) or getattr(inner, "reason", None) or type(inner).__name__
    return printable(str(words))


def gzipped(body: bytes) -> bytes:
    """The body for `Content-Encoding: gzip`; the fastest level, which makes text a fifth of what it was."""
    return gzip.compress(body, compresslevel=1, mtime=0)
