"""Service levels: until when somebody must have done something about a lead, and what follows when nobody has."""
