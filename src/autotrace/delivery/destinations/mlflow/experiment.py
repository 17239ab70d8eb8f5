"""The experiment that traces go to: found, or made, as MLflow's own client would."""

from __future__ import annotations

from typing import Any

from autotrace.delivery.destinations import RetryLater
from autotrace.delivery.replies import Refused

from .api import Api, NotFound
from .settings import Settings

#: The experiment that MLflow's server has from the start.
DEFAULT_ID = "0"
#: What makes MLflow show an experiment as one of traces, from the first moment.
_KIND = {"key": "mlflow.experimentKind", "value": "genai_development"}


class Experiment:
    """Which experiment it is: asked once, and again when the server says that it is gone.

    Args:
        settings: Its name or its id.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._id: str | None = None

    def id(self, api: Api) -> str:
        """Its id.

        Raises:
            RetryLater: There is none, or none that traces can go to; the reason says what to do.
        """
        if self._id is None:
            self._id = self._found(api)
        return self._id

    def forget(self) -> None:
        """It has to be looked up anew."""
        self._id = None

    def _found(self, api: Api) -> str:
        given = self._settings
        try:
            if given.experiment:
                return self._named(api, given.experiment)
            if given.experiment_id is None and given.is_databricks:
                raise RetryLater(
                    "Databricks has no default experiment: set MLFLOW_EXPERIMENT_NAME or MLFLOW_EXPERIMENT_ID"
                )
            return self._numbered(api, given.experiment_id or DEFAULT_ID)
        except Refused as error:
            which = given.experiment or given.experiment_id
            raise RetryLater(f"the experiment {which!r} cannot be used: {error.words}") from None

    def _numbered(self, api: Api, number: str) -> str:
        try:
            found = api.call("GET", "experiments/get", query={"experiment_id": number}, version="2.0")
        except NotFound:
            raise RetryLater(f"there is no experiment with the id {number!r}: check MLFLOW_EXPERIMENT_ID") from None
        return _active(found, number)

    def _named(self, api: Api, name: str) -> str:
        try:
            found = self._get(api, name)
        except NotFound:
            try:
                made = api.call("POST", "experiments/create", {"name": name, "tags": [_KIND]}, version="2.0")
                return str(made["experiment_id"])
            except Refused as refused:
                # Another process was faster, or the name is not to be had.
                try:
                    found = self._get(api, name)
                except NotFound:
                    raise refused from None
        number = _active(found, name)
        wanted = self._settings.experiment_id
        if wanted is not None and wanted != number:
            raise RetryLater(f"the experiment {name!r} has the id {number}, but MLFLOW_EXPERIMENT_ID says {wanted!r}")
        return number

    def _get(self, api: Api, name: str) -> dict[str, Any]:
        return api.call("GET", "experiments/get-by-name", query={"experiment_name": name}, version="2.0")


def _active(found: dict[str, Any], which: str) -> str:
    experiment = found.get("experiment")
    if not isinstance(experiment, dict) or "experiment_id" not in experiment:
        raise RetryLater("the server answers with something else than an experiment: check MLFLOW_TRACKING_URI")
    number = str(experiment["experiment_id"])
    if experiment.get("lifecycle_stage") == "deleted":
        raise RetryLater(
            f"the experiment {which!r} has been deleted: restore it"
            f" (mlflow experiments restore --experiment-id {number}), or set another MLFLOW_EXPERIMENT_NAME"
        )
    return number
