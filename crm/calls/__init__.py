"""Calls: what an exchange tells of them, and what follows from it."""
