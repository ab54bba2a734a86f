"""Imports: files of leads read by a mapping, stored in chunks that outlive a kill; bad rows are handed back."""
