"""Footfall counts page views: exact to the second, durable, and one number on any number of servers."""

__version__ = "0.1.0"
