"""Workflows of the program's own. Their annotations are looked up, so they are no texts here."""

import asyncio
from typing import Any

from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

import autotrace


class Draft(Event):
    """What one step hands to the next."""

    text: str


class Flow(Workflow):
    """One step awaits, the other does not."""

    llm: Any = None

    @step
    async def write(self, ev: StartEvent) -> Draft:
        """Asks a model."""
        return Draft(text=(await self.llm.acomplete(ev.topic)).text)

    @step
    def check(self, ev: Draft) -> StopEvent:
        """Asks it again, in a thread."""
        with autotrace.span("checking"):
            return StopEvent(result=self.llm.complete(ev.text).text)


class Outer(Workflow):
    """A workflow that runs another one."""

    llm: Any = None

    @step
    async def delegate(self, ev: StartEvent) -> StopEvent:
        """Runs the other."""
        inner = Flow()
        inner.llm = self.llm
        return StopEvent(result=await inner.run(topic=ev.topic))


class Failing(Workflow):
    """A workflow whose step fails."""

    @step
    async def fail(self, ev: StartEvent) -> StopEvent:
        """Raises."""
        raise LookupError(ev.topic)


class Waiting(Workflow):
    """A workflow whose step waits, for ever so long."""

    reached: Any = None

    @step
    async def wait(self, ev: StartEvent) -> StopEvent:
        """Waits."""
        self.reached.set()
        await asyncio.sleep(60)
        return StopEvent(result="late")
