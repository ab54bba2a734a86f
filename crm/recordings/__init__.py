"""Recordings of calls: fetched from the exchange's spool, sealed, kept for a while, played once by a link."""
