"""Distribution: who gets which lead, and why. A transaction of its own, after the lead was stored."""
