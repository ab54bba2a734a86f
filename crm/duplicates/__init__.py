"""Two contacts that are one person: finding them, merging them, and taking a merge back."""
