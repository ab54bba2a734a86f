"""What data from outside must look like at the border. Great Expectations is imported only when there is something to
judge; what the rules are (`expectations.rules`) can be read without it."""
