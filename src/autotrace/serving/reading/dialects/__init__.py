"""Pieces of streamed answers, in the shapes of the providers and frameworks that have one of their own.

Each function adds one JSON object to an `Assembly`, whatever it holds. What it returns is what takes the next words of
a piece like this one, and the words of this one: where it brought nothing else.
"""
