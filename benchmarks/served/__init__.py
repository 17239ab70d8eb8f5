"""What is served while serving is measured, in the environment of each tracer."""
