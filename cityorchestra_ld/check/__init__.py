"""The static check: what a mapping would do wrong, said before any row is read."""
