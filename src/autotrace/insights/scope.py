"""Which traces a page or a command speaks of: a range of time, and what they must be like."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: What a scope can be narrowed to by itself, beside the filter: the names of its fields.
FACETS = ("environment", "service", "release", "model", "user", "session", "tag")


@dataclass(frozen=True, slots=True)
class Scope:
    """A selection of traces; what is not set does not matter.

    Attributes:
        start_ns: They began at this time (ns since 1970) or later.
        end_ns: They began before this time.
        environment: Of this environment; `service`, `release`, `user`, `session` likewise.
        model: They called this model.
        tag: They have this tag: `key=value`, or `key` for any value.
        filter: An expression of the filter language (filters.py); empty: all.
    """

    start_ns: int
    end_ns: int
    environment: str | None = None
    service: str | None = None
    release: str | None = None
    model: str | None = None
    user: str | None = None
    session: str | None = None
    tag: str | None = None
    filter: str = ""

    @property
    def length_ns(self) -> int:
        """How long the range is."""
        return self.end_ns - self.start_ns

    def before(self) -> Scope:
        """The same selection in the period before, of the same length."""
        return replace(self, start_ns=self.start_ns - self.length_ns, end_ns=self.start_ns)

    def between(self, start_ns: int, end_ns: int) -> Scope:
        """The same selection in another range."""
        return replace(self, start_ns=start_ns, end_ns=end_ns)
