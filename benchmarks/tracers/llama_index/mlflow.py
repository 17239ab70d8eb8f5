"""MLflow: autolog for LlamaIndex, a SQLite tracking store in this process, asynchronous logging."""

import mlflow

mlflow.llama_index.autolog()


def flush() -> None:
    """Wait until every trace is in the tracking store."""
    mlflow.flush_trace_async_logging()
