"""What pages on serving are tested with."""

from ..examples.serving import model

__all__ = ["model"]
