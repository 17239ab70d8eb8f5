"""What wakes up and patches: discovery of plugins, import hooks, and the patches themselves."""
