"""The page: what `autotrace ui` serves."""
