"""The laws of a harmless plugin, as tests that a plugin's author inherits."""

from __future__ import annotations

import difflib
from typing import Any

from .applications import ApplicationContract
from .contents import Contents
from .contexts import Contexts
from .patches import Patches
from .results import Results
from .streams import Streams

__all__ = ["ApplicationContract", "InstrumentationContract"]


class InstrumentationContract(Results, Streams, Contexts, Contents, Patches):
    """The laws of a harmless plugin. Subclass it, say how a call is made in each form, and inherit every law.

    A law about a form that the framework does not have is skipped, and says which method would have to be defined.

    Example:
        >>> from autotrace import Usage
        >>> class TestParrot(InstrumentationContract):
        ...     plugin = "autotrace_parrot"
        ...     framework = "parrot"
        ...     usage = Usage(1, 1)
        ...
        ...     def call(self, prompt):
        ...         return parrot.Client().complete(prompt)

    Attributes:
        plugin: The plugin's own module.
        framework: The module that it traces: the name of its entry point.
        usage: Tokens that the provider bills for the one call that `call` or `acall` makes; None where it tells none.
        stream_usage: The same for `stream` and `astream`; `usage` unless said.
        answer: A text that is in the answer whatever the prompt; None: the answer repeats the prompt, in any case.
        prompt: What is asked, unless a law asks something else; looked for wherever it must not be.
        operation: `gen_ai.operation.name` of the spans.
        spans_per_call: How many spans one call leaves.
        told: Whether prompt and answer are on the span: not so for what is no conversation, such as embeddings.
        closes_late: Whether the framework leaves it to the event loop to close what lies beneath an async stream.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuses what is most likely misspelt: a law would be skipped in silence.

        Raises:
            TypeError: The class defines a name that is nearly one of the contract's.
        """
        super().__init_subclass__(**kwargs)
        known = [name for name in dir(InstrumentationContract) if not name.startswith("_")]
        for name in set(vars(cls)) - set(known):
            close = [] if name.startswith(("_", "test")) else difflib.get_close_matches(name, known, 1, 0.8)
            if close:
                raise TypeError(f"{cls.__name__}.{name}: the contract knows no such name; is {close[0]!r} meant?")
