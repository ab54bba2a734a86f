"""After the first word: procedures, the check-ins after them, and what to do next with a lead and why."""
