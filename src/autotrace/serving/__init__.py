"""Where a traced program runs: how it is started, and later what serves it."""
