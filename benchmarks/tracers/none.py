"""No tracer: the baseline that all the others are compared with."""


def flush() -> None:
    """There is nothing to deliver."""
