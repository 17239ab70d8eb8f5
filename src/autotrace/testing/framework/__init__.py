"""A framework that talks to no model: every shape that a call can have, and nothing else.

Not imported from here: `autotrace.testing.fake_framework` copies it to where it can be imported under any name.
"""

from .client import AsyncStream, Client, Loud, Reply, Stream, complete
from .events import Bus, Pipeline

__all__ = ["AsyncStream", "Bus", "Client", "Loud", "Pipeline", "Reply", "Stream", "complete"]
