"""Public counters: badges as SVG, JSON for scripts, and plain text."""
