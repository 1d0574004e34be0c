"""The programming interface: JSON, exports, the live stream, and its own description."""
