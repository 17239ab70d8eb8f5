"""An ordinary LlamaIndex program: it reads a handbook, finds what bears on a question, and streams an answer from it.

    export OPENAI_BASE_URL=... OPENAI_API_KEY=... OPENAI_MODEL=... OPENAI_EMBEDDING_MODEL=...
    python examples/llama_index_rag.py

The first import is all there is of autotrace in it.
"""

import autotrace.auto  # noqa: F401, I001  switches tracing on, for every call below
import os
from pathlib import Path
from typing import Any

from llama_index.core import PromptTemplate, SimpleDirectoryReader, VectorStoreIndex
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike

BASE_URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
MODEL = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
EMBEDDING_MODEL = os.environ.get("OPENAI_EMBEDDING_MODEL", "text-embedding-3-small")

HANDBOOK = Path(__file__).parent / "handbook"
QUESTION = "How many days of holiday do I have a year?"

# Shorter than LlamaIndex's own, which a small model takes longer to read than the handbook.
PROMPT = PromptTemplate("Facts: {context_str}\n\n{query_str}")

model = OpenAILike(  # like the embedding, it reads OPENAI_API_KEY
    model=MODEL,
    api_base=BASE_URL,
    is_chat_model=True,
    context_window=4096,
    system_prompt="Answer in one short sentence.",
    temperature=0,
    max_tokens=60,
)
embedding = OpenAIEmbedding(model_name=EMBEDDING_MODEL, api_base=BASE_URL)


def topic_of(path: str) -> dict[str, str]:
    """Return what is known of a page besides its text."""
    return {"topic": Path(path).stem}


if __name__ == "__main__":
    pages = SimpleDirectoryReader(HANDBOOK, file_metadata=topic_of).load_data()
    index = VectorStoreIndex.from_documents(pages, embed_model=embedding)
    print(f"Read {len(pages)} pages: {', '.join(page.metadata['topic'] for page in pages)}")

    engine = index.as_query_engine(llm=model, streaming=True, similarity_top_k=2, text_qa_template=PROMPT)
    print(QUESTION)
    answer: Any = engine.query(QUESTION)
    print("  ", end="")
    answer.print_response_stream()
    print(f"\n  from: {', '.join(source.metadata['topic'] for source in answer.source_nodes)}")
