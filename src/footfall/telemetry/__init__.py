"""What operators see of a running server: metrics, logs, its vitals, and the errors it reports."""
