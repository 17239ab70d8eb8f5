"""LangChain: a prompt, a chat model of OpenAI's and a parser, as one chain."""

from __future__ import annotations

import memory
import workload
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI


class Calls:
    """A chain called whole and as a stream, over a transport in memory."""

    def __init__(self) -> None:
        prompt = ChatPromptTemplate.from_messages(
            [("system", workload.SYSTEM), ("human", f"{workload.PROMPT_MARK} {{passages}} {{question}}")]
        )
        model = ChatOpenAI(
            model=workload.MODEL,
            temperature=0.2,
            api_key=workload.API_KEY,
            base_url=workload.URL,
            http_client=memory.chat_client(),
            # Its default, but not where a client is given.
            stream_usage=True,
        )
        self._chain = prompt | model | StrOutputParser()
        self._input = {"passages": workload.PASSAGES, "question": workload.ASKED}

    def chain(self) -> None:
        """One call of the chain."""
        if workload.ANSWER_MARK not in self._chain.invoke(self._input):
            raise RuntimeError("the answer was not passed on")

    def chain_stream(self) -> None:
        """One streamed call of the chain, consumed to the end."""
        if workload.ANSWER_MARK not in "".join(self._chain.stream(self._input)):
            raise RuntimeError("the stream was not passed on whole")
