"""Fixtures of the pipeline."""

from tests.pipeline import build, parsed

__all__ = ["build", "parsed"]
