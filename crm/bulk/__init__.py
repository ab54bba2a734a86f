"""Bulk: one change to many leads, frozen when it is accepted, done in chunks by a job, with a verdict for each lead."""
