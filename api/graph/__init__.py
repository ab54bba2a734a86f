"""GraphQL over the metrics: the same catalogue and the same questions as REST, by the same functions."""
