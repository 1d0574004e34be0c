"""What is said of a file beside its content: how long it may be kept, in which coding it comes, and who may use it."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from importlib import resources

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from footfall.web.problems import HANDLERS
from footfall.web.rendering import Renderer
from footfall.web.static_files import StaticFiles, built_names

BUILT = resources.files("footfall.web") / "static" / "built"
SNIPPET = ("/footfall.js", "/footfall-spans.js")
CSS = "/static/footfall.css"

#: The most bytes that the snippet's core may have gzipped; a promise of the documentation.
MOST_BYTES = 1000


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Asks for files, without accepting any coding of its own accord."""
    files = StaticFiles()
    routes = [Route(path, files.snippet) for path in SNIPPET]
    routes += [Route("/static/{name}", files.file), Route("/favicon.ico", files.favicon), Route("/absent.js", files.snippet)]
    app = Starlette(routes=routes, exception_handlers=dict(HANDLERS))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers={"Accept-Encoding": ""}) as client:
        yield client


def test_the_core_is_small() -> None:
    """The snippet's core is within its bound, packed as the server sends it, and again by another packer."""
    content = (BUILT / "footfall.js").read_bytes()
    assert len((BUILT / "footfall.js.gz").read_bytes()) <= MOST_BYTES
    assert len(gzip.compress(content, 9)) <= MOST_BYTES


@pytest.mark.parametrize("path", SNIPPET)
async def test_the_snippet_may_be_used_by_all_sites(client: httpx.AsyncClient, path: str) -> None:
    """Scripts of other origins may load it, and check its integrity; a new version comes through within minutes."""
    reply = await client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
    assert reply.headers["cache-control"].startswith("public, max-age=600,")
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", SNIPPET)
@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("GZIP;q=1.0, br;q=0", "gzip"),
        ("br;q=0.0, gzip; q=0", None),
        ("deflate", None),
    ],
)
async def test_the_best_coding_is_sent(client: httpx.AsyncClient, path: str, accepted: str, coding: str | None) -> None:
    """A file comes in the smallest coding that is accepted, and says that this depends on what is accepted."""
    async with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as reply:
        body = b"".join([part async for part in reply.aiter_raw()])
    assert reply.headers.get("content-encoding") == coding
    assert reply.headers["vary"] == "Accept-Encoding"
    ending = {None: "", "gzip": ".gz", "br": ".br"}[coding]
    assert body == (BUILT / f"{path[1:]}{ending}").read_bytes()
    assert coding != "gzip" or gzip.decompress(body) == (BUILT / path[1:]).read_bytes()


@pytest.mark.parametrize("path", [*SNIPPET, CSS, "/favicon.ico"])
async def test_what_is_known_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    """Who names the tag of what they have is told that it is still so, with the same headers and no body."""
    first = await client.get(path)
    again = await client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert all(again.headers[name] == first.headers[name] for name in ("etag", "cache-control"))
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_codings_have_tags_of_their_own(client: httpx.AsyncClient) -> None:
    """A tag stands for a file in one coding, as strong tags have to (RFC 9110, 8.8.3)."""
    tags = {(await client.get(SNIPPET[0], headers={"Accept-Encoding": each})).headers["etag"] for each in ("", "gzip", "br")}
    assert len(tags) == 3


async def test_addresses_with_a_hash_hold_for_ever(client: httpx.AsyncClient) -> None:
    """What our own pages name, by its content, may be kept for a year; the same file by its plain name for an hour."""
    addresses = [Renderer().static_url(name) for name in ("footfall.css", *built_names())]
    for address in addresses:
        reply = await client.get(address)
        assert (reply.status_code, reply.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    assert (await client.get(CSS)).headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/static/none.css", "/static/footfall.js.gz", "/static/manifest.json", "/absent.js"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """Files that are not there, packed files and the list of what was built are no addresses."""
    reply = await client.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
