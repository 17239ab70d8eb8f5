"""What the core traces itself: applications that are served, workers, and what tells other services of a trace.

Written as any plugin: data and pure functions, on the public names of `autotrace` alone.
"""
