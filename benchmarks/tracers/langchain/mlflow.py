"""MLflow: autolog for LangChain, a SQLite tracking store in this process, asynchronous logging."""

import mlflow

mlflow.langchain.autolog()


def flush() -> None:
    """Wait until every trace is in the tracking store."""
    mlflow.flush_trace_async_logging()
