"""A/B tests: units divided by hash, exposures, outcomes, and a reading that is valid however often one looks."""
