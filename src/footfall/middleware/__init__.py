"""Counts the views of your own application: one line in an ASGI or a WSGI application, and its pages are counted.

What counts is a response that is a page: HTML, 2xx, to a GET. It is counted after it was sent, into a local store or through a
`footfall.Client`; whatever fails there is logged, and never seen by a visitor.
"""

from footfall.middleware.asgi import FootfallMiddleware
from footfall.middleware.wsgi import FootfallWSGIMiddleware

__all__ = ["FootfallMiddleware", "FootfallWSGIMiddleware"]
