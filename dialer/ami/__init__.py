"""Speaking to Asterisk through its manager interface (AMI)."""
