"""Dialling campaigns: whom to call, how many at a time, and when again."""
