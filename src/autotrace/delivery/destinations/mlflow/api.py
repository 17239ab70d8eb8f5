"""MLflow's REST API, as far as traces need it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from urllib3.util import make_headers

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.http import Client, gzipped
from autotrace.delivery.replies import Refused, Reply, raise_for, words

from .settings import DatabricksAccount, Settings, credentials_of_file, databricks_account

_ADDRESS = "MLFLOW_TRACKING_URI"
_CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
_DATABRICKS_CREDENTIALS = "DATABRICKS_HOST and DATABRICKS_TOKEN"
#: Bytes of an answer that is read whole: the spans of a trace.
_ANSWER_LIMIT = 64 * 1024 * 1024
#: Bytes from which compressing pays.
_GZIP_FROM = 1024
#: Seconds before its end that a token is renewed.
_RENEW_S = 60.0


class Failed(RetryLater):
    """The server has failed at what it was asked: status 500."""


class NotFound(Exception):
    """The server knows no such trace, experiment or assessment."""


class Api:
    """Sends requests to one server.

    Args:
        settings: Where it is.
        home: The user's home, where MLflow's and Databricks' own files lie.

    Raises:
        RetryLater: There is no server named, or nothing that would let us in.
    """

    def __init__(self, settings: Settings, home: Path | None = None) -> None:
        self.settings = settings
        self._account: DatabricksAccount | None = None
        self._expires = float("inf")
        self._client: Client | None = None
        self._compresses = True
        home = _home() if home is None else home
        if not settings.uri:
            raise RetryLater("no server is named: set MLFLOW_TRACKING_URI")
        self._headers: dict[str, str] = {}
        if settings.is_databricks:
            self._account = databricks_account(settings, home)
            if self._account is None:
                raise RetryLater("Databricks: set DATABRICKS_HOST and DATABRICKS_TOKEN, or name a profile")
            self.base = self._account.host
        else:
            self.base = settings.uri
            self._headers = self._identity(home)
        if settings.workspace:
            self._headers["x-mlflow-workspace"] = settings.workspace

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        version: str = "3.0",
    ) -> dict[str, Any]:
        """One request to `/api/<version>/mlflow/<path>`, and its answer.

        Raises:
            NotFound: It names something that is not there.
            Refused: What was sent is to blame.
            RetryLater: Something else is.
        """
        url = f"{self.base}/api/{version}/mlflow/{path}" + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"content-type": "application/json"}
        reply = self._send(method, url, content, headers)
        self.check(reply)
        try:
            found = json.loads(reply.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RetryLater(f"the server answers with something else than MLflow's JSON: check {_ADDRESS}")
        return found

    def trace_info(self, trace_id: str) -> dict[str, Any]:
        """What the server knows of a trace beside its spans.

        Raises:
            NotFound: Nothing.
            RetryLater: See `call`.
        """
        found = self.call("GET", trace_path(trace_id)).get("trace")
        info = found.get("trace_info") if isinstance(found, dict) else None
        if not isinstance(info, dict):
            raise RetryLater(f"the server answers with something else than a trace: check {_ADDRESS}")
        return info

    def post_spans(self, content: bytes, experiment_id: str) -> Reply:
        """Sends an OTLP request; what the answer means is the caller's affair."""
        url = f"{self.base}/v1/traces"
        headers = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": experiment_id}
        # On the same machine it would cost more than it spares.
        if self._compresses and len(content) >= _GZIP_FROM and self.base.startswith("https:"):
            reply = self._send("POST", url, gzipped(content), {**headers, "content-encoding": "gzip"})
            if reply.status not in (400, 415):
                return reply
            # Older servers know no compression, and say only that this is no OTLP.
            self._compresses = False
        return self._send("POST", url, content, headers)

    def storage(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Reply:
        """One request to a signed address, which is a secret itself: without any credentials of ours."""
        client = self._opened({})
        try:
            return client.send(method, url, content, headers, _ANSWER_LIMIT)
        finally:
            client.close()

    def check(self, reply: Reply) -> None:
        """Returns where the answer is a good one.

        Raises:
            NotFound: See `call`.
            Refused: See `call`.
            RetryLater: See `call`.
        """
        if reply.status == 404 and error_code(reply) == "RESOURCE_DOES_NOT_EXIST":
            raise NotFound(words(reply))
        try:
            raise_for(reply, address=_ADDRESS, credentials=self._credentials)
        except RetryLater as error:
            if reply.status == 500:
                raise Failed(str(error), error.seconds) from None
            raise

    def close(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _credentials(self) -> str:
        return _CREDENTIALS if self._account is None else _DATABRICKS_CREDENTIALS

    def _send(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Reply:
        if self._client is None or time.monotonic() >= self._expires:
            self.close()
            if self._account is not None:
                self._headers["authorization"] = f"Bearer {self._token(self._account)}"
            self._client = self._opened(self._headers)
        return self._client.send(method, url, content, headers, _ANSWER_LIMIT)

    def _opened(self, headers: Mapping[str, str]) -> Client:
        given = self.settings
        return Client(
            timeout_s=given.timeout_s,
            headers=headers,
            ca_file=given.ca_file,
            cert_file=given.cert_file,
            verify=given.verify,
            environ=given.standard,
        )

    def _identity(self, home: Path) -> dict[str, str]:
        given = self.settings
        username, password = given.username, given.password
        if not (username and password):
            of_file = credentials_of_file(home)
            username, password = username or of_file[0], password or of_file[1]
        if username and password:
            return {"authorization": make_headers(basic_auth=f"{username}:{password}")["authorization"]}
        return {"authorization": f"Bearer {given.token}"} if given.token else {}

    def _token(self, account: DatabricksAccount) -> str:
        """A token for Databricks: the given one, or one for the service principal that is given."""
        if account.token:
            return account.token
        if not (account.client_id and account.client_secret):
            raise RetryLater(f"Databricks: no token: check {_DATABRICKS_CREDENTIALS}")
        client = self._opened(make_headers(basic_auth=f"{account.client_id}:{account.client_secret}"))
        try:
            reply = client.send(
                "POST",
                f"{account.host}/oidc/v1/token",
                b"grant_type=client_credentials&scope=all-apis",
                {"content-type": "application/x-www-form-urlencoded"},
            )
        finally:
            client.close()
        try:
            raise_for(reply, address="DATABRICKS_HOST", credentials="DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET")
            found = json.loads(reply.body)
            token, seconds = str(found["access_token"]), float(found.get("expires_in", 3600))
        except (Refused, ValueError, KeyError, TypeError) as error:
            raise RetryLater(f"Databricks gives no token ({type(error).__name__})") from None
        self._expires = time.monotonic() + max(seconds - _RENEW_S, 1.0)
        return token


def _home() -> Path:
    try:
        return Path("~").expanduser()
    except RuntimeError:  # a user without one
        return Path()


def error_code(reply: Reply) -> str:
    """MLflow's word for what went wrong; empty where the answer is none of MLflow's."""
    try:
        return str(json.loads(reply.body)["error_code"])
    except (ValueError, KeyError, TypeError):
        return ""


def trace_path(trace_id: str, *more: str) -> str:
    """The path of a trace, or of something in it."""
    return "/".join(["traces", mlflow_id(trace_id), *(quote(part, safe="") for part in more)])


def mlflow_id(trace_id: str) -> str:
    """What MLflow calls a trace.

    Args:
        trace_id: 32 hexadecimal digits.
    """
    return f"tr-{trace_id}"
