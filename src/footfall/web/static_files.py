"""The files that the server hands out: the snippet, and the scripts, style sheets and pictures of our own pages.

They are part of the package, few and small, and read once. Scripts are built from `frontend/` into `static/built/`, packed
beside: a browser that accepts Brotli or gzip gets them packed. What has a hash of its content in its address may be kept forever.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from footfall.headers import headers_of
from footfall.web.problems import problem

_FOR_EVER = "public, max-age=31536000, immutable"
_AN_HOUR = "public, max-age=3600"

#: The snippet's address never changes, so that a new version has to come through soon.
_SNIPPET = "public, max-age=600, stale-while-revalidate=86400"

#: Other sites load the snippet, with its integrity checked (crossorigin) or as a module, and from pages that isolate themselves.
_FOR_ALL_SITES = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}

#: Content codings by the ending of a packed file, the smallest first.
_CODINGS = {".br": "br", ".gz": "gzip"}

_MANIFEST = "manifest.json"


class _File(msgspec.Struct, frozen=True):
    """A file: its body in each coding ("" for none), its type, and its tag, to which the coding is added."""

    bodies: Mapping[str, bytes]
    content_type: str
    tag: str


class StaticFiles:
    """All files of `web/static/` and what is built beside them."""

    def __init__(self) -> None:
        static = resources.files("footfall.web") / "static"
        found = {entry.name: entry.read_bytes() for entry in (*_files_in(static), *_files_in(static / "built"))}
        self._hashed = frozenset(built_names().values())
        self._files = {name: _file(name, found) for name in found if not name.endswith((*_CODINGS, _MANIFEST))}

    async def file(self, request: Request) -> Response:
        """`GET /static/NAME`."""
        name = request.path_params["name"]
        is_hashed = name in self._hashed or "v" in request.query_params
        return self._answer(request, name, _FOR_EVER if is_hashed else _AN_HOUR)

    async def favicon(self, request: Request) -> Response:
        """`GET /favicon.ico`."""
        return self._answer(request, "favicon.ico", _AN_HOUR)

    async def snippet(self, request: Request) -> Response:
        """`GET /footfall.js`, and the second file that it loads where a page needs it."""
        name = request.url.path.rpartition("/")[2]
        if name not in self._files:
            return problem(404, f"{name} has not been built; in a checkout, `make serve` builds it", _FOR_ALL_SITES)
        return self._answer(request, name, _SNIPPET, _FOR_ALL_SITES)

    def _answer(self, request: Request, name: str, caching: str, more: Mapping[str, str] | None = None) -> Response:
        found = self._files.get(name)
        if found is None:
            raise HTTPException(404)
        sent = headers_of(request.scope["headers"])
        coding = _best_coding(sent.get(b"accept-encoding", b""), found.bodies)
        tag = f'"{found.tag}{coding}"'
        headers = {"Cache-Control": caching, "ETag": tag, "X-Content-Type-Options": "nosniff", **(more or {})}
        if len(found.bodies) > 1:
            headers["Vary"] = "Accept-Encoding"
        if tag.encode() in sent.get(b"if-none-match", b""):
            return Response(status_code=304, headers=headers)
        if coding:
            headers["Content-Encoding"] = coding
        return Response(found.bodies[coding], headers={"Content-Type": found.content_type, **headers})


def built_names() -> Mapping[str, str]:
    """What the built modules of our own pages are called, hash and all, by their plain names: "dashboard.js".

    Empty where nothing has been built.
    """
    manifest = resources.files("footfall.web") / "static" / "built" / _MANIFEST
    return msgspec.json.decode(manifest.read_bytes(), type=dict[str, str]) if manifest.is_file() else {}


def _files_in(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (entry for entry in folder.iterdir() if entry.is_file())


def _file(name: str, found: Mapping[str, bytes]) -> _File:
    packed = {coding: found[name + ending] for ending, coding in _CODINGS.items() if name + ending in found}
    return _File(packed | {"": found[name]}, _content_type(name), hashlib.sha256(found[name]).hexdigest()[:16])


def _best_coding(accept_encoding: bytes, bodies: Mapping[str, bytes]) -> str:
    """The smallest coding that the client accepts (RFC 9110, 12.5.3); one with a weight of 0 is refused."""
    accepted = set()
    for each in accept_encoding.decode("latin-1").split(","):
        coding, _, weight = each.replace(" ", "").lower().partition(";q=")
        if not weight or weight.strip("0."):  # any weight but 0, 0.0 and so on
            accepted.add(coding)
    return next((coding for coding in bodies if coding in accepted), "")


def _content_type(name: str) -> str:
    if name.endswith(".ico"):
        return "image/x-icon"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
