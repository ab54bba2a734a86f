"""People who work here: accounts, roles, teams, sessions, invitations."""
