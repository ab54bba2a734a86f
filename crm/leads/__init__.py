"""Leads: enquiries of people, from their first click to the sale."""
