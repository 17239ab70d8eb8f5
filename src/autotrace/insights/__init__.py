"""What the page and its commands say of many traces: a narrow row a trace, kept up with the store, and questions."""
