"""What raw data must look like at the border. Great Expectations is imported only when there is something to judge."""

AD_REPORTS = "ad_reports.1"
"""Name and version of the suites for advertising reports; a new version judges every report anew."""
