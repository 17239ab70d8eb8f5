"""The store: a local SQLite database where spans rest until someone looks at them."""
