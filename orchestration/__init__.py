"""Dagster: when and in what order raw data becomes published marts. One code location, `orchestration.definitions`."""
