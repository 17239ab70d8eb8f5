"""MLflow as a destination: a tracking server with a database, or Databricks; without the `mlflow` package."""

from __future__ import annotations

from autotrace.config import Config
from autotrace.recording.guard import guard

from .destination import MlflowDestination
from .settings import read

__all__ = ["MlflowDestination", "make"]


def make(config: Config) -> MlflowDestination:
    """The destination that the settings and MLflow's own variables describe; nothing is opened or imported yet.

    What cannot be used among them is told once.
    """
    settings, problems = read(config.framework("mlflow").settings, config.standard)
    for problem in problems:
        guard.tell(problem)
    return MlflowDestination(settings)
