"""What the world sends: stored as it came before anything is read from it, then worked off once, however often sent."""
