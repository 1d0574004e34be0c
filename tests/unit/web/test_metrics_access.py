"""Who may see the metrics: this machine, and callers that have the token. A proxy on this machine is not this machine."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from footfall.settings import load_settings
from footfall.web.app import make_app

TOKEN = "0123456789abcdef"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
ELSEWHERE = "203.0.113.5"

#: What proxies, balancers and content networks add, one at a time, as their documentation names it.
OF_PROXIES = (
    *("Forwarded", "Via", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"),
    *("X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded-Prefix", "X-Original-Forwarded-For"),
    *("X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "X-Cluster-Client-IP", "X-Remote-IP", "X-Remote-Addr"),
    *("CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Ray", "CF-IPCountry", "CF-Visitor", "CDN-Loop", "Fastly-Client-IP"),
    *("Fastly-FF", "Fly-Client-IP", "Fly-Forwarded-Port", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-ARR-SSL", "X-Amzn-Trace-Id"),
    *("X-Amz-Cf-Id", "CloudFront-Viewer-Address", "CloudFront-Forwarded-Proto", "X-Appengine-User-IP", "X-ProxyUser-IP"),
    *("X-Envoy-External-Address", "X-Original-Host", "X-Original-URI", "X-Scheme", "X-URL-Scheme", "Front-End-Https"),
    *("X-Host", "X-Proxy-ID", "Proxy-Client-IP", "WL-Proxy-Client-IP", "DO-Connecting-IP", "X-Nginx-Proxy", "X-Varnish"),
)


async def status(client: str, headers: dict[str, str], host: str = "localhost:8000", **settings: Any) -> int:
    """The status with which /metrics answers a client of that address."""
    front = make_app(load_settings({"store": "memory://", "metrics_token": TOKEN, **settings}, {}, None), "web-1")
    transport = httpx.ASGITransport(front, client=(client, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as asking:
        reply = await asking.get("/metrics", headers=headers)
    assert ("footfall_views_pending" in reply.text) == (reply.status_code == 200)
    assert TOKEN not in reply.text
    return reply.status_code


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        ("127.0.0.1", {}, 200),
        ("127.8.8.8", {}, 200),
        ("::1", {}, 200),
        ("::ffff:127.0.0.1", {}, 200),
        ("127.0.0.1", {"X-Forwarded-For": ELSEWHERE} | RIGHT, 200),
        ("", {}, 401),
        (ELSEWHERE, {}, 401),
        (ELSEWHERE, RIGHT, 200),
        (ELSEWHERE, {"Authorization": f"Bearer {TOKEN}x"}, 401),
        (ELSEWHERE, {"Authorization": TOKEN}, 401),
        (ELSEWHERE, {"Authorization": "Bearer "}, 401),
        (ELSEWHERE, {"Authorization": "Bearer None"}, 401),
    ],
)
async def test_who_sees_the_metrics(client: str, headers: dict[str, str], expected: int) -> None:
    """The token counts wherever a request comes from; without it only the machine itself does."""
    assert await status(client, headers) == expected


async def test_a_proxy_on_this_machine_is_not_this_machine() -> None:
    """Whichever header it adds, by that alone."""
    seen = [name for name in OF_PROXIES if await status("127.0.0.1", {name: "1"}) != 401]
    assert seen == []


@pytest.mark.parametrize("name", ["X-Visitor", "X-Land"])
async def test_what_the_settings_name_is_a_proxy_s_header(name: str) -> None:
    """No list can know it."""
    settings = {"client_address_header": "X-Visitor", "country_header": "X-Land"}
    assert await status("127.0.0.1", {}, **settings) == 200
    assert await status("127.0.0.1", {name: "1"}, **settings) == 401


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_a_trusted_proxy_is_never_at_home(client: str) -> None:
    """With a header or without one; the token opens the metrics to it as to others."""
    trusted = {"trusted_proxies": "127.0.0.1, ::1"}
    assert await status(client, {}, **trusted) == 401
    assert await status(client, RIGHT, **trusted) == 200
    assert await status(client, {}, trusted_proxies="10.0.0.0/8") == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("localhost", 200), ("LOCALHOST:8000", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("127.0.1.1", 200)),
        *(("stats.example.com", 401), ("localhost.example.com", 401), ("127.0.0.1.example.com", 401), ("10.0.0.1", 401)),
    ],
)
async def test_a_name_that_others_call_this_machine_by_came_through_a_proxy(host: str, expected: int) -> None:
    """One that adds no header passes on the name that it was asked for, as HAProxy does; so does a browser that was led here."""
    assert await status("127.0.0.1", {}, host) == expected


async def test_an_older_http_came_through_a_proxy() -> None:
    """nginx, where only `proxy_pass` is set, adds no header and calls this machine by its own name."""
    front = make_app(load_settings({"store": "memory://"}, {}, None), "web-1")
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    for version in ("1.0", "1.1"):
        scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "http_version": version}
        scope |= {"headers": [(b"host", b"127.0.0.1:8000")], "client": ("127.0.0.1", 1), "scheme": "http"}
        await front(scope, receive, send)
    assert [status for status in statuses if status] == [401, 200]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}, RIGHT])
async def test_without_a_token_set_none_is_right(headers: dict[str, str]) -> None:
    """Not even an empty one."""
    assert await status(ELSEWHERE, headers, metrics_token=None) == 401
    assert await status("127.0.0.1", headers, metrics_token=None) == 200
