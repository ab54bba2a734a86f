"""Fixtures of the rules."""

from tests.pipeline import build, parsed

__all__ = ["build", "parsed"]
