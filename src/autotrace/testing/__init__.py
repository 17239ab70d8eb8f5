"""What authors of plugins test with: real servers and fixtures, for use from tests only."""
