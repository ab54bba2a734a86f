"""The pages: each asks `queries` and draws."""
