"""From results to tables and verdicts."""
