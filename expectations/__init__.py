"""What raw data must look like at the border. Great Expectations is imported only when there is something to judge."""
