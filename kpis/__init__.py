"""Metrics: one definition for API, dashboards, exports and the command line (KPI.md); only here MetricFlow is known."""
