"""When people work: calendars of firms, teams and persons, and the arithmetic of open time on them."""
