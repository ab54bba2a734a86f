"""Contacts: people, masked for everyone; in clear only through `revealing`."""
