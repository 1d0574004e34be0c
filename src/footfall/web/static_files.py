"""The style sheets and pictures of our own pages. An address with a content hash may be kept for ever, any other for an hour."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from importlib import resources

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FOR_EVER = "public, max-age=31536000, immutable"
_AN_HOUR = "public, max-age=3600"


class _File(msgspec.Struct, frozen=True):
    body: bytes
    content_type: str


class StaticFiles:
    """All files of `web/static/`, read once: they are few, small and part of the package."""

    def __init__(self) -> None:
        folder = resources.files("footfall.web") / "static"
        self._files: Mapping[str, _File] = {
            entry.name: _File(entry.read_bytes(), _content_type(entry.name)) for entry in folder.iterdir() if entry.is_file()
        }

    async def file(self, request: Request) -> Response:
        """`GET /static/NAME`."""
        return self._answer(request.path_params["name"], _FOR_EVER if request.query_params.get("v") else _AN_HOUR)

    async def favicon(self, _: Request) -> Response:
        """`GET /favicon.ico`."""
        return self._answer("favicon.ico", _AN_HOUR)

    def _answer(self, name: str, caching: str) -> Response:
        found = self._files.get(name)
        if found is None:
            raise HTTPException(404)
        return Response(
            found.body,
            headers={"Content-Type": found.content_type, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"},
        )


def _content_type(name: str) -> str:
    if name.endswith(".ico"):
        return "image/x-icon"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
