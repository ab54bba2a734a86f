"""Agents at the telephone: their endpoints, sessions, states, and what the exchange hears of them."""
