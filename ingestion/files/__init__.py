"""Files of leads: read row by row, run through the import, chunk by chunk."""
