"""LlamaIndex: a query engine over a few documents in memory, with OpenAI's chat and embedding models."""

from __future__ import annotations

import memory
import workload
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI


class Calls:
    """A question to an index, over a transport in memory."""

    def __init__(self) -> None:
        model = OpenAI(
            model=workload.MODEL,
            temperature=0.2,
            api_key=workload.API_KEY,
            api_base=workload.URL,
            http_client=memory.chat_client(),
        )
        embedding = OpenAIEmbedding(
            model=workload.EMBEDDING_MODEL,
            api_key=workload.API_KEY,
            api_base=workload.URL,
            http_client=memory.embedding_client(),
        )
        # Their vectors are given, so that the only embedding that a tracer sees is that of the question.
        nodes = [TextNode(text=text, embedding=workload.VECTOR) for text in workload.DOCUMENTS]
        self._engine = VectorStoreIndex(nodes, embed_model=embedding).as_query_engine(llm=model)

    def query(self) -> None:
        """One question: its embedding, the retrieval of two documents, one chat call."""
        if workload.ANSWER_MARK not in str(self._engine.query(workload.QUESTION)):
            raise RuntimeError("the answer was not passed on")
