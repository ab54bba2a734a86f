"""Rates of exchange as central banks publish them: read, fetched, and landed day by day."""
