"""Questions in groups that mean the same, by vectors of a model that the user configures; any OpenAI-compatible API."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import orjson

from autotrace.config import Config

#: From this cosine on two questions are of one group.
_ALIKE = 0.78
_MOST_GROUPS = 1500
#: Characters of a question that are sent; questions that are sent at once.
_LONGEST, BATCH = 500, 32
_TIMEOUT_S = 20.0


class MeaningError(Exception):
    """The model cannot be asked; the text says why."""


class Meaning:
    """A model that makes vectors of texts.

    Args:
        url: The API's base, such as `http://127.0.0.1:8000/v1`.
        model: Its name there.
        key: What it is asked with; sent to nobody but by HTTPS.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        self.name = f"meaning {url} {model}"
        self._url, self._model = f"{url.rstrip('/')}/embeddings", model
        self._key = key if url.lower().startswith("https://") else None

    def vectors(self, texts: Sequence[str]) -> list[array[float]]:
        """The vectors of texts, each of length 1.

        Raises:
            MeaningError: They cannot be had.
        """
        import urllib3

        if not self._url.lower().startswith(("http://", "https://")):
            raise MeaningError(f"{self._url} is no address of an API: set AUTOTRACE_EMBEDDING_URL to http://host/v1")
        headers = {"content-type": "application/json"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        body = orjson.dumps({"model": self._model, "input": [text[:_LONGEST] for text in texts]})
        try:
            reply = urllib3.request(
                "POST", self._url, body=body, headers=headers, timeout=_TIMEOUT_S, retries=False, redirect=False
            )
            if reply.status != 200:
                raise MeaningError(f"{self._url} answered with status {reply.status}")
            found = [_unit(item["embedding"]) for item in sorted(reply.json()["data"], key=lambda item: item["index"])]
        except (urllib3.exceptions.HTTPError, ValueError, LookupError, TypeError) as error:
            raise MeaningError(f"{self._url} cannot be used: {type(error).__name__}") from error
        if len(found) != len(texts) or len({len(vector) for vector in found}) > 1:
            raise MeaningError(f"{self._url} answered with {len(found)} vectors to {len(texts)} texts")
        return found


class MeantGroups:
    """The groups, by the vectors of the questions that lead them.

    Args:
        leaders: What there is already: id and vector.
    """

    def __init__(self, leaders: Iterable[tuple[int, bytes]] = ()) -> None:
        self._leaders: dict[int, array[float]] = {number: array("f", vector) for number, vector in leaders}

    def group(self, vector: array[float]) -> tuple[int, bool]:
        """The group of a question, and whether it has begun with it; 0 where it is like none of very many."""
        best, likeness = 0, 0.0
        for number, leader in self._leaders.items():
            found = sum(map(float.__mul__, leader, vector)) if len(leader) == len(vector) else 0.0
            if found > likeness:
                best, likeness = number, found
        if likeness >= _ALIKE or len(self._leaders) >= _MOST_GROUPS:
            return (best if likeness >= _ALIKE else 0), False
        number = max(self._leaders, default=0) + 1
        self._leaders[number] = vector
        return number, True


def configured(config: Config) -> Meaning | None:
    """The model that the settings name; None: they name none."""
    if not config.embedding_url or not config.embedding_model:
        return None
    return Meaning(config.embedding_url, config.embedding_model, config.variables.get("OPENAI_API_KEY") or None)


def _unit(values: Sequence[float]) -> array[float]:
    length = math.sqrt(sum(value * value for value in values))
    if not length or not math.isfinite(length):
        raise ValueError("a vector has no direction")
    return array("f", (value / length for value in values))
