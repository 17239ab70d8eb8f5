"""Delivery: how a finished span leaves the process. Journal first, then the destinations."""
