"""What `autotrace doctor` finds: a problem, or a note, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["problem", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that the user should know.

    Attributes:
        level: A problem makes the command's exit status 1; a note does not.
        about: What it concerns, e.g. `plugin autotrace-openai`.
        problem: What is the matter.
        what_to_do: What to do about it.
    """

    level: Level
    about: str
    problem: str
    what_to_do: str
