"""Queues: who waits, in which order and for whom, what supervisors do about it, and the figures of it."""
