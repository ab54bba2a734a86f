"""Callbacks (CC-3): promised, kept when their turn comes, asked for consent at the last moment, and never twice."""
