"""What needs a person: rows and messages that failed, and contacts that may be one."""
