"""The one barrier against our own errors: log once, count, or raise when strict.

Whatever goes wrong inside autotrace or a plugin ends here. The traced program goes on, the span keeps what is
known, and `autotrace doctor` tells what failed and how often.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("autotrace")


def _named(record: logging.LogRecord) -> bool:
    """Says who speaks, where the program has not set up logging: Python then prints the bare message."""
    if not logger.hasHandlers():
        record.msg = f"autotrace: {record.msg}"
    return True


logger.addFilter(_named)


class Failure:
    """What failed at one place.

    Attributes:
        where: The place, e.g. `openai: response mapper`.
        count: How often.
        last: Type and code position of the last error. Never its message: that may hold a user's text.
    """

    # No dataclass: `import autotrace.auto` would import `inspect` for it.
    __slots__ = ("count", "last", "where")

    def __init__(self, where: str, count: int, last: str) -> None:
        self.where = where
        self.count = count
        self.last = last


class Guard:
    """Counts failures by place. `strict` makes every one raise (tests of plugins)."""

    def __init__(self) -> None:
        self.strict = False
        self.failures: dict[str, Failure] = {}
        self._told: dict[str, None] = {}

    def tell(self, problem: object) -> None:
        """Logs what the user should know and can mend, such as a setting that cannot be used: once."""
        text = str(problem)
        if text not in self._told:
            self._told[text] = None
            logger.warning("%s", text)

    @property
    def told(self) -> list[str]:
        """What has been told, in order."""
        return list(self._told)

    def report(self, where: str, error: BaseException) -> None:
        """Counts an error of ours, and logs the first of its place.

        Raises:
            BaseException: `error` itself when strict, or when it is no `Exception` (KeyboardInterrupt passes).
        """
        if self.strict or not isinstance(error, Exception):
            raise error
        failure = self.failures.get(where)
        last = f"{type(error).__name__} at {position(error)}"
        if failure is None:
            self.failures[where] = Failure(where, 1, last)
            logger.warning(
                "%s failed (%s); the traced program is not affected. Said once; `autotrace doctor` counts.",
                where,
                last,
            )
        else:
            failure.count += 1
            failure.last = last

    def count(self, where: str, error: Exception) -> None:
        """Counts an error, and logs the first of its place, also when strict: what failed is told elsewhere as well."""
        strict, self.strict = self.strict, False
        try:
            self.report(where, error)
        finally:
            self.strict = strict

    @contextmanager
    def __call__(self, where: str) -> Iterator[None]:
        """`with guard("openai: patching"):` lets nothing out but what is no `Exception`."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001 (report raises what is no Exception)
            self.report(where, error)

    def reset(self) -> None:
        """Forgets everything (for tests)."""
        self.strict = False
        self.failures.clear()
        self._told.clear()


def position(error: BaseException) -> str:
    """File and line where `error` was raised, e.g. `mappers.py:42`."""
    trace = error.__traceback__
    if trace is None:
        return "an unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


guard = Guard()
