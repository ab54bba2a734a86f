"""Screens for people who steer by numbers: a client of the API, nothing more."""
